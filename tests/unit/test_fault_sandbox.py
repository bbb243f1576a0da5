"""`sandbox`, `delete-namespace`, `kill-bucket`, `back_up`: what a drill makes to lose it, and the bucket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faultkit import APP, RUN, Bench, bench
from kubeapi import NAMESPACE
from meshfaultkit import switched
from restorekit import an_object

from blackstart.evidence.records import FaultState
from blackstart.faults.backing_up import back_up, fresh_name
from blackstart.faults.base import FaultError, fault_of
from blackstart.faults.inject import Context, inject, restore_all, still_there
from blackstart.faults.marks import LABEL
from blackstart.faults.sandbox import copied
from blackstart.fleet.backups import Bucket, Velero
from blackstart.fleet.model import Fleet, Power

ARGS = {"service": "frontend", "region": "primary"}
COPY = f"{NAMESPACE}-sandbox"
SPACES = "/api/v1/namespaces"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        switched(found, monkeypatch)
        api = found.api
        api.objects[f"{SPACES}/{NAMESPACE}"] = an_object("namespaces", NAMESPACE, "", meta={"labels": {"team": "x"}})
        secret = an_object("secrets", "login", NAMESPACE, type="Opaque", data={"password": "aHVudGVyMg=="})
        api.objects[f"{SPACES}/{NAMESPACE}/secrets/login"] = secret
        root = an_object("configmaps", "kube-root-ca.crt", NAMESPACE)
        api.objects[f"{SPACES}/{NAMESPACE}/configmaps/kube-root-ca.crt"] = root
        api.on_create = complete
        yield found


def complete(made: dict[str, Any]) -> None:
    """What a controller, and Velero, would do."""
    if made["kind"] == "Deployment":
        made["metadata"]["generation"] = 1
        count = made["spec"]["replicas"]
        made["status"] = {"observedGeneration": 1, **dict.fromkeys(("replicas", "updatedReplicas"), count)}
        made["status"]["availableReplicas"] = count
    if made["kind"] == "Backup":
        made["status"] = {"phase": "Completed"}


def put_back(here: Bench) -> list[str]:
    contents = here.store.read(RUN)
    still_there(contents.outstanding, here.fleet, here.context())
    return restore_all(contents.outstanding, here.fleet, here.context())


def test_a_copy_is_made_and_taken_away(here: Bench) -> None:
    inject(fault_of("sandbox"), here.fleet, ARGS, here.context())
    made = here.api.objects[f"{SPACES}/{COPY}"]
    assert made["metadata"]["labels"] == {"team": "x", LABEL: RUN}
    names = sorted(path.rpartition("/")[2] for path in here.api.objects if f"/{COPY}/" in path)
    assert names == ["login", APP]
    assert here.states() == [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]
    record = (here.store.folder(RUN) / "sandbox-1.0.armed.json").read_text()
    assert "aHVudGVyMg" not in record
    assert put_back(here) == []
    assert not any(COPY in path for path in here.api.objects)
    assert any(NAMESPACE in path for path in here.api.objects)


def test_a_copy_that_is_there_is_somebody_s(here: Bench) -> None:
    here.api.objects[f"{SPACES}/{COPY}"] = an_object("namespaces", COPY, "")
    with pytest.raises(FaultError, match="is there already"):
        inject(fault_of("sandbox"), here.fleet, ARGS, here.context())
    assert put_back(here) == []
    assert f"{SPACES}/{COPY}" in here.api.objects


def test_only_what_the_run_made_is_deleted(here: Bench) -> None:
    delete = fault_of("delete-namespace")
    with pytest.raises(FaultError, match="make it with `sandbox` first"):
        inject(delete, here.fleet, ARGS, here.context())
    here.api.objects[f"{SPACES}/{COPY}"] = an_object("namespaces", COPY, "")
    with pytest.raises(FaultError, match="was not made by a drill"):
        inject(delete, here.fleet, ARGS, here.context())
    here.api.objects[f"{SPACES}/{COPY}"]["metadata"]["labels"] = {LABEL: "another-run"}
    with pytest.raises(FaultError, match="is of another run"):
        inject(delete, here.fleet, ARGS, here.context())
    assert f"{SPACES}/{COPY}" in here.api.objects


def test_what_is_deleted_stays_so_and_a_new_one_of_its_name_is_no_return(here: Bench) -> None:
    inject(fault_of("sandbox"), here.fleet, ARGS, here.context())
    inject(fault_of("delete-namespace"), here.fleet, ARGS, here.context())
    assert f"{SPACES}/{COPY}" not in here.api.objects
    here.api.objects[f"{SPACES}/{COPY}"] = an_object("namespaces", COPY, "", meta={"labels": {LABEL: RUN}})
    here.api.objects[f"{SPACES}/{COPY}"]["metadata"]["uid"] = "another"
    assert put_back(here) == []
    assert FaultState.INEFFECTIVE not in here.states()
    assert f"{SPACES}/{COPY}" not in here.api.objects


def test_a_service_is_copied_without_what_its_cluster_gave_it() -> None:
    ports = [{"port": 80, "nodePort": 30080}]
    spec = {"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ports": ports}
    twin = copied("v1/services", an_object("services", "web", spec=spec), "x")
    assert twin["spec"] == {"type": "NodePort", "ports": [{"port": 80}]}
    headless = copied("v1/services", an_object("services", "db", spec={"clusterIP": "None"}), "x")
    assert headless["spec"]["clusterIP"] == "None"


def with_bucket(here: Bench) -> Fleet:
    words = {"kill": "dead", "restore": "up"}
    file = here.folder / "bucket"
    argv = {word: ["sh", "-c", f"echo {state} > {file}"] for word, state in words.items()}
    power = Power.model_validate({**argv, "state": ["sh", "-c", f"cat {file} || echo up"], "deadline": 2.0})
    keys = {"access_key": "${env:A}", "secret_key": "${env:B}"}
    bucket = Bucket.model_validate({"url": here.service.url.rstrip("/"), "place": "here", "bucket": "b", **keys})
    region = here.fleet.regions["us"].model_copy(update={"velero": Velero()})
    backups = bucket.model_copy(update={"power": power})
    return here.fleet.model_copy(update={"backups": backups, "regions": {"us": region}})


def test_a_bucket_dies_and_comes_back(here: Bench) -> None:
    fleet, context = with_bucket(here), here.context()
    inject(fault_of("kill-bucket"), fleet, {}, context)
    assert here.states()[-1] is FaultState.CONFIRMED
    assert (here.folder / "bucket").read_text() == "dead\n"
    where = "/apis/velero.io/v1/namespaces/velero/backupstoragelocations/default"
    here.api.objects[where] = {"metadata": {"name": "default"}, "status": {"phase": "Unavailable"}}
    seen = threading.Timer(0.5, lambda: here.api.objects[where]["status"].update(phase="Available"))
    seen.start()
    assert restore_all(here.store.read(RUN).outstanding, fleet, context) == []
    assert (here.folder / "bucket").read_text() == "up\n"


def test_a_fleet_without_a_bucket_has_none_to_lose(here: Bench) -> None:
    with pytest.raises(FaultError, match="has no `backups`"):
        inject(fault_of("kill-bucket"), here.fleet, {}, here.context())


def test_a_backup_carries_the_run_and_expires(here: Bench) -> None:
    name = back_up(with_bucket(here), "us", NAMESPACE, RUN, sandbox=True, deadline=2)
    assert name == fresh_name(RUN, COPY)
    (made,) = here.api.named("backups")
    assert made["metadata"]["labels"] == {LABEL: RUN}
    assert (made["spec"]["includedNamespaces"], made["spec"]["ttl"]) == ([COPY], "1h0m0s")


def test_a_backup_that_fails_says_why(here: Bench) -> None:
    def failed(made: dict[str, Any]) -> None:
        made["status"] = {"phase": "FailedValidation", "validationErrors": ["the location is unavailable"]}

    here.api.on_create = failed
    with pytest.raises(FaultError, match="FailedValidation: the location is unavailable"):
        back_up(with_bucket(here), "us", NAMESPACE, RUN, sandbox=False, deadline=2)
    here.api.on_create = lambda made: None
    with pytest.raises(FaultError, match="it is New"):
        back_up(with_bucket(here), "us", NAMESPACE, "run-2", sandbox=False, deadline=0.3)


def test_a_context_of_its_own(here: Bench) -> None:
    context = Context("run-2", here.store, here.events.append)
    inject(fault_of("sandbox"), here.fleet, ARGS, context)
    assert here.api.objects[f"{SPACES}/{COPY}"]["metadata"]["labels"][LABEL] == "run-2"
