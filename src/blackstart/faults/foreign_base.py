"""What the faults have in common whose change is made by somebody else's code, such as an action of chaosk8s.

Capture and record come before the call as for every fault. The call makes a
patch of its own, so label and record go onto the object in a patch right
before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackstart.evidence.failpoints import failpoint
from blackstart.evidence.undo import Undo
from blackstart.faults.base import Fault, FaultError, Target
from blackstart.faults.clusters import open_kube
from blackstart.fleet.kube import Kube
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.schema.base import Model


class ForeignData(Model):
    """What every such fault knows of itself."""

    region: str
    run: str
    resource: str
    namespace: str = ""


class Foreign(Fault):
    """A fault around a call, which raises FaultError when it fails. Without a call it can only be put back."""

    def __init__(self, call: Callable[[], Any] | None = None) -> None:
        self._call = call
        self.output: Any = None
        """What the call returned."""

    def call(self) -> Any:
        """Make the call. Raises FaultError."""
        if self._call is None:
            raise FaultError(f"{self.kind}: a fault of this kind is made by its action only")
        return self._call()

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """None, unless the fault knows better."""
        return []

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """Claim the objects, make the call, and see that the claim still stands."""
        with open_kube(fleet, str(undo.data["region"])) as kube:
            self.mark(kube, undo, fence)
            fence()
            failpoint("call.before")
            self.output = self.call()
            if not self.held(kube, undo):
                # Whoever put it back took this process for dead; a late call must not outlive that.
                self.take_back(kube, undo)
                raise FaultError(f"{undo.kind} {undo.target}: it was put back by someone else while the action ran")

    def mark(self, kube: Kube, undo: Undo, fence: Callable[[], None]) -> None:
        """Put label and record where they are found without the undo store. Raises FaultError, KubeError."""
        raise NotImplementedError

    def held(self, kube: Kube, undo: Undo) -> bool:
        """Whether label and record are still there. Raises KubeError."""
        raise NotImplementedError

    def take_back(self, kube: Kube, undo: Undo) -> None:
        """Put back a change that came after the undo. Raises KubeError."""
        raise NotImplementedError
