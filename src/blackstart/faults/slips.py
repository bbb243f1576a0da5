"""Faults whose objects cannot carry the record themselves, because the action makes or deletes them."""

from __future__ import annotations

from collections.abc import Callable

from blackstart.evidence.undo import Undo
from blackstart.faults import marks
from blackstart.faults.clusters import open_kube
from blackstart.faults.foreign_base import Foreign
from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Fleet


class SlipFault(Foreign):
    """Label and record are on a ConfigMap in the namespace of the objects."""

    slipped = True

    def mark(self, kube: Kube, undo: Undo, fence: Callable[[], None]) -> None:
        """Onto the slip."""
        marks.leave_slip(kube, undo, _namespace(undo), fence)

    def held(self, kube: Kube, undo: Undo) -> bool:
        """Whether the record is still on the slip."""
        return marks.slip_left(kube, undo, _namespace(undo))

    def take_back(self, kube: Kube, undo: Undo) -> None:
        """As the undo does: it needs no slip."""
        self.put_back(kube, undo)

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """Put back, then take the slip away; a conflict leaves it there."""
        with open_kube(fleet, str(undo.data["region"])) as kube:
            self.put_back(kube, undo)
            marks.take_slip(kube, undo, _namespace(undo))

    def put_back(self, kube: Kube, undo: Undo) -> None:
        """Undo what the action did to the objects. Raises Conflict, FaultError, KubeError."""
        raise NotImplementedError


def _namespace(undo: Undo) -> str:
    return str(undo.data["namespace"])
