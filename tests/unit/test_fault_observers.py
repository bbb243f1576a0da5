"""`kill-observer` and `freeze-observer` on a real Prometheus: it dies or hangs, and comes back from either."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from faultkit import RUN, Bench, bench
from loopback import free_address

from blackstart.evidence.records import FaultEvent, FaultState
from blackstart.faults import paths
from blackstart.faults.base import FaultError, fault_of
from blackstart.faults.changes import Change
from blackstart.faults.inject import Ineffective, inject, restore
from blackstart.fleet import power
from blackstart.fleet.model import ControlPath, Fleet

ARGS = {"region": "primary", "part": "prometheus"}
DOES = pytest.mark.parametrize(("does", "state"), [("kill", "dead"), ("freeze", "frozen")])

_STATE = """
case $(cut -d' ' -f3 /proc/$(cat pid)/stat 2>/dev/null) in T) echo frozen;; ''|Z|X) echo dead;; *) echo up;; esac
"""
_START = """setsid prometheus --config.file=p.yml --storage.tsdb.path=d --web.listen-address={address} >log 2>&1 &
echo $! >pid"""
_READY = "until curl -sf -m 1 http://{address}/-/healthy >/dev/null; do sleep 0.05; done"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Bench]:
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed")
    with bench(tmp_path) as found:
        yield found


@pytest.fixture
def fleet(here: Bench) -> Iterator[Fleet]:
    """The bench's fleet with a Prometheus of its own, which runs."""
    address = free_address()
    (here.folder / "p.yml").write_text("{}")
    start, ready = _START.format(address=address), _READY.format(address=address)
    up = f"case $({_STATE}) in frozen) kill -CONT $(cat pid);; dead) {start};; esac; {ready}"
    switch = {
        "kill": _sh(here, "kill -9 $(cat pid); sleep 0.1"),
        "freeze": _sh(here, "kill -STOP $(cat pid); sleep 0.1"),
        "restore": _sh(here, up),
        "state": _sh(here, _STATE),
        "deadline": "10s",
    }
    document = yaml.safe_load(here.fleet_file.read_text())
    document["regions"]["us"]["prometheus"] = {"url": f"http://{address}", "place": "here", "power": switch}
    here.fleet_file.write_text(yaml.safe_dump(document))
    subprocess.run(["sh", "-c", f"{start}\n{ready}"], cwd=here.folder, check=True, timeout=20)
    yield here.fleet
    os.kill(int((here.folder / "pid").read_text()), signal.SIGKILL)


def _sh(here: Bench, script: str) -> list[str]:
    return ["sh", "-c", f"cd {here.folder}; {script}"]


def _answers(fleet: Fleet) -> bool:
    prometheus = fleet.regions["us"].prometheus
    assert prometheus is not None
    path = ControlPath(place="here", address=prometheus.url.removeprefix("http://"), get="/-/healthy")
    return paths.answers(fleet, path, 0.3)


@DOES
def test_it_is_taken_away_and_comes_back(here: Bench, fleet: Fleet, does: str, state: str) -> None:
    fault = fault_of(f"{does}-observer")
    inject(fault, fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]
    confirmed = [e for e in here.events if isinstance(e, FaultEvent)][-1]
    assert f"state {state}" in confirmed.detail
    assert confirmed.t0 is not None
    assert not _answers(fleet)
    (entry,) = here.store.read(RUN).outstanding
    assert fault.changes(fleet, entry.undo) == [Change("us/prometheus", "power", state, "up")]
    assert restore(entry, fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert _answers(fleet)
    assert not (here.folder / "power").exists(), "the region itself is left alone"


def test_a_frozen_one_that_died_meanwhile_comes_back(here: Bench, fleet: Fleet) -> None:
    fault = fault_of("freeze-observer")
    inject(fault, fleet, ARGS, here.context())
    os.kill(int((here.folder / "pid").read_text()), signal.SIGKILL)
    (entry,) = here.store.read(RUN).outstanding
    until = time.monotonic() + 5
    while fault.changes(fleet, entry.undo)[0].found != "dead":
        assert time.monotonic() < until
    with pytest.raises(FaultError, match="its state is 'dead', not 'frozen'"):
        fault.confirm(fleet, entry.undo, 0)
    assert restore(entry, fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert _answers(fleet)


@DOES
def test_one_that_is_not_up_is_refused(here: Bench, fleet: Fleet, does: str, state: str) -> None:
    prometheus = fleet.regions["us"].prometheus
    assert prometheus is not None
    assert prometheus.power is not None
    power.freeze(prometheus.power)
    with pytest.raises(FaultError, match="its state is 'frozen', not 'up'"):
        inject(fault_of(f"{does}-observer"), fleet, ARGS, here.context())
    power.restore(prometheus.power)


@pytest.mark.parametrize(("does", "why"), [("kill", "still working"), ("freeze", "says frozen, but .* answers")])
def test_one_that_goes_on_answering_is_ineffective(
    here: Bench, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, does: str, why: str
) -> None:
    monkeypatch.setattr("blackstart.faults.inject.BITES_WITHIN", 0.5)
    lying = {
        "kill": _sh(here, "true"),
        "freeze": _sh(here, "touch flag"),
        "state": _sh(here, "test -e flag && echo frozen || echo up"),
    }
    with pytest.raises(Ineffective, match=why):
        inject(fault_of(f"{does}-observer"), _with(here, lying), ARGS, here.context())


@pytest.mark.parametrize(
    ("fault", "args", "why"),
    [
        ("kill-observer", {"region": "primary", "part": "sidecar"}, "has no `sidecar`.*--global-metrics"),
        (
            "kill-observer",
            {"region": "primary", "part": "thanos"},
            'unknown part "thanos"; allowed: prometheus, sidecar',
        ),
        ("freeze-observer", ARGS, r"regions\.us\.prometheus has no `power` with `freeze`.*delete_pods"),
    ],
)
def test_what_fleet_yaml_lacks_is_told(here: Bench, fleet: Fleet, fault: str, args: dict[str, str], why: str) -> None:
    with pytest.raises(FaultError, match=why):
        inject(fault_of(fault), _with(here, {"freeze": None}), args, here.context())


def _with(here: Bench, change: dict[str, Any]) -> Fleet:
    """The fleet with other power commands."""
    document = yaml.safe_load(here.fleet_file.read_text())
    switch = document["regions"]["us"]["prometheus"]["power"]
    switch |= change
    here.fleet_file.write_text(yaml.safe_dump(document))
    return here.fleet
