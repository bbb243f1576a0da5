import copy
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from faultkit import APP, RUN, Bench, bench

from blackstart.cli import cli
from blackstart.evidence.records import FaultState
from blackstart.faults.inject import inject
from blackstart.faults.marks import ANNOTATION, LABEL
from blackstart.faults.scale import FAULT


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path / "state"))
    # Never the lab that may be here.
    monkeypatch.setenv("BLACKSTART_FLEET", str(tmp_path / "fleet.yaml"))
    with bench(tmp_path) as found:
        inject(FAULT, found.fleet, {"service": "frontend", "region": "primary"}, found.context())
        yield found


def recover(*options: str) -> tuple[int, str]:
    result: Result = CliRunner().invoke(cli, ["recover", *options], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.return_value, result.output


def test_it_puts_back_without_memory_of_the_run_and_twice_changes_nothing(here: Bench) -> None:
    assert recover() == (0, f"{RUN}/scale-1 (scale us/production/{APP}): put back\nnothing is outstanding\n")
    assert here.replicas == 3
    assert recover() == (0, "nothing to put back\n")
    assert len(here.api.patches) == 2


def test_a_dry_run_changes_nothing(here: Bench) -> None:
    code, text = recover("--dry-run")
    assert code == 14
    assert text == (
        f"{RUN}/scale-1 (scale us/production/{APP}): would change\n"
        f"  us: deployment production/{APP}: spec.replicas: 0 -> 3\n"
        f"  us: deployment production/{APP}: label {LABEL}: {RUN} -> (none)\n"
        f"  us: deployment production/{APP}: annotation {ANNOTATION}: the undo record -> (none)\n"
    )
    assert here.replicas == 0


def test_a_run_that_goes_on_is_left_alone_unless_named(here: Bench) -> None:
    with here.store.alive(RUN):
        code, text = recover()
        assert code == 14
        assert "its run still goes on; name it with --run, or use --all" in text
        assert here.replicas == 0
        assert recover("--all")[0] == 0
    assert here.replicas == 3


def test_a_run_that_is_named_is_put_back_though_alive(here: Bench) -> None:
    with here.store.alive(RUN):
        assert recover("--run", RUN)[0] == 0


def test_a_conflict_is_told_with_both_values_and_left_alone(here: Bench) -> None:
    here.api.deployments[APP]["spec"]["replicas"] = 2
    here.api.settle(APP)
    code, text = recover()
    assert code == 14
    assert "conflict, left alone: scale us/production/user-service: has 2 replicas; it had 3" in text
    assert here.replicas == 2


def test_one_problem_does_not_stop_the_others(here: Bench) -> None:
    undo = here.store.read(RUN).outstanding[0].undo
    here.store.arm(undo.model_copy(update={"fault": "scale-9", "at": "2999-01-01", "fleet": "/no/such/fleet.yaml"}))
    (here.store.folder(RUN) / "x-1.0.armed.json").write_text("{")
    code, text = recover()
    assert code == 14
    lines = text.splitlines()
    assert "x-1.0.armed.json: damaged" in lines[0]
    assert lines[1].startswith(f"{RUN}/scale-9")
    assert "NOT put back: /no/such/fleet.yaml: no such file" in lines[1]
    assert lines[2].endswith("put back")
    assert here.replicas == 3


def test_another_fleet_file_may_be_named(here: Bench, tmp_path: Path) -> None:
    moved = here.fleet_file.rename(tmp_path / "moved.yaml")
    assert recover()[0] == 14
    assert recover("--fleet", str(moved))[0] == 0
    assert here.store.read(RUN).latest[f"{RUN}/scale-1"].state is FaultState.CONFIRMED_REVERTED


def test_an_unknown_run_is_told(here: Bench) -> None:
    with pytest.raises(Exception, match=f"no run 'x' in .*; known: {RUN}"):
        recover("--run", "x")


# -- from the fleet alone


def forget(here: Bench) -> None:
    """The undo store is lost, with its machine."""
    shutil.rmtree(here.folder / "state")


def claim(here: Bench, name: str, holder: str = RUN, seconds: int = 1) -> str:
    path = f"/apis/coordination.k8s.io/v1/namespaces/production/leases/{name}"
    meta = {"name": name, "namespace": "production", "uid": "u", "resourceVersion": "1", "labels": {LABEL: RUN}}
    spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": "then"}
    here.api.objects[path] = {"metadata": meta, "spec": spec}
    return path


def test_without_any_record_the_label_is_enough(here: Bench) -> None:
    forget(here)
    code, text = recover("--dry-run")
    assert code == 14
    assert "spec.replicas: 0 -> 3" in text
    assert here.replicas == 0
    assert not (here.folder / "state").exists()
    code, text = recover()
    assert code == 0, text
    assert f"{RUN}/scale-1 (scale us/production/{APP}): put back, from the label on us: deployment" in text
    assert here.replicas == 3
    assert recover() == (0, "nothing to put back\n")


def test_a_run_is_found_by_its_label(here: Bench) -> None:
    forget(here)
    with pytest.raises(Exception, match="no run 'other'"):
        recover("--run", "other")
    assert recover("--run", RUN)[0] == 0
    assert here.replicas == 3


def test_a_label_without_a_record_is_a_conflict(here: Bench) -> None:
    forget(here)
    here.api.deployments[APP]["metadata"]["annotations"] = {ANNOTATION: "{"}
    code, text = recover()
    assert code == 14
    assert "conflict, left alone: it has the label of run run-1, but no undo record" in text
    assert here.replicas == 0
    assert "conflict, would be left alone" in recover("--dry-run")[1]


def test_what_came_back_after_it_was_put_back_is_put_back_again(here: Bench) -> None:
    """As when a process that was taken for dead woke up."""
    before = copy.deepcopy(here.api.deployments[APP])
    assert recover()[0] == 0
    here.api.deployments[APP] = before
    here.api.settle(APP)
    code, text = recover()
    assert code == 0, text
    assert here.replicas == 3


def test_the_leases_of_a_dead_run_go_last(here: Bench) -> None:
    lock, lease = claim(here, "blackstart-lock-us"), claim(here, "blackstart-abc")
    code, text = recover("--dry-run")
    assert "holder: run-1 -> (none)" in text
    assert {lock, lease} <= set(here.api.objects)
    code, text = recover()
    assert code == 0, text
    assert not {lock, lease} & set(here.api.objects)
    assert text.index("scale-1") < text.index("lease production/blackstart-abc of run-1: removed")


def test_leases_stay_while_something_is_left(here: Bench) -> None:
    lease = claim(here, "blackstart-abc")
    here.api.deployments[APP]["spec"]["replicas"] = 2
    assert recover()[0] == 14
    assert lease in here.api.objects


def test_a_run_elsewhere_that_renews_its_lease_is_left_alone(here: Bench) -> None:
    forget(here)
    path = claim(here, "blackstart-abc", seconds=3)

    def renew() -> None:
        here.api.objects[path]["spec"]["renewTime"] = "now"

    timer = threading.Timer(1.0, renew)
    timer.start()
    code, text = recover()
    timer.join()
    assert here.replicas == 0
    assert path in here.api.objects
    assert (code, text) == (
        14,
        "run run-1: left alone, somebody renews its Lease; name it with --run, or use --all\n",
    )
    assert recover("--all")[0] == 0
    assert here.replicas == 3


def test_a_dead_run_elsewhere_is_fenced_off_first(here: Bench) -> None:
    forget(here)
    path = claim(here, "blackstart-abc")
    holders = []
    here.api.before_patch = lambda: holders.append(here.api.objects[path]["spec"]["holderIdentity"])
    assert recover()[0] == 0
    assert holders == ["recover"]
    assert path not in here.api.objects


def test_a_cluster_that_is_away_is_asked_again(here: Bench) -> None:
    forget(here)
    away = [True]
    here.api.fail = lambda method, path: (503, "starting") if away else None
    timer = threading.Timer(1.5, away.clear)
    timer.start()
    code, text = recover("--deadline", "20s")
    timer.join()
    assert code == 0, text
    assert "fake: us: not yet, asking again for" in text
    assert "answers, 1 more" in text
    assert here.replicas == 3


def test_a_cluster_that_stays_away_is_told(here: Bench) -> None:
    forget(here)
    here.api.fail = lambda method, path: (503, "starting")
    code, text = recover("--deadline", "1s")
    assert code == 14
    assert "fake: us: NOT put back" in text
    assert "HTTP 503 starting" in text


def test_the_rest_does_not_wait_for_a_cluster_that_is_away(here: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    undo = here.store.read(RUN).outstanding[0].undo
    powered = undo.model_copy(
        update={
            "fault": "kill-1",
            "kind": "kill",
            "target": "us",
            "data": {"region": "us"},
            "before": {"containers": []},
        }
    )
    here.store.arm(powered)
    (here.folder / "power").write_text("dead")
    # The cluster comes back with its region; neither waits for the other.
    here.api.fail = lambda method, path: (503, "off") if "dead" in (here.folder / "power").read_text() else None
    monkeypatch.setattr("blackstart.faults.kill.paths.all_answer", lambda *_: "all")
    code, text = recover("--deadline", "30s")
    assert code == 0, text
    assert here.replicas == 3


def test_cuts_without_a_record_are_removed(here: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    text = here.fleet_file.read_text()
    here.fleet_file.write_text(text.replace("here: {}", f"here: {{netns: {here.folder}}}"))
    tables = {"bs_fault_run_1_sever_1", "bs_fault_alive_sever_1"}
    monkeypatch.setattr("blackstart.fleet.nft.tables", lambda place: sorted(tables) if place.netns else [])
    monkeypatch.setattr("blackstart.fleet.nft.drops", lambda place, table: True)
    monkeypatch.setattr("blackstart.fleet.nft.remove", lambda place, table: tables.discard(table))
    with here.store.alive("alive"):
        code, said = recover()
    assert "place here: nft table bs_fault_run_1_sever_1: removed" in said
    assert tables == {"bs_fault_alive_sever_1"}
    assert code == 0
