"""The istiod of a region loses the API server of another region; everything else between the two goes on."""

from __future__ import annotations

from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import paths, roles
from blackstart.faults.base import FaultError, Target
from blackstart.faults.dropping import Dropping, Lasting, lasting
from blackstart.faults.meshparts import mesh_of
from blackstart.fleet import nft
from blackstart.fleet.drops import from_server
from blackstart.fleet.model import ControlPath, Fleet


class _Data(Lasting):
    region: str
    remote: str
    place: str
    address: str


class BlockRemoteApi(Dropping):
    """Drops what the remote API server sends, by its address and port."""

    kind = "block-remote-api"

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`region` and `remote` by role; `expires` and `lease` as for `lasting`."""
        region, remote = roles.region(fleet, args["region"]), roles.region(fleet, args["remote"])
        mesh = mesh_of(fleet, region)
        if remote not in mesh.remotes:
            raise FaultError(
                f"fleet {fleet.fleet!r}: regions.{region}.mesh.remotes has no {remote!r}: say at which host:port its "
                "istiod asks that region's API server"
            )
        place, address = mesh.istiod.place, mesh.remotes[remote]
        data = _Data(region=region, remote=remote, place=place, address=address, **lasting(args))
        return [Target(f"{region}->{remote}", data.model_dump(), (region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """Nothing to remember: without the fault there is no table of it."""
        return {}

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """The remote API server, from where istiod runs."""
        return [_path(_Data.model_validate(target.data))]

    def drops(self, fleet: Fleet, data: dict[str, Any]) -> nft.Drops:
        """What comes from the remote API server."""
        found = _Data.model_validate(data)
        return {found.place: [from_server(found.address)]}

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """It drops; right after the change, everything else over the links between the regions also still works."""
        found = super().confirm(fleet, undo, within)
        data = _Data.model_validate(undo.data)
        between = [link for link in fleet.links.values() if set(link.between) == {data.region, data.remote}]
        others = list(dict.fromkeys(path for link in between for path in link.paths))
        if not within or not others:
            return found
        if silent := [f"{path.place} -> {path.address}" for path in others if not paths.answers(fleet, path)]:
            raise FaultError(f"{undo.kind} {undo.target}: more than the API server is lost: {', '.join(silent)}")
        return f"{found}; {len(others)} other paths between the regions answer"

    def over(self, fleet: Fleet, undo: Undo) -> list[ControlPath]:
        """The remote API server again."""
        return [_path(_Data.model_validate(undo.data))]


def _path(data: _Data) -> ControlPath:
    return ControlPath(place=data.place, address=data.address, tls=True)


FAULT = BlockRemoteApi()
