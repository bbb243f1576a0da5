"""Deletes what another extension created: a NetworkPolicy such as `deny_all_ingress` makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from blackstart.evidence.undo import Undo
from blackstart.faults import marks
from blackstart.faults.base import Conflict, FaultError, Target
from blackstart.faults.changes import Change
from blackstart.faults.clusters import open_kube
from blackstart.faults.foreign_base import ForeignData
from blackstart.faults.marks import LABEL
from blackstart.faults.slips import SlipFault
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Object, Ref

NETWORK_POLICIES = "networking.k8s.io/v1/networkpolicies"

_CONFIRM_REVERTED = 30.0
_FILLED_IN = {"policyTypes"}
"""What the API server adds to a policy that leaves it out."""


class CreateData(ForeignData):
    """`spec` is what the action writes."""

    name: str
    spec: dict[str, Any]

    @property
    def ref(self) -> Ref:
        """The object."""
        return Ref(self.resource, self.namespace, self.name)


class ForeignCreate(SlipFault):
    """One object that was not there before."""

    kind = "foreign-create"
    verbs = ("get", "delete")

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`region`, `run`, the action's own `ns`, and `policy` (name), or `spec` or `spec_path` (a manifest)."""
        manifest = _manifest(args)
        try:
            name, spec = str(manifest["metadata"]["name"]), dict(manifest["spec"])
        except (KeyError, TypeError, ValueError) as error:
            raise FaultError(f"{self.kind}: the manifest has no metadata.name or no spec") from error
        data = CreateData(
            region=args["region"],
            run=args["run"],
            resource=NETWORK_POLICIES,
            namespace=args.get("ns", "default"),
            name=name,
            spec=spec,
        )
        return [Target(f"{data.region}/{data.namespace}/{name}", data.model_dump(), (data.region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """That it is not there."""
        data = CreateData.model_validate(target.data)
        with open_kube(fleet, data.region) as kube:
            if kube.find(data.ref) is not None:
                raise FaultError(f"{self.kind}: {data.ref} is there already; remove it, or `blackstart recover`")
        return {}

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """It is there as written."""
        data = CreateData.model_validate(undo.data)
        with open_kube(fleet, data.region) as kube:
            found = kube.find(data.ref)
        if found is None or not same(found["spec"], data.spec):
            raise FaultError(f"{undo.kind}: {data.ref} is not there as it was written")
        return f"{data.ref} is there"

    def put_back(self, kube: Kube, undo: Undo) -> None:
        """Delete exactly the object that was written."""
        data = CreateData.model_validate(undo.data)
        if found := self._mine(kube, data):
            kube.delete(data.ref, found["metadata"]["uid"], found["metadata"]["resourceVersion"])

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """It is gone, and so is the slip."""
        data = CreateData.model_validate(undo.data)

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                if any(kube.find(ref) for ref in (data.ref, marks.slip(undo, data.namespace))):
                    raise NotYet(f"{data.ref} or its slip is still there")
            return f"{data.ref} is gone"

        return wait_for(f"{undo.kind} {undo.target}", _CONFIRM_REVERTED, look)

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """The object and its slip go."""
        data = CreateData.model_validate(undo.data)
        slip = marks.slip(undo, data.namespace)
        with open_kube(fleet, data.region) as kube:
            mine, noted = self._mine(kube, data), marks.slip_left(kube, undo, data.namespace)
        found = [Change(f"{data.region}: {data.ref}", "spec", mine["spec"], None)] if mine else []
        return found + ([Change(f"{data.region}: {slip}", f"label {LABEL}", undo.run, None)] if noted else [])

    def _mine(self, kube: Kube, data: CreateData) -> Object | None:
        found = kube.find(data.ref)
        if found and not same(found["spec"], data.spec):
            raise Conflict(
                f"{self.kind}: {data.ref} has {found['spec']}; the drill wrote {data.spec}, so someone else "
                "changed it and it is left alone; delete it, or keep it and remove its slip, the ConfigMap "
                "blackstart-undo-*"
            )
        return found


def same(found: Any, written: Any) -> bool:
    """Whether an object is as it was written; the API server leaves empty values out and fills some in."""
    if not written or not found:
        return not written and not found
    if isinstance(written, dict) and isinstance(found, dict):
        keys = {*found, *written} - (_FILLED_IN - {*written})
        return all(same(found.get(key), written.get(key)) for key in keys)
    if isinstance(written, list) and isinstance(found, list):
        return len(found) == len(written) and all(map(same, found, written))
    return bool(found == written)


def _manifest(args: dict[str, Any]) -> dict[str, Any]:
    if name := args.get("policy"):
        return _policy(name, args.get("label_selectors"))
    path = args.get("spec_path")
    if path and Path(path).is_file():
        try:
            loaded = yaml.safe_load(Path(path).read_text())
        except (OSError, yaml.YAMLError) as error:
            raise FaultError(f"foreign-create: {path}: {error}") from error
        return loaded if isinstance(loaded, dict) else {}
    return args.get("spec") or {}


def _policy(name: str, labels: dict[str, Any] | None) -> dict[str, Any]:
    """What the helpers of chaosk8s.networking.actions write."""
    dns = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    kinds: dict[str, dict[str, Any]] = {
        "chaostoolkit-deny-all-ingress": {"policyTypes": ["Ingress"]},
        "chaostoolkit-deny-all-egress": {"policyTypes": ["Egress"]},
        "chaostoolkit-allow-dns": {
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"namespaceSelector": {}}], "ports": dns}],
        },
    }
    selector = {"matchLabels": labels} if labels else {}
    return {"metadata": {"name": name}, "spec": {"podSelector": selector, **kinds[name]}}


FAULT = ForeignCreate()
