"""Steps without a store: commands, people, time; and how a drill goes through them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loopback import fleet
from runkit import World, a_fleet, drill, parts

from blackstart.evidence.promotions import Promotions
from blackstart.evidence.records import Line, Phase, PhaseStart
from blackstart.evidence.steps import StepEvent, StepState
from blackstart.evidence.written import Writes
from blackstart.judge import judge
from blackstart.procedures.base import Late, NotExecuted, StepError, Work, nobody, run_step
from blackstart.run import supervisor, watch
from blackstart.run.parts import Outcome
from blackstart.schema.drill import Steady
from blackstart.schema.procedure import Step


def a_work(folder: Path, **changes: Any) -> Work:
    return replace(Work(fleet(), "run-1", folder, Promotions(folder / "state")), **changes)


def do(work: Work, **keys: Any) -> str:
    return run_step(work, Step.model_validate({"name": "it", "deadline": 10.0, **keys}))


def test_a_command_gets_no_shell_and_little_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cret")
    said = do(a_work(tmp_path), command=["sh", "-c", 'echo "$TOKEN|$BLACKSTART_RUN|$1"', "x", "$(id)"])
    assert said.endswith("ended with 0: |run-1|$(id)")


def test_a_command_that_fails_says_why_and_its_output_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"ended with 3: .*no such zone") as found:
        do(
            a_work(tmp_path),
            command=["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; echo no such zone; exit 3"],
        )
    assert len(str(found.value)) < 3000
    with pytest.raises(StepError, match="cannot be run: No such file"):
        do(a_work(tmp_path), command=["/nowhere/flip-dns"])


def test_secrets_of_the_fleet_are_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "hunter2hunter2")
    store = {
        "kind": "redis",
        "members": {"us": {"address": "127.0.0.1:1", "place": "here"}},
        "primary": "us",
        "admin": {"password": "${env:PW}"},
    }
    work = a_work(tmp_path, fleet=fleet(stores={"cache": store}))
    assert do(work, command=["echo", "hunter2hunter2"]).endswith("0: ${env:PW}")


def test_a_command_ends_with_its_deadline_and_with_the_run(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    argv = ["sh", "-c", f"sleep 60 & echo $! > {pidfile}; wait"]
    with pytest.raises(Late, match=r"did not end within 0\.5 s and was killed"):
        do(a_work(tmp_path), command=argv, deadline=0.5)
    with pytest.raises(NotExecuted, match="the run ended early"):
        do(a_work(tmp_path, stopped=pidfile.exists), command=argv)
    time.sleep(0.2)
    state = Path(f"/proc/{int(pidfile.read_text())}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_a_manual_step_needs_an_answer(tmp_path: Path) -> None:
    with pytest.raises(NotExecuted, match="or answer beforehand by `--confirm 'it'`"):
        do(a_work(tmp_path), manual="flip the DNS")
    assert "answered beforehand" in do(a_work(tmp_path, confirmed=frozenset({"it"})), manual="flip the DNS")
    asked: list[str] = []
    do(a_work(tmp_path, ask=lambda name, text, seconds, stopped: asked.append(text)), manual="flip the DNS")
    assert asked == ["flip the DNS"]


def test_a_step_does_exactly_one_thing() -> None:
    with pytest.raises(ValueError, match=r"exactly one of .*; found none"):
        Step.model_validate({"name": "it"})
    with pytest.raises(ValueError, match="found command, wait"):
        Step.model_validate({"name": "it", "command": ["true"], "wait": 1.0})


# -- in a drill


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "GRACE", 0.1)
    monkeypatch.setattr(supervisor, "GRACE", 0.1)


def run(
    folder: Path,
    mode: str = "well",
    listener: Callable[[float, Any], None] | None = None,
    world: World | None = None,
    confirmed: frozenset[str] = frozenset(),
    **changes: Any,
) -> tuple[Outcome, list[Line]]:
    world = world or World(folder)
    reports = folder / "report"
    reports.mkdir()
    work = Work(a_fleet(), "run-1", reports, Promotions(folder / "state"), nobody, confirmed)
    return asyncio.run(drill(reports, parts(world, mode, work=work), listener, **changes))


def events(lines: list[Line]) -> list[tuple[str, str, str]]:
    return [(x.body.part, x.body.step, x.body.state.value) for x in lines if isinstance(x.body, StepEvent)]


def at(lines: list[Line], found: Callable[[Any], bool]) -> float:
    return next(line.t for line in lines if found(line.body))


def steps(*kinds: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": f"step {number}", "deadline": 5.0, **kind} for number, kind in enumerate(kinds)]


def test_it_begins_when_clients_see_it_and_runs_in_the_hold_and_after_the_undo(tmp_path: Path) -> None:
    world = World(tmp_path, eu_sick=lambda: (tmp_path / "down").exists() and not (tmp_path / "promoted").exists())
    outcome, lines = run(
        tmp_path,
        world=world,
        procedure=steps({"wait": 0.2}, {"command": ["touch", str(tmp_path / "promoted")]}),
        failback_procedure=steps({"command": ["true"]}),
        guards=[],
        phases={"baseline": 0.3, "inject": 3.0, "hold": 2.0, "undo": 3.0, "failback": 3.0, "settle": 0.0},
    )
    assert outcome.end.how == "complete"
    assert events(lines) == [
        ("procedure", "step 0", "started"),
        ("procedure", "step 0", "done"),
        ("procedure", "step 1", "started"),
        ("procedure", "step 1", "done"),
        ("failback", "step 0", "started"),
        ("failback", "step 0", "done"),
    ]
    result = judge(lines)
    assert [step.outcome for step in result.steps] == ["done"] * 3
    clock = result.clock["user-service"]
    assert clock.split
    assert clock.recovered_s
    assert clock.split.propagate_s is not None
    assert clock.split.decide_s > 0.1
    whole = clock.split.detect_s + clock.split.decide_s + clock.split.promote_s + clock.split.propagate_s
    assert whole == pytest.approx(clock.recovered_s, abs=0.01)


def test_no_outage_no_procedure_and_never_green(tmp_path: Path) -> None:
    _, lines = run(tmp_path, procedure=steps({"command": ["true"]}), steady={"success": 0.01, "window": 0.3})
    assert events(lines) == [("procedure", "step 0", "not_executed")]
    assert any("saw an outage in the hold" in reason for reason in judge(lines).reasons)


def test_a_failed_step_stops_the_procedure_and_the_drill_goes_on(tmp_path: Path) -> None:
    outcome, lines = run(
        tmp_path, detect="fault", procedure=steps({"command": ["false"]}, {"command": ["true"]}, {"wait": 0.0})
    )
    assert outcome.end.how == "complete"
    assert [state for _, _, state in events(lines)] == ["started", "failed", "not_executed", "not_executed"]
    assert Phase.SETTLE in [line.body.phase for line in lines if isinstance(line.body, PhaseStart)]


def test_a_manual_step_without_an_answer_is_not_executed_and_flags_answer(tmp_path: Path) -> None:
    _, lines = run(tmp_path, detect="fault", procedure=steps({"manual": "flip it"}, {"command": ["true"]}))
    assert [state for _, _, state in events(lines)] == ["started", "not_executed", "not_executed"]
    (tmp_path / "b").mkdir()
    _, lines = run(
        tmp_path / "b", detect="fault", procedure=steps({"manual": "flip it"}), confirmed=frozenset({"step 0"})
    )
    assert [(x.body.by, x.body.state.value) for x in lines if isinstance(x.body, StepEvent)] == [
        ("flag", "started"),
        ("flag", "done"),
    ]


def test_a_signal_begins_no_further_step_and_the_undo_waits_for_none_that_can_stop(tmp_path: Path) -> None:
    def strike(_: float, body: Any) -> None:
        if isinstance(body, StepEvent) and body.state is StepState.STARTED:
            os.kill(os.getpid(), signal.SIGINT)

    began = time.monotonic()
    outcome, lines = run(
        tmp_path,
        listener=strike,
        detect="fault",
        procedure=steps({"wait": 60.0}, {"command": ["true"]}),
        failback_procedure=steps({"command": ["true"]}),
    )
    assert time.monotonic() - began < 30
    assert outcome.end.how == "interrupted"
    assert events(lines) == [
        ("procedure", "step 0", "started"),
        ("procedure", "step 0", "not_executed"),
        ("procedure", "step 1", "not_executed"),
        ("failback", "step 0", "not_executed"),
    ]


def test_a_step_of_a_store_is_never_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The undo begins after it, whoever wants the run to end."""
    from blackstart.procedures import promote

    def slow(self: object, work: Work, step: Step, deadline: object) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1.0)
        return "promoted"

    monkeypatch.setattr(type(promote.STEP), "run", slow)
    _, lines = run(
        tmp_path, detect="fault", procedure=steps({"promote": {"store": "orders", "to": "eu"}}, {"command": ["true"]})
    )
    assert [state for _, _, state in events(lines)] == ["started", "done", "not_executed"]
    done = at(lines, lambda body: isinstance(body, StepEvent) and body.state is StepState.DONE)
    assert done <= at(lines, lambda body: isinstance(body, PhaseStart) and body.phase is Phase.UNDO)


@pytest.mark.parametrize(
    ("state", "counts", "out"),
    [
        ("running", (20, 0, 0), False),
        ("running", (20, 0, 1), True),
        ("running", (0, 5, 0), True),
        ("running", (0, 0, 0), True),
        ("paused", (0, 0, 0), False),
    ],
)
def test_writers_see_an_outage_too(state: str, counts: tuple[int, int, int], out: bool) -> None:
    ok, failed, indeterminate = counts
    body = {"service": "shop", "state": state, "sent": 20, "lines": 1, "digest": ""}
    last = Writes.model_validate({**body, "ok": ok, "failed": failed, "indeterminate": indeterminate})
    assert bool(watch.writers_out(last, Steady(success=0.99))) is out
    assert watch.writers_out(None, Steady()) is None
