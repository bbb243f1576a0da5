"""A restore that is none is never proven: on real clusters, by a real Velero."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from datalab import eventually, placed
from labcrash import members
from labdrill import ROOT, Ran, content, kubectl, run_drill
from restorelab import attempt, known, left

from blackstart.faults.base import FaultError
from blackstart.fleet.model import Fleet
from blackstart.lab.backup import SETTINGS
from blackstart.lab.data import DATABASE
from blackstart.lab.manifests import DUMPER
from blackstart.lab.paths import LabPaths
from blackstart.procedures import restoring
from blackstart.procedures.dumped import rows_at_home
from blackstart.schema.restore import Restore
from blackstart.schema.result import Verdict

PATHS = LabPaths(ROOT / ".blackstart/lab")


def tarball(name: str) -> Path:
    return PATHS.root / f"store/data/backups/backups/{name}/{name}.tar.gz"


def test_a_restore_is_proven(backups: Fleet, tmp_path: Path) -> None:
    """So that the others mean something."""
    with attempt(backups, tmp_path) as tried:
        tried.back_up()
        said = tried.restore()
        assert "objects proven in production-dr" in said, said
        record = tried.record
        assert (record.phase, record.unknown, record.objections) == ("Completed", [], [])
        print(record.model_dump_json(indent=1))


def test_what_was_there_and_differs_is_found_though_velero_says_completed(backups: Fleet, tmp_path: Path) -> None:
    with attempt(backups, tmp_path) as tried:
        tried.back_up()
        assert "proven" in tried.restore()
        patch = json.dumps({"data": {"greeting": "something else"}})
        kubectl(
            backups.regions["eu"], "-n", "production-dr", "patch", "configmap", SETTINGS, "--type=merge", "-p", patch
        )
        said = tried.restore()
        assert said.startswith("FAILED: not proven"), said
        assert tried.record.phase == "Completed"
        assert [(o.name, o.outcome) for o in tried.record.objects] == [(f"production-dr/{SETTINGS}", "differs")]
        assert any("Velero warns" in text for text in tried.record.objections)
        assert "something else" not in tried.record.model_dump_json()
        assert "proven" in tried.restore(existing="update")


def test_a_backup_that_selected_nothing(backups: Fleet, tmp_path: Path) -> None:
    spec = {"includedNamespaces": ["production"], "labelSelector": {"matchLabels": {"app": "nobody"}}}
    name = by_hand(backups, "selects-nothing", spec)
    with attempt(backups, tmp_path) as tried:
        said = tried.restore(backup=name, deadline=8.0)
        assert "nothing of namespace 'production' that could be restored" in said, said
        assert tried.record.phase == "Completed"


@pytest.mark.full
def test_a_backup_of_an_empty_namespace(backups: Fleet, tmp_path: Path) -> None:
    kubectl(backups.regions["us"], "create", "namespace", "hollow")
    try:
        name = by_hand(backups, "hollow", {"includedNamespaces": ["hollow"]})
        with attempt(backups, tmp_path) as tried:
            said = tried.restore(backup=name, namespaces={"hollow": "hollow-dr"})
            assert "nothing of namespace 'hollow'" in said, said
            assert tried.record.phase == "Completed"
    finally:
        kubectl(backups.regions["us"], "delete", "namespace", "hollow")


def test_a_restore_into_another_namespace(backups: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody forgot the mapping: Velero is content, for everything is there already."""
    begin = restoring.begin

    def unmapped(*arguments: Any) -> Any:
        work, place, undo, backup, wanted, spaces, ports = arguments
        return begin(work, place, undo, backup, wanted, {name: name for name in spaces}, ports)

    monkeypatch.setattr(restoring, "begin", unmapped)
    with attempt(backups, tmp_path) as tried:
        tried.back_up()
        said = tried.restore(deadline=8.0)
        assert said.startswith("FAILED: not proven"), said
        assert tried.record.phase == "Completed"
        assert {o.outcome for o in tried.record.objects} == {"missing"}


@pytest.mark.parametrize("spoil", ["missing", "cut"])
def test_a_tarball_that_cannot_be_read(backups: Fleet, tmp_path: Path, spoil: str) -> None:
    with attempt(backups, tmp_path) as tried:
        name = tried.back_up()
        file = tarball(name)
        whole = file.read_bytes()
        if spoil == "missing":
            file.unlink()
        else:
            file.write_bytes(whole[: len(whole) // 2])
        time.sleep(1.5)  # as long as the server remembers what is in a folder
        said = tried.restore()
        assert "FAILED" in said, said
        assert name in said
        assert tried.record.created is None


DUMP = {"prefix": "orders/shop-", "store": DATABASE, "tables": {"shop.orders": 1}}


@contextmanager
def hook(fleet: Fleet, **changes: str | None) -> Iterator[None]:
    """The pod that dumps has other annotations meanwhile; None takes one away."""

    def annotate(changes: dict[str, str | None]) -> None:
        words = [f"pre.hook.backup.velero.io/{k}{'-' if v is None else f'={v}'}" for k, v in changes.items()]
        what = ["annotate", "--overwrite", "pods", "-l", f"app={DUMPER}", *words]
        kubectl(fleet.regions["us"], "-n", "production", *what)

    show = ["get", "deployment", DUMPER, "-o", "jsonpath={.spec.template.metadata.annotations}"]
    usual = json.loads(kubectl(fleet.regions["us"], "-n", "production", *show))
    annotate(changes)
    try:
        yield
    finally:
        annotate({key: usual.get(f"pre.hook.backup.velero.io/{key}") for key in changes})


def dumps() -> set[Path]:
    return set((PATHS.root / "store/data/dumps/orders").glob("*"))


@pytest.mark.parametrize(
    "spoil", ["cut", *(pytest.param(how, marks=pytest.mark.full) for how in ("not at all", "missing", "shorter"))]
)
def test_a_database_dump_is_counted_to_its_end(backups: Fleet, tmp_path: Path, spoil: str) -> None:
    placed(backups)
    with attempt(backups, tmp_path) as tried:
        step = {"backup": "fresh", "from": "us", "to": "eu", "dump": DUMP}
        tried.work.rows.update(rows_at_home(backups, Restore.model_validate(step)))
        had, earlier = tried.work.rows["us", "shop.orders"], dumps()
        tried.back_up()
        (file,) = dumps() - earlier
        whole = file.read_bytes()
        match spoil:
            case "missing":
                file.unlink()
            case "cut":
                file.write_bytes(whole[: len(whole) // 2])
            case "shorter":
                file.write_bytes(gzip.compress(b"-- Dump completed on another day\n"))
        time.sleep(1.5)  # as long as the server remembers what is in a folder
        said = tried.restore(dump=DUMP)
        if spoil == "not at all":
            assert f"in its dump {had} rows of shop.orders" in said, said
        else:
            assert said.startswith("FAILED: not proven"), said
            assert "dump orders/shop-" in said
        assert tried.record.phase == "Completed"


def test_a_hook_that_did_not_run_leaves_a_backup_without_a_dump(backups: Fleet, tmp_path: Path) -> None:
    with hook(backups, command=None), attempt(backups, tmp_path) as tried:
        tried.back_up()
        said = tried.restore(dump={**DUMP, "store": None})
        assert said.startswith("FAILED: not proven: no dump orders/shop-* was written while"), said


def test_a_hook_that_failed_and_may_leaves_no_whole_backup(backups: Fleet, tmp_path: Path) -> None:
    broken = json.dumps(["/app", "no-such-command"])
    with hook(backups, command=broken, **{"on-error": "Continue"}), attempt(backups, tmp_path) as tried:
        with pytest.raises(FaultError, match="PartiallyFailed"):
            tried.back_up()
        assert "is PartiallyFailed" in tried.restore()


def by_hand(fleet: Fleet, name: str, spec: dict[str, Any]) -> str:
    """A backup that somebody takes in us, completed."""
    meta = {"name": name, "namespace": "velero"}
    body = {"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": meta}
    text = json.dumps({**body, "spec": {"storageLocation": "default", "ttl": "1h0m0s", **spec}})
    kubectl(fleet.regions["us"], "apply", "-f", "-", stdin=text)

    def completed() -> bool:
        found = kubectl(fleet.regions["us"], "-n", "velero", "get", "backups.velero.io", name, "-o", "json")
        return bool((json.loads(found).get("status") or {}).get("phase") == "Completed")

    eventually(f"backup {name} is Completed", completed, 60.0)
    return name


def restoring_drill(folder: Path, edit: Callable[[dict[str, Any]], None] = lambda document: None) -> Path:
    """A drill that cuts the link between the regions and restores meanwhile."""

    def change(document: dict[str, Any]) -> None:
        wanted = {"backup": "newest-scheduled", "from": "primary", "to": "standby"}
        step = {
            "name": "restore",
            "deadline": "60s",
            "restore": {**wanted, "namespaces": {"production": "production-dr"}},
        }
        document |= {"drill": "restoring", "detect": "fault", "procedure": [step], "lease": "4s"}
        document["objectives"] = [
            {"kind": "availability", "service": "frontend", "objective": "50%"},
            {"kind": "restored", "service": "frontend"},
            {"kind": "backup-rpo", "service": "frontend", "objective": "2h"},
        ]
        edit(document)

    file = content("drills", "link-loss", folder, change)
    return file.rename(file.with_name("restoring.yaml"))


@pytest.mark.full
def test_a_backup_older_than_the_objective(backups: Fleet, tmp_path: Path) -> None:
    known(backups)
    ran = drill(backups, tmp_path, {"objectives.2.objective": "1s"})
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), ran.output
    assert [o.kind for o in ran.result.objectives if o.met is False] == ["backup-rpo"]


def drill(fleet: Fleet, folder: Path, settings: dict[str, str]) -> Ran:
    return run_drill(restoring_drill(folder), fleet.source or Path(), folder / "out", settings=settings, deadline=240)


@pytest.mark.parametrize(
    ("who", "point"),
    [
        ("machine", "restore.created"),
        *(
            pytest.param(who, point, marks=pytest.mark.full)
            for who, point in (
                ("runner", "restore.created"),
                ("runner", "restore.namespaces"),
                ("machine", "restore.namespaces"),
            )
        ),
    ],
)
def test_killed_while_it_restores_no_namespace_is_left(backups: Fleet, tmp_path: Path, point: str, who: str) -> None:
    """The watchdog takes it away; where the whole machine dies, the guardian in Velero's namespace."""
    known(backups)
    mark = tmp_path / "struck"
    env = {
        **os.environ,
        "BLACKSTART_FAILPOINT": f"{point}=kill",
        "BLACKSTART_FAILPOINT_ROLE": "supervisor",
        "BLACKSTART_FAILPOINT_LOG": str(mark),
        "BLACKSTART_STATE": str(tmp_path / "state"),
    }
    fleet = ["--fleet", str(backups.source)]
    argv = [sys.executable, "-m", "blackstart", "run", str(restoring_drill(tmp_path)), *fleet]
    with (tmp_path / "log").open("wb") as log:
        runner = subprocess.Popen(
            [*argv, "--out", str(tmp_path / "out")], cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT
        )
        runner.wait(120)
    assert mark.exists(), (tmp_path / "log").read_text()
    if who == "machine":
        for pid in members(mark):
            os.kill(pid, signal.SIGKILL)
    took = eventually("nothing is left", lambda: left(backups, "eu") == [], 120.0)
    print(f"gone {took:.1f} s after the runner")
    recover = [sys.executable, "-m", "blackstart", "recover", *fleet]
    done = subprocess.run(
        recover, cwd=ROOT, env={**env, "BLACKSTART_FAILPOINT": ""}, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stdout
