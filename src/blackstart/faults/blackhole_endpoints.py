"""A region's gateway can no longer reach the region's own pods, and nobody is told.

Kubelets go on probing, so every pod stays Ready and every endpoint healthy:
only the gateway itself can find out, by what becomes of its requests.
"""

from __future__ import annotations

from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import paths, roles
from blackstart.faults.base import FaultError, Target
from blackstart.faults.clusters import open_kube
from blackstart.faults.dropping import Dropping, Lasting, lasting
from blackstart.faults.meshparts import mesh_of
from blackstart.fleet import nft
from blackstart.fleet.drops import to_networks
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.schema.base import Model


class _Data(Lasting):
    region: str
    namespace: str
    deployment: str
    place: str
    uid: int
    pods: list[str]


class _Before(Model):
    paths: list[ControlPath]


class BlackholeEndpoints(Dropping):
    """Drops what the gateway's user sends to the region's pod networks."""

    kind = "blackhole-endpoints"

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`service` and `region` by role; `expires` and `lease` as for `lasting`."""
        region, service = roles.region(fleet, args["region"]), roles.service(fleet, args["service"])
        workload = roles.workload(fleet, service, region)
        gateway, pods = mesh_of(fleet, region).gateway, fleet.regions[region].pods
        if gateway.uid is None or not pods:
            missing = f"regions.{region}.pods" if gateway.uid is not None else f"regions.{region}.mesh.gateway.uid"
            raise FaultError(
                f"fleet {fleet.fleet!r} has no `{missing}`: nothing tells the gateway's traffic to pods from others'"
            )
        data = _Data(
            region=region, **workload.model_dump(), place=gateway.place, uid=gateway.uid, pods=pods, **lasting(args)
        )
        return [Target(f"{region}/{workload.namespace}/{workload.deployment}", data.model_dump(), (region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """The sockets of the service's pods, as the gateway's user sees them."""
        found = _paths(fleet, _Data.model_validate(target.data))
        if not found:
            raise FaultError(
                f"{self.kind} {target.name}: nothing could prove that the fault bites: no pod with an address and a "
                "readinessProbe by HTTP"
            )
        return _Before(paths=found).model_dump()

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """Each pod's socket, for the gateway's user."""
        return _Before.model_validate(before).paths

    def drops(self, fleet: Fleet, data: dict[str, Any]) -> nft.Drops:
        """What the gateway's user sends to pods of the region."""
        found = _Data.model_validate(data)
        return {found.place: [to_networks(found.pods, found.uid)]}

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """It drops; right after the change, pods also still answer everybody else, such as the kubelet."""
        found = super().confirm(fleet, undo, within)
        if not within:
            return found
        others = [path.model_copy(update={"uid": None}) for path in _Before.model_validate(undo.before).paths]
        if deaf := [path.address for path in others if not paths.answers(fleet, path)]:
            raise FaultError(
                f"{undo.kind} {undo.target}: the pods at {', '.join(deaf)} answer nobody; kubelets notice that"
            )
        return f"{found}; {len(others)} pods still answer everybody else"

    def over(self, fleet: Fleet, undo: Undo) -> list[ControlPath]:
        """The sockets of the pods that there are now."""
        return _paths(fleet, _Data.model_validate(undo.data))


def _paths(fleet: Fleet, data: _Data) -> list[ControlPath]:
    with open_kube(fleet, data.region) as kube:
        found = kube.pods(data.namespace, kube.deployment(data.namespace, data.deployment).selector)
    return [
        ControlPath(place=data.place, address=f"{pod.ip}:{pod.port}", get=pod.path, uid=data.uid)
        for pod in found
        if pod.ready and pod.ip and pod.port is not None
    ]


FAULT = BlackholeEndpoints()
