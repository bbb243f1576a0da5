"""Backups that are made, found by the other region, lost and found again, and keys that nobody sees."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datalab import eventually
from labdrill import kubectl
from labs import PATHS, REGIONS, VIEWS

from blackstart.fleet import nft
from blackstart.fleet.model import Fleet
from blackstart.lab import logins, native
from blackstart.lab.backup import SETTINGS

_TICK = 80.0
"""Seconds: a region takes up another's backups once a minute."""


@pytest.fixture(autouse=True)
def restored(backups: Fleet) -> Iterator[None]:
    yield
    for member in ("store", "us", "eu"):
        native.restore(member, PATHS, 110.0)
    for region in ("us", "eu"):
        native.restore(region, PATHS, 60.0, "velero")


def objects(fleet: Fleet, region: str, resource: str) -> list[Any]:
    found = kubectl(fleet.regions[region], "-n", "velero", "get", f"{resource}.velero.io", "-o", "json")
    items: list[Any] = json.loads(found)["items"]
    return items


def available(fleet: Fleet, region: str) -> bool:
    [location] = objects(fleet, region, "backupstoragelocations")
    return bool(location.get("status", {}).get("phase") == "Available")


def validated(fleet: Fleet, region: str) -> str:
    """When Velero last looked at its bucket: text that grows with time."""
    [location] = objects(fleet, region, "backupstoragelocations")
    return str(location.get("status", {}).get("lastValidationTime", ""))


def test_the_first_backup_is_whole_and_reaches_the_other_region(backups: Fleet) -> None:
    made = next(b for b in objects(backups, "us", "backups") if b["metadata"]["name"].startswith("production-"))
    status, name = made["status"], made["metadata"]["name"]
    assert (status["phase"], status.get("errors", 0), status.get("warnings", 0)) == ("Completed", 0, 0)
    assert status["progress"]["itemsBackedUp"] >= 10
    assert made["metadata"]["labels"]["velero.io/schedule-name"] == "production"
    # Nobody else's view of it than its files: what the others will find.
    assert (PATHS.root / f"store/data/backups/backups/{name}/{name}.tar.gz").stat().st_size > 1000

    def synced() -> bool:
        return name in [b["metadata"]["name"] for b in objects(backups, "eu", "backups")]

    took = eventually("eu has the backup", synced, _TICK)
    print(f"eu had the backup after {took:.1f} s")
    found = objects(backups, "eu", "backupstoragelocations")[0]["spec"]["accessMode"]
    assert found == "ReadOnly"
    kubectl(backups.regions["us"], "-n", "production", "get", "secret", SETTINGS)


def test_a_link_takes_the_bucket_from_one_region_alone(backups: Fleet) -> None:
    link = backups.links["store-eu"]
    nft.cut(backups, nft.of_links([link]), "backuplab", 60.0)
    try:
        time.sleep(1)
        before = {region: validated(backups, region) for region in ("us", "eu")}
        eventually("us has looked at its bucket", lambda: validated(backups, "us") > before["us"], 40.0)
        eventually("and again", lambda: validated(backups, "us") > before["eu"], 40.0)
        # Nothing is refused, and nothing answers: Velero waits, and goes on to say Available.
        assert (available(backups, "eu"), validated(backups, "eu")) == (True, before["eu"])
    finally:
        nft.heal(backups, [end.place for end in link.ends], "backuplab")
    eventually("eu has looked at its bucket", lambda: validated(backups, "eu") > before["eu"], 60.0)
    assert available(backups, "eu")


@pytest.mark.full  # test_backup_probes.py kills it in every run
def test_the_bucket_dies_and_comes_back_with_its_backups(backups: Fleet) -> None:
    before = {b["metadata"]["name"] for b in objects(backups, "us", "backups")}
    native.kill("store", PATHS)
    assert native.power_state("store", PATHS) == "dead"
    eventually("both see it", lambda: not any(available(backups, r) for r in ("us", "eu")), 40.0)
    native.restore("store", PATHS, 60.0)
    assert native.power_state("store", PATHS) == "up"
    eventually("both see it again", lambda: all(available(backups, r) for r in ("us", "eu")), 40.0)
    assert before <= {b["metadata"]["name"] for b in objects(backups, "us", "backups")}


def test_a_frozen_bucket_looks_available(backups: Fleet) -> None:
    native.freeze("store", PATHS)
    assert native.power_state("store", PATHS) == "frozen"
    assert available(backups, "us")
    native.restore("store", PATHS, 60.0)
    assert native.power_state("store", PATHS) == "up"


def test_velero_belongs_to_its_region(backups: Fleet) -> None:
    for region in native.load(PATHS).regions:
        assert region.processes.all()["velero"].pid in region.group.pids()
    native.kill("eu", PATHS)
    assert native.power_state("eu", PATHS, "velero") == "dead"
    native.restore("eu", PATHS, 110.0)
    assert native.power_state("eu", PATHS, "velero") == "up"


def test_velero_dies_and_comes_back_alone(backups: Fleet) -> None:
    native.kill("us", PATHS, "velero")
    native.kill("us", PATHS, "velero")
    assert (native.power_state("us", PATHS, "velero"), native.power_state("us", PATHS)) == ("dead", "up")
    native.up(REGIONS, PATHS, print, **VIEWS)
    assert native.power_state("us", PATHS, "velero") == "up"


def test_no_key_of_the_bucket_is_in_a_command_line_or_a_log(backups: Fleet) -> None:
    texts = [_command_line(pid) for pid in Path("/proc").glob("[0-9]*")]
    texts += [file.read_bytes() for file in PATHS.root.glob("*/logs/*.log")]
    texts.append(PATHS.fleet.read_bytes())
    for key in logins.read_bucket(PATHS):
        assert not any(key.encode() in text for text in texts)


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""  # it ended while we looked
