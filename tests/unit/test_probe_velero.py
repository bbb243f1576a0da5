"""`velero` probes, against servers that answer like an API server and a bucket, each in the ways that deceive."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from loopback import Server, fleet, http

from blackstart.evidence.records import Reading, Reason
from blackstart.probes import read
from blackstart.probes.base import Scope
from blackstart.probes.velero import Spec

HOUR = 3600.0


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def backup(name: str, age: float, /, phase: str = "Completed", **changes: Any) -> dict[str, Any]:
    """A Backup as Velero writes it; `changes` are of its status, `spec` and `labels` of those."""
    labels = {"velero.io/schedule-name": "nightly", **changes.pop("labels", {})}
    spec = {"includedNamespaces": ["production"], "storageLocation": "default", **changes.pop("spec", {})}
    status = {
        "phase": phase,
        "startTimestamp": ago(age),
        "expiration": ago(-HOUR),
        "progress": {"itemsBackedUp": 20, "totalItems": 20},
        **changes,
    }
    meta = {"name": name, "creationTimestamp": ago(age), "labels": labels}
    return {"metadata": meta, "spec": spec, "status": {k: v for k, v in status.items() if v is not None}}


class World:
    """Two regions' API servers, and a bucket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backups: dict[str, list[dict[str, Any]]] = {"us": [], "eu": []}
        self.locations = {region: {"phase": "Available", "lastValidationTime": ago(5)} for region in ("us", "eu")}
        self.schedules: dict[str, dict[str, Any]] = {"nightly": {"schedule": "0 * * * *"}}
        self.files: dict[str, bytes] | None = None
        self.api: Callable[[str, str], bytes | None] = self.objects
        self.bucket: Callable[[str], bytes | None] = self.object

    def store(self, *backups: dict[str, Any], region: str = "us", files: bool = True) -> None:
        self.backups[region] += backups
        if files:
            self.files = (self.files or {}) | {_tarball(b["metadata"]["name"]): b"tar" for b in backups}

    def objects(self, region: str, head: str) -> bytes | None:
        path, _, query = head.split()[1].partition("?")
        root, _, rest = path.partition("/namespaces/velero/")
        assert root == "/apis/velero.io/v1"
        if rest == "backupstoragelocations/default":
            return http({"status": self.locations[region]})
        if rest.startswith("schedules/") and region == "us" and rest[10:] in self.schedules:
            return http({"spec": self.schedules[rest[10:]]})
        if rest == "backups":
            key, _, value = unquote(query.removeprefix("labelSelector=")).partition("=")
            found = [b for b in self.backups[region] if not query or b["metadata"]["labels"].get(key) == value]
            return http({"items": found})
        return http({}, "404 Not Found")

    def object(self, head: str) -> bytes | None:
        method, path, _ = head.split("\r\n")[0].split()
        assert "AWS4-HMAC-SHA256" in head
        found = (self.files or {}).get(path.removeprefix("/b/"))
        if found is None:
            return http(b"", "404 Not Found")
        whole = http(found)
        return whole[: len(whole) - len(found)] if method == "HEAD" else whole

    def look(self, **keys: Any) -> dict[str, Reading]:
        spec = Spec(probe="p", **{"deadline": 10.0, "regions": ["primary"], **keys})
        with (
            Server(lambda head: self.api("us", head)) as us,
            Server(lambda head: self.api("eu", head)) as eu,
            Server(self.bucket, close=True) as bucket,
        ):
            scope = Scope(self.fleet({"us": us.address, "eu": eu.address}, bucket.address))
            return {reading.key: reading for reading in asyncio.run(read(spec, scope))}

    def one(self, **keys: Any) -> Reading:
        return self.look(**keys)["us"]

    def fleet(self, addresses: dict[str, str], bucket: str) -> Any:
        regions = fleet().model_dump()["regions"]
        for name, address in addresses.items():
            config = {
                "clusters": [{"name": "c", "cluster": {"server": f"http://{address}"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}}],
            }
            (self.folder / name).write_text(json.dumps(config))
            regions[name]["cluster"]["kubeconfig"] = str(self.folder / name)
            regions[name]["velero"] = {}
        if self.files is None:
            return fleet(regions=regions)
        (self.folder / "key").write_text("hush")
        keys = {f"{name}_key": f"${{file:{self.folder / 'key'}}}" for name in ("access", "secret")}
        return fleet(regions=regions, backups={"url": f"http://{bucket}", "place": "here", "bucket": "b", **keys})


def _tarball(name: str) -> str:
    return f"backups/{name}/{name}.tar.gz"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_age_counts_from_the_start(world: World) -> None:
    world.store(backup("old", 5000), backup("new", 1000, completionTimestamp=ago(10)))
    found = world.one()
    assert found.value == pytest.approx(1000, abs=5)
    assert found.detail == "new"


@pytest.mark.parametrize(
    ("newest", "why"),
    [
        (backup("new", 10, "PartiallyFailed"), "PartiallyFailed"),
        (backup("new", 10, "Deleting"), "Deleting"),
        (backup("new", 10, "InProgress"), "InProgress"),
        (backup("new", 10, "Queued", startTimestamp=None), "Queued"),
        (backup("new", 10, "FailedValidation", startTimestamp=None), "FailedValidation"),
        (backup("new", 10, errors=1), "1 errors"),
        (backup("new", 10, progress=None), "0 items"),
        (backup("new", 10, progress={"totalItems": 7}), "0 items"),
        (backup("new", 10, progress={"itemsBackedUp": 3}), "3 items, and 5 are the least"),
        (backup("new", 10, expiration=ago(1)), "expired"),
    ],
)
def test_what_cannot_be_restored_makes_nothing_younger(world: World, newest: dict[str, Any], why: str) -> None:
    world.store(backup("old", 5000), newest)
    found = world.one(least=5)
    assert found.value == pytest.approx(5000, abs=5)
    assert why in found.detail
    world.backups["us"] = [newest]
    found = world.one(least=5)
    assert (found.value, found.no_data) == (None, Reason.EMPTY)
    assert why in found.detail


def test_files_that_are_not_in_the_bucket(world: World) -> None:
    world.store(backup("old", 5000))
    world.store(backup("new", 10), files=False)
    assert world.one().value == pytest.approx(5000, abs=5)
    assert "new (its files are not in the bucket)" in world.one().detail
    assert world.files is not None
    world.files[_tarball("new")] = b""
    assert world.one().value == pytest.approx(5000, abs=5)
    world.files.clear()
    assert world.one().no_data is Reason.EMPTY


def test_a_backup_that_is_older_than_allowed_is_a_value(world: World) -> None:
    world.store(backup("old", 90 * 24 * HOUR))
    assert world.one().value == pytest.approx(90 * 24 * HOUR, abs=5)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http(b"", "403 Forbidden"), Reason.UNAUTHORISED),
        (http(b"", "503 Slow Down"), Reason.REFUSED),
        (b"", Reason.REFUSED),
        (None, Reason.TIMEOUT),
    ],
)
def test_a_bucket_that_does_not_answer_proves_nothing(world: World, answer: bytes | None, reason: Reason) -> None:
    world.store(backup("new", 10))
    world.bucket = lambda _: answer
    found = world.one(deadline=3.0 if reason is Reason.TIMEOUT else 10.0)
    assert (found.value, found.no_data) == (None, reason), found.detail
    assert "hush" not in found.model_dump_json()


def test_of_a_schedule_a_namespace_or_a_location(world: World) -> None:
    world.store(
        backup("by-hand", 10, labels={"velero.io/schedule-name": ""}, spec={"includedNamespaces": ["other"]}),
        backup("elsewhere", 20, spec={"storageLocation": "second"}),
        backup("all", 30, spec={"includedNamespaces": None, "excludedNamespaces": ["prod*"]}),
        backup("right", 40),
    )
    ages = {name: world.one(**keys).detail for name, keys in _SELECTIONS.items()}
    assert ages == {"all": "by-hand", "schedule": "all", "namespace": "right", "other": "by-hand"}
    assert "of namespace 'production'" in world.one(namespace="production", least=21).detail


_SELECTIONS: dict[str, dict[str, Any]] = {
    "all": {},
    "schedule": {"schedule": "nightly"},
    "namespace": {"namespace": "production"},
    "other": {"namespace": "other"},
}


def test_a_location_that_nobody_looked_at_says_nothing(world: World) -> None:
    world.store(backup("new", 10))
    world.locations["us"]["lastValidationTime"] = ago(200)
    for measure in ("age", "completed", "running", "available"):
        found = world.one(measure=measure)
        assert (found.value, found.no_data) == (None, Reason.STALE), measure
        assert "200 s" in found.detail or "201 s" in found.detail
    assert world.one(measure="available", grace=400.0).value == 1
    assert world.one(measure="validated").value == pytest.approx(200, abs=5)
    del world.locations["us"]["lastValidationTime"]
    assert world.one().no_data is Reason.EMPTY
    assert world.one(measure="validated").no_data is Reason.EMPTY


def test_a_location_that_is_unavailable(world: World) -> None:
    world.store(backup("new", 10))
    world.locations["us"] |= {"phase": "Unavailable", "message": "no such host"}
    found = world.one(measure="available")
    assert (found.value, found.detail) == (0, "no such host")
    found = world.one()
    assert (found.no_data, "no such host" in found.detail) == (Reason.STALE, True)
    # What ended so far is known all the same.
    assert world.one(measure="completed").value == 1


@pytest.mark.parametrize(
    ("measure", "newest", "value"),
    [
        ("completed", backup("b", 10), 1),
        ("completed", backup("b", 10, "PartiallyFailed", errors=2), 0),
        ("completed", backup("b", 10, "FailedValidation", startTimestamp=None), 0),
        ("completed", backup("b", 10, errors=2), 0),
        ("errors", backup("b", 10, "PartiallyFailed", errors=2), 2),
        ("errors", backup("b", 10), 0),
        ("warnings", backup("b", 10, warnings=3), 3),
        ("warnings", backup("b", 10), 0),
        ("items", backup("b", 10), 20),
        ("items", backup("b", 10, progress=None), 0),
    ],
)
def test_how_the_newest_one_ended(world: World, measure: str, newest: dict[str, Any], value: float) -> None:
    world.store(backup("older", 5000, warnings=9, errors=9), newest, backup("newer", 1, "InProgress"))
    found = world.one(measure=measure)
    assert found.value == value
    assert found.detail.startswith("b: ")


def test_one_that_does_not_end(world: World) -> None:
    world.store(backup("done", 10))
    assert world.one(measure="running").value == 0
    world.store(backup("hangs", 700, "InProgress"), backup("waits", 300, "Queued", startTimestamp=None))
    found = world.one(measure="running")
    assert found.value == pytest.approx(700, abs=5)
    assert found.detail == "hangs: InProgress; 2 have not ended"


def test_late_by_its_schedule(world: World) -> None:
    world.store(backup("new", 10))
    assert world.one(measure="late", schedule="nightly").value == 0
    world.backups["us"] = [backup("new", 3 * HOUR + 600)]
    found = world.one(measure="late", schedule="nightly", grace=1.0 * HOUR)
    assert found.value in (2, 3)
    # The other region has no Schedules, and may be told whose count.
    world.store(backup("new", 10), region="eu")
    assert world.look(measure="late", schedule="nightly", regions=["standby"])["eu"].no_data is Reason.EMPTY
    assert world.look(measure="late", schedule="nightly", of="primary", regions=["standby"])["eu"].value == 0
    assert world.look(measure="late", cron="@hourly", regions=["standby"])["eu"].value == 0
    world.schedules["nightly"]["paused"] = True
    assert "paused" in world.one(measure="late", schedule="nightly", grace=60.0).detail
    world.schedules["nightly"]["schedule"] = "sometimes"
    assert world.one(measure="late", schedule="nightly").no_data is Reason.MALFORMED


def test_what_the_other_region_lacks(world: World) -> None:
    both = backup("both", 500)
    assert world.look(measure="unsynced", of="primary", regions=["standby"])["eu"].no_data is Reason.EMPTY
    world.store(both, backup("failed", 300, "Failed"), backup("new", 10))
    world.store(both, region="eu")
    found = world.look(measure="unsynced", of="primary", regions=["standby"])["eu"]
    assert (found.value, found.detail) == (1, "2 in us, not here: new")
    world.store(world.backups["us"][-1], region="eu")
    assert world.look(measure="unsynced", of="primary", regions=["standby"])["eu"].value == 0


def test_volumes_by_what_velero_wrote_into_the_bucket(world: World) -> None:
    world.store(backup("new", 10))
    assert world.one(measure="volumes").no_data is Reason.EMPTY
    volumes = [
        {"pvcNamespace": "production", "pvcName": "a", "backupMethod": "CSISnapshot", "result": "succeeded"},
        {"pvcNamespace": "production", "pvcName": "b", "skipped": True, "skippedReason": "snapshotVolumes is false"},
        {"pvcNamespace": "production", "pvcName": "c", "backupMethod": "PodVolumeBackup", "result": "failed"},
    ]
    assert world.files is not None
    name = "backups/new/new-volumeinfo.json.gz"
    world.files[name] = gzip.compress(json.dumps(volumes).encode())
    assert world.one(measure="volumes").value == 1
    found = world.one(measure="volumes_skipped")
    assert found.value == 2
    assert "production/b: snapshotVolumes is false" in found.detail
    world.files[name] = gzip.compress(b"null")
    assert world.one(measure="volumes").value == 0
    for broken in (b"plain", gzip.compress(b"[1]"), gzip.compress(b"[]")[:-9], gzip.compress(b"[")):
        world.files[name] = broken
        assert world.one(measure="volumes").no_data is Reason.MALFORMED
    world.files = None
    assert world.one(measure="volumes").no_data is Reason.MALFORMED


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http({}, "404 Not Found"), Reason.EMPTY),
        (http({}, "403 Forbidden"), Reason.UNAUTHORISED),
        (http([]), Reason.MALFORMED),
        (http({"status": "x"}), Reason.MALFORMED),
        (http({"status": {"lastValidationTime": "yesterday"}}), Reason.MALFORMED),
        (http({"status": {"lastValidationTime": "2026-01-01T00:00:00"}}), Reason.MALFORMED),
        (b"", Reason.REFUSED),
        (None, Reason.TIMEOUT),
    ],
)
def test_no_data_has_a_reason(world: World, answer: bytes | None, reason: Reason) -> None:
    world.api = lambda region, head: answer
    found = world.one(deadline=0.6 if reason is Reason.TIMEOUT else 10.0)
    assert (found.value, found.no_data) == (None, reason), found.detail


@pytest.mark.parametrize(
    "items", [[{}], [{"metadata": {"name": "a", "creationTimestamp": "x"}}], [1], {"a": 1}, None]
)
def test_lists_that_are_none(world: World, items: object) -> None:
    def api(region: str, head: str) -> bytes | None:
        return http({"items": items}) if head.split()[1].endswith("/backups") else world.objects(region, head)

    world.api = api
    assert world.one().no_data is Reason.MALFORMED


def test_clocks_that_differ(world: World) -> None:
    world.store(backup("new", -30))
    assert world.one().value == 0
    world.backups["us"] = [backup("new", -600)]
    assert world.one().no_data is Reason.MALFORMED


def test_a_lost_region_takes_nothing_from_the_other(world: World) -> None:
    world.store(backup("new", 10), region="eu")
    world.api = lambda region, head: None if region == "us" else world.objects(region, head)
    found = world.look(regions=[], deadline=4.0)
    assert found["us"].no_data is Reason.TIMEOUT
    assert found["eu"].value is not None


def test_a_fleet_without_velero(tmp_path: Path) -> None:
    [found] = asyncio.run(read(Spec(probe="p"), Scope(fleet())))
    assert (found.no_data, "velero" in found.detail) == (Reason.MALFORMED, True)
    [found] = asyncio.run(read(Spec(probe="p", regions=["primary"]), Scope(fleet())))
    assert (found.no_data, "'us' has no `velero`" in found.detail) == (Reason.MALFORMED, True)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"schedule": "a", "namespace": "b"}, "either"),
        ({"measure": "unsynced"}, "needs `of`"),
        ({"measure": "late"}, "needs `schedule`"),
        ({"measure": "late", "cron": "0 3 * *"}, "no schedule"),
    ],
)
def test_specs_that_contradict_themselves(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Spec(probe="p", **keys)
