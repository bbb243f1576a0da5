"""Whole runs, killed and stopped at any point, on a cluster in memory: everything is as before in time, by itself.

The same matrix with real clusters, all faults and all points: tests/lab/test_crash_matrix.py.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from crashkit import TTL, Crash, crash

MARGIN = 3.0
"""Seconds that putting back may take, beyond the lease."""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Crash]:
    with crash(tmp_path) as found:
        yield found


def full(*points: str) -> list[object]:
    """For `make test-full`."""
    return [pytest.param(point, marks=pytest.mark.full) for point in points]


def points(role: str, point: str, action: str = "kill") -> dict[str, str]:
    return {"BLACKSTART_FAILPOINT": f"{point}={action}", "BLACKSTART_FAILPOINT_ROLE": role}


def test_nothing_dies(run: Crash) -> None:
    with run.run() as supervisor:
        assert supervisor.wait(90) == 0, run.said()
        run.until_quiet(5)
    assert run.state() == run.before


@pytest.mark.parametrize("point", ["apply.after", *full("arm.after", "patch.before", "held", "reverted.after")])
def test_the_child_dies(run: Crash, point: str) -> None:
    with run.run(**points("child", point)) as supervisor:
        run.struck()
        assert supervisor.wait(60) != 14, run.said()
        assert "is lost" not in run.said()
        run.until_quiet(5)
    assert run.state() == run.before, run.said()


@pytest.mark.parametrize(
    "point",
    [
        "child.started",
        "undo.before",
        "unlock.before",
        *full("watchdog.before", "watchdog.after", "guardians.before", "guardians.after", "child.announced"),
        *full("child.told", "renew.after", "guardians.end", "unlock.after", "watchdog.end"),
    ],
)
def test_the_supervisor_dies(run: Crash, point: str) -> None:
    with run.run(**points("supervisor", point)):
        run.struck()
        run.until_as_before(TTL + MARGIN)
        run.until_quiet(15)
    assert run.state() == run.before, run.said()


@pytest.mark.parametrize("point", ["patch.before", *full("arm.after", "fence.after", "apply.after", "held")])
def test_a_child_that_stood_still_while_the_supervisor_died_never_wakes_up(run: Crash, point: str) -> None:
    with run.run(**points("child", point, "stop")) as supervisor:
        run.struck()
        supervisor.kill()
        run.until_as_before(TTL + MARGIN)
        run.until_quiet(15)
    assert run.state() == run.before, run.said()


@pytest.mark.parametrize("point", ["renew.before", *full("child.announced", "undo.before", "unlock.before")])
def test_a_supervisor_that_stood_still_for_too_long_finds_that_it_was_taken_for_dead(run: Crash, point: str) -> None:
    with run.run(**points("supervisor", point, "stop")) as supervisor:
        assert run.struck() == supervisor.pid
        time.sleep(TTL + 1.0)
        run.until_as_before(MARGIN)
        supervisor.send_signal(signal.SIGCONT)
        assert supervisor.wait(60) not in (1, 14), run.said()
        run.until_quiet(15)
    assert run.state() == run.before, run.said()


def test_everything_on_the_machine_dies_and_the_guardian_puts_back(run: Crash) -> None:
    with run.run(**points("child", "confirmed.after", "stop")):
        run.struck()
        for pid in run.processes():
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + TTL + MARGIN
        while run.state()["deployment"] != run.before["deployment"]:
            assert time.monotonic() < deadline, run.said()
            time.sleep(0.05)
