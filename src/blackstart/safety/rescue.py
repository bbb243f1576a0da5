"""Puts back the objects of a run from what they carry themselves: the run's label, and the undo record beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import ValidationError

from blackstart.evidence.undo import Undo, now
from blackstart.faults.base import Conflict, fault_of
from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.lease import RUN_LABEL, Lease
from blackstart.fleet.model import Cluster, Fleet, Place, Region
from blackstart.fleet.objects import Object, Ref
from blackstart.fleet.touch import touch
from blackstart.schema.errors import BlackstartError

UNDO = "blackstart.dev/undo"

_MESSAGE = 1000


@dataclass
class Rescue:
    """The objects that may carry the label of a run, which one guardian looks after.

    fence: touch each object once before it is looked at, so that a write of
    the run that is based on an older version fails.
    """

    run: str
    region: str
    cluster: Cluster
    targets: Iterable[Ref]
    fence: bool = True
    _fenced: set[Ref] = field(default_factory=set)
    _found: dict[Ref, Object] = field(default_factory=dict)
    _undone: dict[Ref, Undo] = field(default_factory=dict)
    _said: dict[Ref, str] = field(default_factory=dict)
    _proven: set[Ref] = field(default_factory=set)

    def attempt(self, kube: Kube) -> list[str]:
        """Revert what carries the run's label; what is not back yet, and why. Repeat until there is nothing."""
        left = []
        for ref in self.targets:
            if ref in self._said:
                continue
            try:
                self._said[ref] = self._one(kube, ref)
            except Conflict as conflict:
                self._said[ref] = f"conflict: {conflict}"
            except BlackstartError as error:
                left.append(f"{ref} is not put back yet: {error}")
        return left

    def confirm(self) -> None:
        """Wait until what was reverted is as before, each within its fault's deadline."""
        for ref, undo in self._undone.items():
            try:
                detail = fault_of(undo.kind).confirm_reverted(self._fleet(), undo)
                self._said[ref] = f"put back {undo.fault} ({undo.target}): {detail}"
                self._proven.add(ref)
            except BlackstartError as error:
                self._said[ref] = f"put back {undo.fault} ({undo.target}), but: {error}"

    def said(self) -> list[str]:
        """What became of each object that was the run's."""
        return [text for text in self._said.values() if text]

    def publish(self, kube: Kube, lease: Lease) -> None:
        """Write an Event for each object that was the run's; twice changes nothing. Raises KubeError."""
        for number, (ref, text) in enumerate(self._said.items()):
            if not text:
                continue
            try:
                about = self._found[ref]
                kind = "PutBack" if ref in self._proven else "NotProven" if ref in self._undone else "Conflict"
                event = Ref("v1/events", lease.ref.namespace, f"{lease.ref.name}.{number}")
                kube.create(event, _event(event, about, self.run, (kind, text)))
            except KubeError as error:
                if error.status != 409:
                    raise

    def _one(self, kube: Kube, ref: Ref) -> str:
        if self.fence and ref not in self._fenced:
            touch(kube, ref)
            self._fenced.add(ref)
        found = kube.find(ref)
        if found is None or (found["metadata"].get("labels") or {}).get(RUN_LABEL) != self.run:
            return ""
        self._found[ref] = found
        undo = self._record(found, ref)
        fault_of(undo.kind).revert(self._fleet(), undo)
        self._undone[ref] = undo
        return f"put back {undo.fault} ({undo.target})"

    def _record(self, found: Object, ref: Ref) -> Undo:
        try:
            undo = Undo.model_validate_json((found["metadata"].get("annotations") or {}).get(UNDO, ""))
        except ValidationError as error:
            raise Conflict(f"{ref} has the label of run {self.run}, but no undo record; it is left alone") from error
        if undo.run != self.run or undo.clusters.get(self.region) != self.cluster.uid:
            raise Conflict(f"{ref} has the undo record of another run or cluster ({undo.id}); it is left alone")
        return undo

    def _fleet(self) -> Fleet:
        """As much of a fleet as reverting an object needs: this one cluster."""
        # Not validated: a fleet for drills has services, too.
        region = Region(cluster=self.cluster, place="here")
        return Fleet.model_construct(
            fleet="own cluster", regions={self.region: region}, places={"here": Place()}, services={}
        )


def _event(event: Ref, found: Object, run: str, said: tuple[str, str]) -> Object:
    at, (reason, text) = now(), said
    # Of a node, too: an Event can only be about something in its own namespace.
    about = {"name": found["metadata"]["name"], "namespace": event.namespace, "uid": found["metadata"]["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": event.name, "namespace": event.namespace, "labels": {RUN_LABEL: run}},
        "involvedObject": {"kind": found.get("kind", ""), "apiVersion": found.get("apiVersion", ""), **about},
        "type": "Normal" if reason == "PutBack" else "Warning",
        "reason": reason,
        "message": text[:_MESSAGE],
        "source": {"component": "blackstart-guardian"},
        "firstTimestamp": f"{at[:19]}Z",
        "lastTimestamp": f"{at[:19]}Z",
        "count": 1,
    }
