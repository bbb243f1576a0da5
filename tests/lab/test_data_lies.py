"""What stores, services and clocks say that is not so: a drill must not believe it. Each runs on a lab with stores.

`Seconds_Behind_Source` 0 with the receiver behind: test_data_probes.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from datadrill import PATHS, acknowledged, as_before, drill, told
from datalab import eventually, placed, server
from labdrill import ROOT, Ran, content, edited
from liars import dead_cache, entry, into, old_database, relay

from blackstart.evidence.reader import EVIDENCE, read, write_sums
from blackstart.evidence.records import Phase, PhaseStart
from blackstart.fleet.model import Fleet
from blackstart.lab.data import CACHE, DATABASE, NOBODY, PORT_OF
from blackstart.ledger.book import LEDGER
from blackstart.schema.result import Verdict

QUIET = {"phases.hold": "8s", "phases.failback": "30s"}


@pytest.fixture(autouse=True)
def unchanged(data: Fleet) -> Iterator[None]:
    with as_before(data):
        yield


def quiet(folder: Path) -> str:
    """A drill that loses nothing by itself: the standby's database is not replicated to for some seconds."""

    def experiment(document: dict[str, Any]) -> None:
        provider = {"type": "python", "module": "blackstart.activities.faults", "func": "sever_store"}
        provider["arguments"] = {"store": "database", "region": "standby"}  # type: ignore[assignment]  # plain YAML
        document["method"] = [{"type": "action", "name": "the standby gets nothing", "provider": provider}]

    def edit(document: dict[str, Any]) -> None:
        document |= {"victims": [], "guards": [], "probes": ["database-lag"], "steady": {"success": "90%"}}
        document["objectives"] = [
            {"kind": "availability", "service": "orders", "objective": "90%"},
            {"kind": "lost-writes", "service": "orders", "objective": 0},
            {"kind": "completeness", "service": "orders"},
        ]
        del document["procedure"], document["failback_procedure"]

    content("experiments", "database-failover", folder, experiment)
    return str(content("drills", "database-failover", folder, edit))


def run(data: Fleet, folder: Path, fleet: Callable[[dict[str, Any]], None] | None = None, **options: Any) -> Ran:
    """The quiet drill on a fleet with a change."""
    file = edited(data, folder, fleet) if fleet else data.source or Path()
    return drill(quiet(folder), data, folder, QUIET, fleet=file, **options)


def said(ran: Ran) -> str:
    return f"{ran.result.sentence}\n" + "\n".join(ran.result.reasons)


def refused(ran: Ran, *reasons: str) -> None:
    """The baseline is sick, and nothing was broken."""
    assert (ran.result.verdict, ran.code) == (Verdict.INVALID, 12), said(ran)
    assert not ran.injected()
    for reason in reasons:
        assert reason in said(ran)


# -- before the fault


def test_replicas_that_were_stopped_before(data: Fleet, tmp_path: Path) -> None:
    eu = server(PATHS, "eu")
    eu.sql("STOP SLAVE SQL_THREAD;", 15.0)
    eu.redis(f"REPLICAOF {NOBODY[0]} {NOBODY[1]}")
    try:
        ran = run(data, tmp_path)
    finally:
        eu.sql("START SLAVE SQL_THREAD;", 15.0)
        eu.redis(f"REPLICAOF {eu.site.peer} {PORT_OF['redis']}")
    refused(ran, "its SQL thread is 'No' (no error is told): replication is broken already")
    refused(ran, "store orders-cache in eu is not connected")


def test_a_service_that_says_yes_and_writes_nothing(data: Fleet, tmp_path: Path) -> None:
    with entry(data, "nod") as nods:
        ran = run(data, tmp_path, lambda fleet: into(nods, fleet))
        assert nods.nodded
    refused(ran, "0 of", "acknowledged writes are there")


def test_a_service_that_refuses_every_write(data: Fleet, tmp_path: Path) -> None:
    with entry(data, "refuse") as refuses:
        ran = run(data, tmp_path, lambda fleet: into(refuses, fleet))
    refused(ran, "baseline/ledger/order-service: 0 of")


def test_a_reader_that_is_led_to_another_member(data: Fleet, tmp_path: Path) -> None:
    """Both members are the server of us, which has everything."""

    def mistaken(fleet: dict[str, Any]) -> None:
        members = fleet["stores"][DATABASE]["members"]
        members["eu"]["address"] = members["us"]["address"]

    refused(run(data, tmp_path, mistaken), "orders-db in eu")


# -- what is read afterwards


def test_old_data_and_another_members_are_no_proof(data: Fleet, tmp_path: Path) -> None:
    """In the hold the database's primary is read from a copy of that time, and the cache's from its replica."""
    with ExitStack() as stack:
        of = {name: data.stores[name].members["us"].address for name in (DATABASE, CACHE)}
        ways = {name: stack.enter_context(relay(address)) for name, address in of.items()}

        def by_relays(fleet: dict[str, Any]) -> None:
            for name, way in ways.items():
                fleet["stores"][name]["members"]["us"]["address"] = way.address

        def lie() -> None:
            time.sleep(1)
            ways[DATABASE].lead_to(stack.enter_context(old_database(PATHS, "us", tmp_path / "copy")))
            ways[CACHE].lead_to(data.stores[CACHE].members["eu"].address)
            _until_phase(tmp_path, Phase.UNDO)
            for name, address in of.items():
                ways[name].lead_to(address)

        ran = run(data, tmp_path, by_relays, during=("hold", lie))
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), said(ran)
    lacks = told(ran, DATABASE, "orders")
    assert 0 < lacks.lost < lacks.acknowledged
    assert {write.id for write in lacks.lost_writes} <= acknowledged(ran)
    caches = [w for w in ran.result.writes if (w.store, w.moment) == (CACHE, "failover")]
    assert {w.no_data for w in caches} == {"malformed"}
    assert all("answered by the same server" in w.detail for w in caches)
    assert told(ran, DATABASE, "orders", "failback").lost == 0


def test_silent_rejection_and_a_dead_primarys_data(data: Fleet, tmp_path: Path) -> None:
    """Once the cache is promoted the service nods, and the promoted cache is read from what the dead one had."""
    with ExitStack() as stack:
        nods = stack.enter_context(entry(data))
        way = stack.enter_context(relay(data.stores[CACHE].members["eu"].address))

        def by_liars(fleet: dict[str, Any]) -> None:
            into(nods, fleet)
            fleet["stores"][CACHE]["members"]["eu"]["address"] = way.address

        def lie() -> None:
            eventually("the cache is promoted", lambda: server(PATHS, "eu").seen("redis").writable, 60.0)
            placed(data)
            time.sleep(1.5)
            way.lead_to(stack.enter_context(dead_cache(PATHS, "us", tmp_path / "dead")))
            nods.manner = "nod"
            _until_phase(tmp_path, Phase.UNDO)
            nods.manner = "pass"
            way.lead_to(data.stores[CACHE].members["eu"].address)

        (tmp_path / "dead").mkdir()
        file = edited(data, tmp_path, by_liars)
        settings = {"phases.hold": "16s", "objectives.0.objective": "11s"}
        ran = drill("cache-failover", data, tmp_path, settings, fleet=file, during=("hold", lie))
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), said(ran)
    # Not written anywhere, though everybody was told so: exactly these.
    # At the failover not all of them had been sent yet.
    orders = [told(ran, DATABASE, "orders", moment) for moment in ("failover", "failback")]
    assert 0 < orders[0].lost <= orders[1].lost == len(nods.nodded)
    for found in orders:
        assert {write.id for write in found.lost_writes} <= set(nods.nodded)
    # What the dead primary had is not what the promoted one took.
    caches = told(ran, CACHE, "orders")
    assert caches.lost > orders[0].lost
    assert {write.id for write in caches.lost_writes} <= acknowledged(ran)
    assert told(ran, CACHE, "orders", "failback").lost < caches.lost


def _until_phase(folder: Path, phase: Phase) -> None:
    def begun() -> bool:
        files = (folder / "out").glob(f"*/{EVIDENCE}")
        return any(isinstance(x.body, PhaseStart) and x.body.phase == phase for file in files for x in read(file))

    eventually(f"phase {phase}", begun, 120.0)


# -- clocks, and a file that is cut


def test_clocks_that_jump_and_a_ledger_that_is_cut(
    data: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the wall clocks of the runner's processes nor those of the database count. The ledger does."""
    log = tmp_path / "clocks"
    log.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).with_name("jumpingclock")))
    monkeypatch.setenv("JUMPING_CLOCK_LOG", str(log))
    with database_clock(-7200):
        ran = run(data, tmp_path, during=("hold", lambda: _set_database_clock(7200)))
    monkeypatch.undo()
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), ran.output
    assert all(fault.confirmed_reverted for fault in ran.result.faults)
    asked = " ".join(process.read_text() for process in log.iterdir())
    assert "\nrun\n" in asked, "else the runner's clock did not lie"
    assert "blackstart.run.child" in asked, "else the injector's clock did not lie"
    us = server(PATHS, "us")
    early, late = us.sql("SELECT UNIX_TIMESTAMP(MIN(placed)), UNIX_TIMESTAMP(MAX(placed)) FROM shop.orders").split()
    assert float(early) < time.time() - 7000, "else the database's clock did not lie"
    assert float(late) > time.time() + 7000
    assert told(ran, DATABASE, "orders").lost == 0
    _judged_in_doubt_when_cut(ran, tmp_path)


def _judged_in_doubt_when_cut(ran: Ran, folder: Path) -> None:
    cut = Path(copytree(ran.folder, folder / "cut"))
    assert _judge(cut) == 0
    os.truncate(cut / LEDGER, (cut / LEDGER).stat().st_size // 2)
    write_sums(cut)
    assert _judge(cut) == 12
    (cut / LEDGER).unlink()
    assert _judge(cut) == 12


def _judge(folder: Path) -> int:
    argv = [sys.executable, "-m", "blackstart", "judge", str(folder)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, timeout=60).returncode


@contextmanager
def database_clock(seconds: int) -> Iterator[None]:
    """The database's servers tell their clients another time; MariaDB replicates it, too."""
    _set_database_clock(seconds)
    try:
        yield
    finally:
        for region in ("us", "eu"):
            server(PATHS, region).sql("SET GLOBAL init_connect=''; KILL USER orders;")


def _set_database_clock(seconds: int) -> None:
    for region in ("us", "eu"):
        # For connections from now on; nobody may set the clock of the machine.
        lie = f"SET timestamp = UNIX_TIMESTAMP(SYSDATE()) + {seconds}"
        server(PATHS, region).sql(f"SET GLOBAL init_connect='{lie}'; KILL USER orders;")
