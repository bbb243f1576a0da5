from pathlib import Path
from typing import Any

import pytest
from faultkit import APP, RUN, Bench, bench

from blackstart.evidence.records import FaultEvent, FaultState
from blackstart.evidence.undo import Undo
from blackstart.faults import inject as injecting
from blackstart.faults.base import FaultError
from blackstart.faults.inject import Ineffective, inject, restore, restore_all, still_there
from blackstart.faults.marks import ANNOTATION, LABEL
from blackstart.faults.scale import FAULT
from blackstart.fleet.kube import KubeError, WrongCluster

ARGS = {"service": "frontend", "region": "primary"}
WENT_WELL = [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]
CAME_BACK = [FaultState.REVERTED, FaultState.CONFIRMED_REVERTED]


@pytest.fixture
def here(tmp_path: Path) -> Any:
    with bench(tmp_path) as found:
        yield found


def _restore(here: Bench) -> FaultState:
    (entry,) = here.store.read(RUN).outstanding
    return restore(entry, here.fleet, here.context())


def test_it_breaks_proves_and_puts_back(here: Bench) -> None:
    assert inject(FAULT, here.fleet, ARGS, here.context()) == ["scale-1"]
    assert here.states() == WENT_WELL
    confirmed = here.events[-1]
    assert isinstance(confirmed, FaultEvent)
    assert confirmed.t0 is not None
    assert 0 <= confirmed.t0.latest - confirmed.t0.earliest < 1
    assert here.replicas == 0

    assert _restore(here) is FaultState.CONFIRMED_REVERTED
    assert here.states() == WENT_WELL + CAME_BACK
    assert here.replicas == 3
    meta = here.api.deployments[APP]["metadata"]
    assert not meta["labels"]
    assert not meta["annotations"]
    assert here.store.read(RUN).outstanding == []


def test_one_patch_carries_the_change_the_label_and_the_undo_record(here: Bench) -> None:
    inject(FAULT, here.fleet, ARGS, here.context())
    (patch,) = here.api.patches
    assert patch["spec"] == {"replicas": 0}
    assert patch["metadata"]["labels"] == {LABEL: RUN}
    undo = Undo.model_validate_json(patch["metadata"]["annotations"][ANNOTATION])
    assert undo == here.store.read(RUN).outstanding[0].undo
    assert undo.before["replicas"] == 3


def test_the_record_is_on_disk_before_the_change(here: Bench) -> None:
    seen: list[FaultState] = []
    here.api.before_patch = lambda: seen.extend(e.state for e in here.store.read(RUN).outstanding)
    inject(FAULT, here.fleet, ARGS, here.context())
    assert seen == [FaultState.ARMED]


def test_a_full_disk_injects_nothing(here: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("blackstart.evidence.undo.write_whole", full)
    with pytest.raises(Exception, match="No space left"):
        inject(FAULT, here.fleet, ARGS, here.context())
    assert here.api.patches == []
    assert here.states() == [FaultState.FAILED]


def test_a_disk_that_fills_up_later_does_not_stop_the_undo(here: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    inject(FAULT, here.fleet, ARGS, here.context())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (entry,) = here.store.read(RUN).outstanding
    monkeypatch.setattr("blackstart.evidence.undo.write_whole", full)
    assert restore(entry, here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert here.replicas == 3
    assert "stays on the list" in here.said()


def test_the_wrong_cluster_is_refused(here: Bench) -> None:
    here.api.uid = "someone-else"
    with pytest.raises(WrongCluster, match="leads to another cluster"):
        inject(FAULT, here.fleet, ARGS, here.context())
    assert here.api.patches == []
    assert here.states() == [FaultState.FAILED]
    assert here.store.read().latest == {}


def test_a_change_of_its_status_in_between_is_no_conflict(here: Bench) -> None:
    left = [1, 1]
    here.api.before_patch = lambda: here.api.touch(APP) if left and left.pop() else None
    inject(FAULT, here.fleet, ARGS, here.context())
    assert here.states() == WENT_WELL
    assert len(here.api.patches) == 1


def test_a_scale_by_someone_else_in_between_is_refused(here: Bench) -> None:
    def rescale() -> None:
        here.api.deployments[APP]["spec"]["replicas"] = 5
        here.api.settle(APP)

    here.api.before_patch = rescale
    with pytest.raises(FaultError, match="someone changed it just now"):
        inject(FAULT, here.fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.FAILED]
    assert _restore(here) is FaultState.CONFIRMED_REVERTED
    assert here.replicas == 5


def test_reverting_never_clobbers(here: Bench) -> None:
    inject(FAULT, here.fleet, ARGS, here.context())
    here.api.deployments[APP]["spec"]["replicas"] = 2
    here.api.settle(APP)
    assert _restore(here) is FaultState.CONFLICT
    assert here.replicas == 2
    assert "it had 3, the drill wrote 0" in here.said()
    # Twice changes nothing, on disk either.
    files = sorted(here.store.folder(RUN).iterdir())
    assert _restore(here) is FaultState.CONFLICT
    assert sorted(here.store.folder(RUN).iterdir()) == files
    # Whoever takes the label away has accepted it.
    here.api.deployments[APP]["metadata"]["labels"] = {}
    assert _restore(here) is FaultState.CONFIRMED_REVERTED
    assert here.replicas == 2


def test_put_back_by_hand_only_the_label_goes(here: Bench) -> None:
    inject(FAULT, here.fleet, ARGS, here.context())
    here.api.deployments[APP]["spec"]["replicas"] = 3
    here.api.settle(APP)
    assert _restore(here) is FaultState.CONFIRMED_REVERTED
    assert here.replicas == 3
    assert not here.api.deployments[APP]["metadata"]["labels"]


def test_a_deployment_that_serves_nothing_proves_nothing(here: Bench) -> None:
    here.api.on_scale = lambda count: None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(injecting, "BITES_WITHIN", 0.8)
        with pytest.raises(Ineffective, match="still working"):
            inject(FAULT, here.fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.APPLIED, FaultState.INEFFECTIVE]
    assert _restore(here) is FaultState.CONFIRMED_REVERTED
    assert here.replicas == 3


def test_an_entry_that_does_not_answer_before_proves_nothing(here: Bench) -> None:
    here.service.shut()
    with pytest.raises(Exception, match="must answer before the fault"):
        inject(FAULT, here.fleet, ARGS, here.context())
    assert here.api.patches == []
    assert here.store.read().latest == {}


def test_a_refused_change_fails_and_is_reverted_as_usual(here: Bench) -> None:
    here.api.fail = lambda method, path: (403, "no right to patch") if method == "PATCH" else None
    with pytest.raises(KubeError, match="no right to patch"):
        inject(FAULT, here.fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.FAILED]
    assert _restore(here) is FaultState.CONFIRMED_REVERTED


def test_an_api_server_that_is_away_is_asked_again(here: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    inject(FAULT, here.fleet, ARGS, here.context())
    left = [1, 1, 1]
    here.api.fail = lambda method, path: (503, "starting") if left and left.pop() else None
    assert _restore(here) is FaultState.CONFIRMED_REVERTED
    assert here.replicas == 3


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda api: api.deployments[APP]["metadata"].update(labels={LABEL: "other"}), "label of run other"),
        (lambda api: api.deployments[APP]["spec"].update(replicas=0), "nothing to break"),
        (
            lambda api: api.autoscalers.append(
                {"metadata": {"name": "hpa"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": APP}}}
            ),
            "autoscaler hpa owns",
        ),
        (lambda api: api.deployments.clear(), "not found"),
    ],
)
def test_what_cannot_be_broken_cleanly_is_refused(here: Bench, spoil: Any, why: str) -> None:
    spoil(here.api)
    with pytest.raises(Exception, match=why):
        inject(FAULT, here.fleet, ARGS, here.context())
    assert here.states() == [FaultState.FAILED]
    assert here.store.read().latest == {}


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({**ARGS, "replicas": -1}, "whole number"),
        ({**ARGS, "region": "primry"}, 'did you mean "primary"'),
        ({**ARGS, "service": "backend"}, "unknown service or role"),
    ],
)
def test_bad_arguments_are_told(here: Bench, args: dict[str, Any], why: str) -> None:
    with pytest.raises(FaultError, match=why):
        inject(FAULT, here.fleet, args, here.context())
    assert here.states() == [FaultState.FAILED]


def test_above_zero_it_claims_no_path(here: Bench) -> None:
    inject(FAULT, here.fleet, {**ARGS, "replicas": 1}, here.context())
    assert here.states() == WENT_WELL
    assert _restore(here) is FaultState.CONFIRMED_REVERTED


def test_a_fault_that_someone_undid_during_the_hold_is_told(here: Bench) -> None:
    inject(FAULT, here.fleet, ARGS, here.context())
    here.api.deployments[APP]["spec"]["replicas"] = 3
    here.api.settle(APP)
    still_there(here.store.read(RUN).outstanding, here.fleet, here.context())
    assert here.states()[-1] is FaultState.INEFFECTIVE
    assert "gone before the undo began" in here.said()


def test_a_cluster_that_cannot_be_asked_is_not_a_fault_that_is_gone(here: Bench) -> None:
    inject(FAULT, here.fleet, ARGS, here.context())
    here.api.fail = lambda method, path: (503, "dying")
    still_there(here.store.read(RUN).outstanding, here.fleet, here.context())
    assert here.states() == WENT_WELL
    assert "not looked at before the undo" in here.said()


def test_what_nobody_foresaw_does_not_stop_the_others(here: Bench) -> None:
    inject(FAULT, here.fleet, ARGS, here.context())
    (entry,) = here.store.read(RUN).outstanding
    odd = entry.model_copy(update={"undo": entry.undo.model_copy(update={"fault": "scale-2", "data": {"x": 1}})})
    assert restore_all([odd, entry], here.fleet, here.context()) == ["scale-2"]
    assert here.replicas == 3


def test_a_fleet_with_other_clusters_is_refused(here: Bench) -> None:
    inject(FAULT, here.fleet, ARGS, here.context())
    text = here.fleet_file.read_text()
    here.fleet_file.write_text(text.replace(here.api.uid, "another"))
    assert restore_all(here.store.read(RUN).outstanding, here.fleet, here.context()) == ["scale-1"]
    assert "name the right file with --fleet" in here.said()
    assert here.replicas == 0


def test_two_faults_of_a_run_have_their_own_ids(here: Bench) -> None:
    context = here.context()
    with pytest.raises(FaultError):
        inject(FAULT, here.fleet, {**ARGS, "region": "x"}, context)
    assert inject(FAULT, here.fleet, ARGS, context) == ["scale-2"]
