from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from faultkit import APP, RUN, Bench, bench

from blackstart.cli.recover import command
from blackstart.evidence.records import FaultState
from blackstart.faults.inject import inject
from blackstart.faults.scale import FAULT


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path / "state"))
    with bench(tmp_path) as found:
        inject(FAULT, found.fleet, {"service": "frontend", "region": "primary"}, found.context())
        yield found


def recover(*options: str) -> tuple[int, str]:
    result: Result = CliRunner().invoke(command, list(options), standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.return_value, result.output


def test_it_puts_back_without_memory_of_the_run_and_twice_changes_nothing(here: Bench) -> None:
    assert recover() == (0, f"{RUN}/scale-1 (scale us/production/{APP}): put back\nnothing is outstanding\n")
    assert here.replicas == 3
    assert recover() == (0, "nothing is outstanding\n")
    assert len(here.api.patches) == 2


def test_a_dry_run_changes_nothing(here: Bench) -> None:
    code, text = recover("--dry-run")
    assert code == 14
    assert "would put back" in text
    assert "'replicas': 3" in text
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
