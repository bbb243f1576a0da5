"""A region with a Velero in memory, a bucket, and a place to work: where the step `restore` is done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kubeapi import KubeApi
from loopback import Server, http
from restorekit import VELERO, FakeVelero, MemoryBucket, production

from blackstart.evidence.promotions import Promotions
from blackstart.evidence.records import Body
from blackstart.evidence.restores import Restored
from blackstart.evidence.undo import Store
from blackstart.faults import restored
from blackstart.faults.inject import Context, restore_all
from blackstart.faults.marks import LABEL
from blackstart.fleet.model import Fleet
from blackstart.procedures.base import Work, run_step
from blackstart.schema.procedure import Step

RUN = "run-1"
BACKUPS = f"/apis/velero.io/v1/namespaces/{VELERO}/backups"
UIDS = {"us": "uid-us", "eu": "uid-eu"}


class Rig:
    """Region eu with a Velero, a bucket, and a place to work."""

    def __init__(self, folder: Path, api: KubeApi) -> None:
        self.api, self.bucket = api, MemoryBucket()
        self.velero = FakeVelero(api, self.bucket, production())
        self.folder, self.told = folder, list[Body]()
        self.bucket.put("nightly", production(), labels={"velero.io/schedule-name": "nightly"})
        self.fleet = Fleet.model_validate(self.document())
        self.work = Work(
            self.fleet,
            RUN,
            folder,
            Promotions(folder / "state"),
            undo=Store(folder / "state"),
            tell=self.told.append,
            buckets=self.bucket,
        )

    def document(self) -> dict[str, Any]:
        def region(name: str, cluster: dict[str, Any]) -> dict[str, Any]:
            return {"cluster": {**cluster, "uid": UIDS[name]}, "place": "here", "velero": {"namespace": VELERO}}

        dead = {"kubeconfig": str(self.folder / "none"), "context": "us"}
        here = {"kubeconfig": str(self.api.kubeconfig(self.folder)), "context": "here"}
        workload = {"namespace": "production", "deployment": "web"}
        entry = {"url": "http://127.0.0.1:9/healthz", "place": "here"}
        return {
            "fleet": "test",
            "regions": {"us": region("us", dead), "eu": region("eu", here)},
            "places": {"here": {}},
            "services": {"web": {"tier": 0, "entry": entry, "workloads": {"us": workload, "eu": workload}}},
            "roles": {"primary": "us", "standby": "eu"},
            "backups": {
                "url": "http://127.0.0.1:9",
                "place": "here",
                "bucket": "velero",
                "access_key": "${env:KEY}",
                "secret_key": "${env:SECRET}",
            },
        }

    def known(self, name: str) -> None:
        """The region's Velero has noticed a backup."""
        self.api.objects[f"{BACKUPS}/{name}"] = json.loads(self.bucket.content[f"backups/{name}/velero-backup.json"])

    def do(self, deadline: float = 5.0, **changes: Any) -> str:
        wanted = {"backup": "nightly", "from": "primary", "to": "standby", "sync": "post", **changes}
        wanted.setdefault("namespaces", {"production": "production-dr"})
        return run_step(self.work, Step.model_validate({"name": "restore", "deadline": deadline, "restore": wanted}))

    @property
    def record(self) -> Restored:
        """The one that was written down last."""
        return [body for body in self.told if isinstance(body, Restored)][-1]

    def left(self) -> list[str]:
        """What of the run is in the cluster."""
        return [
            path
            for path, found in self.api.objects.items()
            if (found["metadata"].get("labels") or {}).get(LABEL) or "/production-dr" in path
        ]

    def put_back(self) -> list[str]:
        context = Context(RUN, self.work.undo, self.told.append)
        return restore_all(self.work.undo.read(RUN).outstanding, self.fleet, context)


@contextmanager
def a_rig(folder: Path) -> Iterator[Rig]:
    """One, whose services answer; a dead Velero is not waited for."""
    with (
        pytest.MonkeyPatch.context() as patch,
        KubeApi(uid=UIDS["eu"]) as api,
        Server(lambda head: http({})) as server,
    ):
        patch.setattr(restored, "end_restore", partial(restored.end_restore, patience=0.3))
        patch.setattr("blackstart.procedures.reborn._addresses", lambda kube, asked: iter([server.address]))
        yield Rig(folder, api)
