"""`velero` probes on a real lab: true while all is well, and never fooled while it is not."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from datalab import eventually
from labdrill import kubectl

from blackstart.evidence.records import Reading, Reason
from blackstart.fleet import nft, s3
from blackstart.fleet.model import Fleet
from blackstart.lab import native
from blackstart.lab.backup import EXCLUDED
from blackstart.lab.paths import LabPaths
from blackstart.probes import load_probe, read
from blackstart.probes.base import ProbeSpec, Scope
from blackstart.probes.velero import Spec
from blackstart.schema.content import content_dir

_PATHS = LabPaths(Path(__file__).resolve().parents[2] / ".blackstart/lab")
_TICK = 80.0


@pytest.fixture(autouse=True)
def restored(backups: Fleet) -> Iterator[None]:
    yield
    native.restore("store", _PATHS, 60.0)
    eventually(
        "both regions reach the bucket", lambda: _all(backups, measure="available", grace=30.0) == [1, 1], 60.0
    )


def look(fleet: Fleet, **keys: Any) -> dict[str, Reading]:
    found = asyncio.run(read(Spec(probe="p", **{"deadline": 5.0, "least": 5, **keys}), Scope(fleet)))
    return {reading.key: reading for reading in found}


def one(fleet: Fleet, region: str, **keys: Any) -> Reading:
    return look(fleet, regions=[region], **keys)[region]


def make(fleet: Fleet, name: str, **spec: Any) -> None:
    """A backup by hand, as `velero backup create`."""
    body = {"excludedResources": list(EXCLUDED), "storageLocation": "default", "ttl": "1h0m0s", **spec}
    meta = {"name": name, "namespace": "velero"}
    obj = {"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": meta, "spec": body}
    kubectl(fleet.regions["us"], "apply", "-f", "-", stdin=json.dumps(obj))


def phase(fleet: Fleet, name: str) -> str:
    found = json.loads(kubectl(fleet.regions["us"], "-n", "velero", "get", "backups.velero.io", name, "-o", "json"))
    return str(found.get("status", {}).get("phase", ""))


def made(fleet: Fleet, name: str, **spec: Any) -> None:
    make(fleet, name, **spec)
    eventually(f"{name} is there", lambda: phase(fleet, name) == "Completed", 20.0)


def _values(spec: ProbeSpec, fleet: Fleet) -> bool:
    """What Velero itself reports it looks up once a minute; one that came back has none until then."""
    found = asyncio.run(read(spec, Scope(fleet)))
    print(*(f"{spec.probe} {r.key}: {r.value} {r.no_data} {r.detail}" for r in found), sep="\n")
    return all(reading.value is not None for reading in found)


def test_every_shipped_probe_has_a_value(backups: Fleet) -> None:
    eventually("eu knows the backups", lambda: one(backups, "eu", measure="unsynced", of="us").value == 0, _TICK)
    for file in sorted(content_dir("probes").glob("backup-*.yaml")):
        eventually(f"{file.stem} has values", partial(_values, load_probe(file), backups), _TICK)
    assert one(backups, "us", measure="late", schedule="production", grace=300.0).value == 0
    assert one(backups, "us", measure="volumes").value == 0


@pytest.mark.full
def test_a_new_backup_is_younger_at_once_here_and_later_there(backups: Fleet) -> None:
    made(backups, "probe-young", includedNamespaces=["production"])
    assert (one(backups, "us", namespace="production").value or 99) < 15
    assert one(backups, "eu", measure="unsynced", of="us").value == 1
    assert (one(backups, "eu", namespace="production").value or 0) > (one(backups, "us").value or 0)
    eventually("eu takes it up", lambda: one(backups, "eu", measure="unsynced", of="us").value == 0, _TICK)


def test_a_backup_of_nothing_makes_nothing_younger(backups: Fleet) -> None:
    before, us = one(backups, "us").detail, backups.regions["us"]
    kubectl(us, "create", "namespace", "probe-empty")
    try:
        # Three items that every namespace has.
        made(backups, "probe-empty", includedNamespaces=["probe-empty"])
        nothing = {"labelSelector": {"matchLabels": {"no": "such"}}, "includedNamespaces": ["production"]}
        made(backups, "probe-matches-nothing", **nothing)
        assert one(backups, "us", measure="completed").value == 1
        found = one(backups, "us")
    finally:
        kubectl(us, "delete", "namespace", "probe-empty", "--wait=false")
    assert found.detail.startswith(before.split(";")[0])
    assert "probe-empty" in found.detail
    assert "probe-matches-nothing" in found.detail
    print(found.detail)
    make(backups, "probe-nowhere", includedNamespaces=["nowhere"])
    eventually("it ends", lambda: one(backups, "us", measure="running").value == 0, 20.0)
    assert not one(backups, "us").detail.startswith("probe-nowhere")
    print(one(backups, "us").detail)


def test_files_that_were_lost_are_missed(backups: Fleet) -> None:
    made(backups, "probe-lost", includedNamespaces=["production"])
    assert one(backups, "us").detail.startswith("probe-lost")
    (_PATHS.root / "store/data/backups/backups/probe-lost/probe-lost.tar.gz").unlink()
    eventually(
        "the bucket does not have it", lambda: s3.size(backups, "backups/probe-lost/probe-lost.tar.gz") is None
    )
    assert phase(backups, "probe-lost") == "Completed"
    assert "probe-lost (its files are not in the bucket)" in one(backups, "us").detail


@pytest.mark.full
def test_a_bucket_that_died(backups: Fleet) -> None:
    native.kill("store", _PATHS)
    assert one(backups, "us").no_data in (Reason.REFUSED, Reason.STALE)
    eventually("both say so", lambda: _all(backups, measure="available", grace=30.0) == [0, 0], 40.0)
    assert one(backups, "us").no_data is Reason.STALE
    make(backups, "probe-refused", includedNamespaces=["production"])
    eventually("nothing is backed up", lambda: one(backups, "us", measure="completed").value == 0, 20.0)


def test_a_bucket_that_hangs_is_never_green(backups: Fleet) -> None:
    native.freeze("store", _PATHS)
    frozen = time.monotonic()
    assert one(backups, "us").no_data is Reason.TIMEOUT
    make(backups, "probe-hangs", includedNamespaces=["production"])
    eventually("it is begun", lambda: (one(backups, "us", measure="running", grace=300.0).value or 0) > 3, 20.0)
    eventually(
        "nobody believes Velero",
        lambda: {r.no_data for r in look(backups, measure="available", grace=25.0).values()} == {Reason.STALE},
        50.0,
    )
    assert time.monotonic() - frozen > 5
    says = kubectl(backups.regions["us"], "-n", "velero", "get", "backupstoragelocations.velero.io", "-o", "json")
    assert json.loads(says)["items"][0]["status"]["phase"] == "Available"


@pytest.mark.full
def test_a_link_that_is_cut_takes_one_region_only(backups: Fleet) -> None:
    link = backups.links["store-eu"]
    nft.cut(backups, nft.of_links([link]), "backuplab", 90.0)
    try:
        eventually("eu cannot", lambda: one(backups, "eu", grace=25.0).no_data is Reason.STALE, 60.0)
        assert one(backups, "us", grace=25.0).value is not None
    finally:
        nft.heal(backups, [end.place for end in link.ends], "backuplab")


def test_a_velero_that_died_says_nothing(backups: Fleet) -> None:
    native.kill("us", _PATHS, "velero")
    try:
        eventually("us is not believed", lambda: one(backups, "us", grace=15.0).no_data is Reason.STALE, 30.0)
        assert one(backups, "us", measure="validated").value is not None
    finally:
        native.restore("us", _PATHS, 60.0, "velero")


def _all(fleet: Fleet, **keys: Any) -> list[float | None]:
    return [reading.value for reading in look(fleet, **keys).values()]
