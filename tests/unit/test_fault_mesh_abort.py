"""mesh-abort, and what all faults of routes have in common."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faultkit import RUN, Bench, bench
from loopback import http
from routekit import REF, add

from blackstart.evidence.records import FaultState
from blackstart.evidence.undo import Undo
from blackstart.faults import foreign
from blackstart.faults import inject as injecting
from blackstart.faults.base import FaultError
from blackstart.faults.changes import changes
from blackstart.faults.inject import Ineffective, inject, restore, still_there
from blackstart.faults.marks import ANNOTATION, LABEL
from blackstart.faults.mesh_abort import FAULT

ARGS = {"service": "frontend", "region": "primary", "percentage": 50, "status": 503}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        found.service.answer = lambda head: (
            http({}, "503 No") if "fault" in str(found.api.objects[REF.path]) else http({})
        )
        yield found


def _restore(here: Bench) -> FaultState:
    (entry,) = here.store.read(RUN).outstanding
    return restore(entry, here.fleet, here.context())


def test_it_comes_and_goes_with_the_record_in_the_same_patch(here: Bench) -> None:
    found = add(here)
    before = copy.deepcopy(found)
    inject(FAULT, here.fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]
    (route,) = found["spec"]["http"]
    assert route["fault"] == {"abort": {"percentage": {"value": 50.0}, "httpStatus": 503}}
    assert route["timeout"] == "1s"
    assert found["metadata"]["labels"][LABEL] == RUN
    record = Undo.model_validate_json(found["metadata"]["annotations"][ANNOTATION])
    assert record.before["spec"] == before["spec"]
    (entry,) = here.store.read(RUN).outstanding
    assert [change.field for change in changes(FAULT, here.fleet, entry.undo)] == [
        "spec.http",
        f"label {LABEL}",
        f"annotation {ANNOTATION}",
    ]
    assert _restore(here) is FaultState.CONFIRMED_REVERTED
    assert found["spec"] == before["spec"]
    assert found["metadata"]["labels"] == {"team": "a"}
    assert changes(FAULT, here.fleet, entry.undo) == []


def test_a_guardian_needs_exactly_this_object(here: Bench) -> None:
    (target,) = FAULT.targets(here.fleet, {**ARGS, "virtual_service": "other"})
    assert foreign.about(target.data) == {("us", REF.resource, "production", "other")}
    assert getattr(FAULT, "guarded", True)


def test_a_fault_of_somebody_else_on_the_route_comes_back(here: Bench) -> None:
    own = {"delay": {"fixedDelay": "1s"}}
    found = add(here, {"route": [{"destination": {"host": "a"}}], "fault": own})
    here.service.answer = lambda head: http({}, "503 No") if "abort" in str(found) else http({})
    inject(FAULT, here.fleet, ARGS, here.context())
    assert set(found["spec"]["http"][0]["fault"]) == {"abort", "delay"}
    _restore(here)
    assert found["spec"]["http"][0]["fault"] == own


def test_somebody_elses_change_is_left_alone(here: Bench) -> None:
    found = add(here)
    inject(FAULT, here.fleet, ARGS, here.context())
    found["spec"]["http"][0]["timeout"] = "3s"
    found["metadata"]["resourceVersion"] = "99"
    still_there(here.store.read(RUN).outstanding, here.fleet, here.context())
    assert "its routes are no longer what this run wrote" in here.said()
    assert _restore(here) is FaultState.CONFLICT
    assert found["spec"]["http"][0]["timeout"] == "3s"
    assert "kubectl label virtualservices" in here.said()


def test_one_that_someone_deleted_is_a_conflict(here: Bench) -> None:
    add(here)
    inject(FAULT, here.fleet, ARGS, here.context())
    del here.api.objects[REF.path]
    assert _restore(here) is FaultState.CONFLICT


def test_a_change_between_reading_and_writing_is_not_overwritten(here: Bench) -> None:
    found = add(here)
    (target,) = FAULT.targets(here.fleet, ARGS)
    before = FAULT.capture(here.fleet, target)
    found["spec"]["hosts"] = ["other"]
    undo = Undo(
        run=RUN,
        fault="f",
        kind="mesh-abort",
        target="t",
        fleet="",
        clusters={},
        data=target.data,
        before=before,
        at="x",
    )
    with pytest.raises(FaultError, match="someone changed it just now"):
        FAULT.apply(here.fleet, undo, lambda: None)
    assert LABEL not in found["metadata"]["labels"]


def test_clients_that_feel_nothing_make_it_ineffective(here: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    add(here)
    here.service.answer = lambda head: http({})
    monkeypatch.setattr(injecting, "BITES_WITHIN", 0.3)
    with pytest.raises(Ineffective, match="has not felt it"):
        inject(FAULT, here.fleet, ARGS, here.context())
    assert _restore(here) is FaultState.CONFIRMED_REVERTED


def test_an_entry_that_answers_so_already_proves_nothing(here: Bench) -> None:
    add(here)
    here.service.answer = lambda head: http({}, "503 No")
    with pytest.raises(FaultError, match=r"answers 503 after .* already"):
        inject(FAULT, here.fleet, ARGS, here.context())


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"percentage": 0}, "above 0, at most 100"),
        ({"status": 200}, "from 400 to 599"),
        ({"virtual_service": "none"}, "no such VirtualService"),
        ({"service": "x"}, "unknown service"),
    ],
)
def test_bad_arguments_are_told(here: Bench, args: dict[str, Any], why: str) -> None:
    add(here)
    with pytest.raises(FaultError, match=why):
        inject(FAULT, here.fleet, {**ARGS, **args}, here.context())
