"""The run's label and its undo record on Kubernetes objects: the claim of a run, and what gives it up.

The patch that changes an object also puts both on it, wherever it is ours:
without the label nothing of the run is left on the object, and nothing is
reverted. Where the object itself cannot carry them, because the action makes it or
deletes it, a ConfigMap beside it does: the *slip*.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from pydantic import ValidationError

from blackstart.evidence.failpoints import failpoint
from blackstart.evidence.undo import Undo
from blackstart.faults.base import Conflict, FaultError
from blackstart.faults.changes import Change
from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.lease import RUN_LABEL
from blackstart.fleet.objects import Object, Ref
from blackstart.fleet.touch import touch

LABEL = RUN_LABEL
ANNOTATION = "blackstart.dev/undo"

SLIPS = "v1/configmaps"

_ATTEMPTS = 5


def run_of(found: Object) -> str | None:
    """The run whose label an object carries."""
    run: str | None = (found["metadata"].get("labels") or {}).get(LABEL)
    return run


def record_of(found: Object) -> Undo | None:
    """The undo record on an object; None without one that can be read."""
    text = (found["metadata"].get("annotations") or {}).get(ANNOTATION)
    try:
        return Undo.model_validate_json(text) if text else None
    except ValidationError:
        return None


def free(found: Object, ref: Ref, run: str) -> None:
    """Raise FaultError when another run still holds the object."""
    other = run_of(found)
    if other and other != run:
        raise FaultError(
            f"{ref} still carries the label of run {other}; wait for that run to end, "
            f"or put it back with `blackstart recover --run {other}`"
        )


def marked(undo: Undo) -> Object:
    """The metadata that claims an object for a run."""
    return {"labels": {LABEL: undo.run}, "annotations": {ANNOTATION: undo.model_dump_json()}}


def unmarked() -> Object:
    """The metadata that gives an object up, in a merge patch."""
    return {"labels": {LABEL: None}, "annotations": {ANNOTATION: None}}


def change(
    kube: Kube, ref: Ref, decide: Callable[[Object], Object | None], fence: Callable[[], None] = lambda: None
) -> None:
    """Read, decide, and patch exactly what was read; None leaves it alone. Raises KubeError, or what `fence` does."""
    for attempt in range(_ATTEMPTS):
        found = kube.get(ref)
        patch = decide(found)
        if patch is None:
            return
        patch["metadata"] = {**patch.get("metadata", {}), "resourceVersion": found["metadata"]["resourceVersion"]}
        # Whoever takes the Lease touches the object next: the version read is of no use any more then.
        fence()
        failpoint("patch.before")
        try:
            kube.patch(ref, patch)
        except KubeError as error:
            # Its status changes all the time: look again, and decide again.
            if error.status != 409 or attempt == _ATTEMPTS - 1:
                raise
        else:
            return


def give_back(kube: Kube, ref: Ref, undo: Undo, decide: Callable[[Object], Object | None]) -> None:
    """Patch an object back as `decide` says. Raises Conflict when it is gone, KubeError, or what `decide` does.

    Without a label nothing was changed yet, or it is back already; a change
    that is still on its way then comes too late.
    """
    try:
        if run_of(kube.get(ref)) is None:
            touch(kube, ref)
        change(kube, ref, decide)
    except KubeError as error:
        if error.status != 404:
            raise
        raise Conflict(f"{undo.kind} {ref}: someone deleted it; there is nothing to put back") from error


def removed(thing: str, undo: Undo) -> list[Change]:
    """What giving an object up takes off it, for people."""
    return [
        Change(thing, f"label {LABEL}", undo.run, None),
        Change(thing, f"annotation {ANNOTATION}", "the undo record", None),
    ]


def slip_of(undo_id: str, namespace: str) -> Ref:
    """The ConfigMap that carries a record, known as soon as the id of the undo is."""
    return Ref(SLIPS, namespace, f"blackstart-undo-{hashlib.sha256(undo_id.encode()).hexdigest()[:12]}")


def slip(undo: Undo, namespace: str) -> Ref:
    """The ConfigMap that carries this record."""
    return slip_of(undo.id, namespace)


def leave_slip(kube: Kube, undo: Undo, namespace: str, fence: Callable[[], None]) -> None:
    """Put the record beside what is about to be made or deleted. Raises KubeError, or what `fence` does.

    Where a guardian is, an empty slip waits for the record: a guardian that
    took over has given it a new version, or it is gone, so that a record that
    comes late is refused.
    """
    ref = slip(undo, namespace)
    found = kube.find(ref)
    if found is None:
        fence()
        metadata = {"name": ref.name, "namespace": namespace, **marked(undo)}
        kube.create(ref, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    elif run_of(found) is None:
        version = found["metadata"]["resourceVersion"]
        fence()
        failpoint("slip.before")
        # What carries a record does not end with the run.
        kube.patch(ref, {"metadata": {**marked(undo), "ownerReferences": None, "resourceVersion": version}})


def slip_left(kube: Kube, undo: Undo, namespace: str) -> bool:
    """Whether the record is there. Raises KubeError."""
    found = kube.find(slip(undo, namespace))
    return found is not None and run_of(found) == undo.run


def take_slip(kube: Kube, undo: Undo, namespace: str) -> None:
    """Remove the record; nothing happens where there is none. Raises KubeError."""
    try:
        kube.delete(slip(undo, namespace))
    except KubeError as error:
        if error.status != 404:
            raise
