"""The watchdog, as a process: whatever becomes of the supervisor and the child, the run is put back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faultkit import APP, RUN, Bench, bench

from blackstart.evidence.records import FaultState
from blackstart.faults.inject import inject
from blackstart.faults.scale import FAULT
from blackstart.safety import leash as leashes
from blackstart.safety.leash import Leash, WatchdogError
from blackstart.safety.protection import Gone
from blackstart.safety.sessions import Identity, session_members
from blackstart.safety.watched import Job

ARGV = [sys.executable, "-m", "blackstart.safety.watchdog"]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        inject(FAULT, found.fleet, {"service": "frontend", "region": "primary"}, found.context())
        yield found


@contextlib.contextmanager
def leash(here: Bench, argv: list[str] = ARGV, ttl: float = 30.0, deadline: float = 30.0) -> Iterator[Leash]:
    job = Job(run=RUN, state=here.store.state, fleet=here.fleet_file, ttl=ttl, deadline=deadline)
    found = Leash.start(argv, job, here.folder / "watchdog.log")
    try:
        yield found
    finally:
        found.kill()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """An injector that never ends, with a child of its own."""
    with subprocess.Popen(["sh", "-c", "sleep 600 & wait"], start_new_session=True) as process:
        yield process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def ended(found: Leash) -> int:
    return found._process.wait(30)


def log(here: Bench) -> str:
    return (here.folder / "watchdog.log").read_text()


def test_told_that_all_is_well_it_goes_and_changes_nothing(here: Bench) -> None:
    with leash(here) as found:
        found.renew()
        found.release()
        assert ended(found) == 0
    assert here.replicas == 0
    assert log(here) == ""


def test_without_a_supervisor_it_kills_the_child_and_puts_back(here: Bench, child: subprocess.Popen[bytes]) -> None:
    # A stopped child would inject when it wakes up.
    child.send_signal(signal.SIGSTOP)
    with leash(here) as found:
        found.guard(child.pid)
        began = time.monotonic()
        found.leave()
        assert ended(found) == 0
        assert time.monotonic() - began < 5
    assert child.wait(1) == -signal.SIGKILL
    assert session_members(child.pid) == []
    assert here.replicas == 3
    assert here.store.read(RUN).outstanding == []
    assert "the supervisor is gone" in log(here)
    assert f"killed the injector {child.pid}" in log(here)


def test_silence_for_the_time_to_live_is_death_and_the_one_who_wakes_learns_it(here: Bench) -> None:
    with leash(here, ttl=3.0) as found:
        time.sleep(1.0)
        found.renew()
        began = time.monotonic()
        assert ended(found) == 0
        assert 2.9 < time.monotonic() - began < 8
        with pytest.raises(Gone):
            found.renew()
    assert here.replicas == 3
    assert "no sign of life from the supervisor for 3 s" in log(here)


def test_only_the_very_child_is_killed(here: Bench, child: subprocess.Popen[bytes]) -> None:
    found = Identity.of(child.pid)
    assert not found.replaced
    other = found.model_copy(update={"start": found.start - 1})
    assert other.replaced
    with leash(here) as it:
        it._say(f"child {other}")
        it.leave()
        assert ended(it) == 0
    assert child.poll() is None
    assert "not the injector any more" in log(here)


def test_terminal_and_signals_do_not_reach_it(here: Bench) -> None:
    with leash(here) as found:
        pid = found._process.pid
        assert os.getsid(pid) == pid
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            os.kill(pid, number)
        time.sleep(0.3)
        found.renew()
        kept = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}
        mine = {os.readlink(f"/proc/self/fd/{fd}") for fd in (0, 1, 2)}
        assert not {name for name in kept & mine if name.startswith(("pipe:", "/dev/pts", "/dev/tty"))}
        found.release()
        assert ended(found) == 0


def test_an_api_that_is_away_is_tried_again(here: Bench) -> None:
    away = time.monotonic() + 3
    here.api.fail = lambda method, path: (503, "away") if time.monotonic() < away else None
    with leash(here) as found:
        found.leave()
        assert ended(found) == 0
    assert here.replicas == 3


def test_a_conflict_is_not_tried_again(here: Bench) -> None:
    here.api.deployments[APP]["spec"]["replicas"] = 2
    here.api.settle(APP)
    with leash(here) as found:
        found.leave()
        assert ended(found) == 14
    assert here.replicas == 2
    assert "conflict" in log(here)
    assert here.store.read(RUN).latest[f"{RUN}/scale-1"].state is FaultState.CONFLICT


def test_it_does_not_outlive_its_deadline(here: Bench) -> None:
    here.api.fail = lambda method, path: (403, "no right") if method == "PATCH" else None
    with leash(here, deadline=3.0) as found:
        found.leave()
        began = time.monotonic()
        assert ended(found) == 14
        assert time.monotonic() - began < 8
    assert f"run `blackstart recover --run {RUN}`" in log(here)


def test_a_full_disk_does_not_stop_it(here: Bench) -> None:
    with leash(here, ["prlimit", "--fsize=0", *ARGV], deadline=3.0) as found:
        found.leave()
        ended(found)
    assert here.replicas == 3
    # What could not be written down stays on the list, and is found to be as before the next time.
    assert [e.state for e in here.store.read(RUN).outstanding] == [FaultState.CONFIRMED]


def test_a_watchdog_that_does_not_start_is_told(here: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WatchdogError, match="cannot be started"), leash(here, ["/no/such/program"]):
        pass
    with pytest.raises(WatchdogError, match="ended or was not ready"), leash(here, ["false"]):
        pass
    monkeypatch.setattr(leashes, "_START", 0.3)
    with pytest.raises(WatchdogError, match=r"not ready within 0\.3 s"), leash(here, ["sleep", "600"]):
        pass


def test_a_line_that_is_no_job() -> None:
    done = subprocess.run(ARGV, input=json.dumps({"run": 1}).encode(), capture_output=True, timeout=20, check=False)
    assert done.returncode == 2
    assert b"no job" in done.stderr
