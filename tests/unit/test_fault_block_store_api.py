"""`block-store-api`: the querier loses a store, and says so; nothing else goes with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from faultkit import RUN, Bench, bench
from loopback import Server, http
from meshfaultkit import Tables

from blackstart.evidence.records import FaultEvent, FaultState
from blackstart.faults.base import FaultError
from blackstart.faults.block_store_api import FAULT
from blackstart.faults.inject import Ineffective, inject, restore
from blackstart.fleet import nft
from blackstart.fleet.model import Fleet

ARGS = {"region": "primary"}


class Querier:
    """What /api/v1/stores says, by what nft drops: a store in a black hole has an error, some seconds later."""

    def __init__(self, store: str) -> None:
        self.store, self.tables, self.notices, self.token = store, None, True, ""
        self.server = Server(self)

    def __call__(self, head: str) -> bytes:
        lost = self.tables is not None and bool(self.tables.names) and self.notices  # type: ignore[attr-defined]
        if self.token and f"authorization: bearer {self.token}" not in head.lower():
            return http({}, "401 Unauthorized")
        sidecar = {"name": self.store, "lastError": "deadline exceeded" if lost else None}
        return http({"status": "success", "data": {"sidecar": [sidecar]}})


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        yield found


@pytest.fixture
def querier(here: Bench) -> Iterator[Querier]:
    """The bench's service plays the store: it answers whatever is said to it. Its sidecar's HTTP is another."""
    found = Querier(here.service.address)
    with found.server, Server(lambda head: http(b"ok")) as sidecar:
        document = yaml.safe_load(here.fleet_file.read_text())
        document["regions"]["us"]["sidecar"] = {
            "url": sidecar.url,
            "address": here.service.address,
            "place": "here",
        }
        document["prometheus"] = {
            "url": found.server.url,
            "place": "here",
            "kind": "thanos",
            "stores": {"us": here.service.address},
        }
        here.fleet_file.write_text(yaml.safe_dump(document))
        yield found


@pytest.fixture
def tables(here: Bench, querier: Querier, monkeypatch: pytest.MonkeyPatch) -> Tables:
    found = Tables(here)
    monkeypatch.setattr(nft, "_nft", found)
    monkeypatch.setattr("blackstart.faults.inject.BITES_WITHIN", 0.5)
    monkeypatch.setattr("blackstart.faults.block_store_api._LOOKS_AGAIN", 0.5)
    querier.tables = found  # type: ignore[assignment]
    return found


def test_the_store_is_lost_and_nothing_else(here: Bench, tables: Tables) -> None:
    inject(FAULT, here.fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]
    host, _, port = here.service.address.rpartition(":")
    assert f"{{ {host} . {port} timeout 300000ms }}" in tables.scripts[0]
    confirmed = [e for e in here.events if isinstance(e, FaultEvent)][-1]
    assert "takes no new connection; 1 other paths answer; the Thanos at" in confirmed.detail
    assert "has lost it: deadline exceeded" in confirmed.detail
    (entry,) = here.store.read(RUN).outstanding
    assert restore(entry, here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert tables.names == set()


def test_a_querier_that_notices_nothing_is_asked_elsewhere(here: Bench, querier: Querier, tables: Tables) -> None:
    querier.notices = False
    with pytest.raises(Ineffective, match="still gets through to the store"):
        inject(FAULT, here.fleet, ARGS, here.context())
    (entry,) = here.store.read(RUN).outstanding
    assert restore(entry, here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED


def test_a_store_that_goes_on_answering_is_ineffective(here: Bench, tables: Tables) -> None:
    tables.bites = False
    with pytest.raises(Ineffective, match="still answers a new connection"):
        inject(FAULT, here.fleet, ARGS, here.context())


def test_a_region_that_is_lost_altogether_is_told(
    here: Bench, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([True, False])
    monkeypatch.setattr("blackstart.faults.paths.answers", lambda fleet, path: next(looks))
    with pytest.raises(Ineffective, match="more than the store is lost: here -> "):
        inject(FAULT, here.fleet, ARGS, here.context())


def test_a_store_that_is_silent_or_lost_already_proves_nothing(here: Bench, querier: Querier, tables: Tables) -> None:
    tables.names = {"somebody_elses"}
    with pytest.raises(FaultError, match="has lost it already: deadline exceeded"):
        inject(FAULT, here.fleet, ARGS, here.context())
    here.service.shut()
    with pytest.raises(FaultError, match="no answer at 127"):
        inject(FAULT, here.fleet, ARGS, here.context())
    here.service.again()
    assert FaultState.ARMED not in here.states()


def test_a_store_that_has_just_come_back_is_waited_for(
    here: Bench, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter(["Not ready", "", "lost"])
    monkeypatch.setattr("blackstart.faults.storeapi.trouble", lambda fleet, region: next(said))
    inject(FAULT, here.fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]


def test_a_querier_that_cannot_be_asked_is_told(here: Bench, querier: Querier, tables: Tables) -> None:
    querier.token = "s3cret"
    with pytest.raises(FaultError, match="cannot be asked of its stores: unauthorised"):
        inject(FAULT, here.fleet, ARGS, here.context())
    (here.folder / "token").write_text("s3cret\n")
    inject(FAULT, _with(here, {"token": f"${{file:{here.folder}/token}}"}), ARGS, here.context())
    assert FaultState.CONFIRMED in here.states()
    assert "s3cret" not in json.dumps([str(e) for e in here.events])


def test_without_a_querier_the_store_alone_is_looked_at(here: Bench, tables: Tables) -> None:
    inject(FAULT, _with(here, {"kind": "prometheus", "stores": {}}), ARGS, here.context())
    confirmed = [e for e in here.events if isinstance(e, FaultEvent)][-1]
    assert confirmed.state is FaultState.CONFIRMED
    assert "Thanos" not in confirmed.detail


def test_what_fleet_yaml_lacks_is_told(here: Bench, querier: Querier) -> None:
    document = yaml.safe_load(here.fleet_file.read_text())
    document["regions"]["us"]["sidecar"]["address"] = "sidecar.us.example.com:10901"
    here.fleet_file.write_text(yaml.safe_dump(document))
    with pytest.raises(FaultError, match=r"regions\.us\.sidecar\.address: a cut needs an IPv4 address"):
        inject(FAULT, here.fleet, ARGS, here.context())
    del document["regions"]["us"]["sidecar"]
    here.fleet_file.write_text(yaml.safe_dump(document))
    with pytest.raises(FaultError, match=r"has no `sidecar`.*--global-metrics"):
        inject(FAULT, here.fleet, ARGS, here.context())


def _with(here: Bench, change: dict[str, Any]) -> Fleet:
    """The fleet with another global Prometheus."""
    document = yaml.safe_load(here.fleet_file.read_text())
    document["prometheus"] |= change
    here.fleet_file.write_text(yaml.safe_dump(document))
    return here.fleet
