"""One drill at a time on a region; a dead holder is put back first, wherever it ran."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from labcrash import Case, drill, wait
from labdrill import ROOT, kubectl, run_drill

from blackstart.evidence.reader import EVIDENCE, read
from blackstart.evidence.records import FaultEvent
from blackstart.fleet import lease as leases
from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.model import Fleet
from blackstart.lab.cgroups import Group, current
from blackstart.plan.locks import lock_lease
from blackstart.schema.result import Verdict


def test_a_dead_holder_of_another_machine_is_no_obstacle(lab: Fleet, tmp_path: Path) -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": "blackstart-lock-us",
            "namespace": "default",
            "labels": {"blackstart.dev/run": "20200101-000000-dead-0000"},
        },
        "spec": {"holderIdentity": "20200101-000000-dead-0000", "leaseDurationSeconds": 3},
    }
    kubectl(lab.regions["eu"], "apply", "-f", "-", stdin=json.dumps(lease))
    ran = run_drill("service-failover", lab.source or Path(), tmp_path / "out")
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), ran.output
    assert locks(lab) == ""


@pytest.mark.parametrize("starts", [12, pytest.param(50, marks=pytest.mark.full)])
def test_of_many_starts_one_runs(lab: Fleet, tmp_path: Path, starts: int) -> None:
    path = drill(Case("scale", "none", "none", "none"), tmp_path)
    argv = [sys.executable, "-m", "blackstart", "run", str(path), "--fleet", str(lab.source)]
    # Long enough for all to come too late. So many on two cores make any baseline look sick: not the question here.
    patient = {"lease": "30s", "phases.hold": "180s", "steady.success": "1%", "client.timeout": "3s"}
    argv += [word for key, value in patient.items() for word in ("--set", f"{key}={value}")]
    # Together they get no more of the processors than the clusters that are to tell them apart, or a single process.
    crowd = Group(current(), "blackstart-starts")
    crowd.make()
    runs = {
        tmp_path / f"out-{n}": subprocess.Popen(
            [*argv, "--out", str(tmp_path / f"out-{n}")],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: join(crowd),  # noqa: PLW1509 - it only writes to files
        )
        for n in range(starts)
    }
    try:
        prefer(holder(lab, runs))
        wait(lambda: sum(run.poll() is None for run in runs.values()) <= 1, 170)
        codes = Counter(run.poll() for run in runs.values())
        assert codes == {15: starts - 1, None: 1}
        (winner,) = [out for out, run in runs.items() if run.poll() is None]
        assert wait(lambda: changes(winner) > 0, 60)
    finally:
        for run in runs.values():
            run.terminate()
        for run in runs.values():
            run.wait(60)
        crowd.kill()
        crowd.remove()
    assert runs[winner].returncode == 13
    assert all(changes(out) == 0 for out in runs if out != winner)
    assert locks(lab) == ""


def holder(lab: Fleet, runs: dict[Path, subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """The run that the lock's Lease names."""
    found: list[subprocess.Popen[bytes]] = []
    with Kube(lab.regions["eu"].cluster) as kube:

        def held() -> bool:
            try:
                lease = leases.find(kube, lock_lease("default", "us"))
            except KubeError:
                return False  # too busy
            found[:] = [run for out, run in runs.items() if lease and (out / lease.holder).is_dir()]
            return bool(found)

        assert wait(held, 120)
    return found[0]


def join(group: Group) -> None:
    for file in group.procs_files:
        file.write_text("0")


def prefer(run: subprocess.Popen[bytes]) -> None:
    """Take the run out of the crowd, whose imports would starve its checks."""
    for tree in current().trees:
        (tree / "cgroup.procs").write_text(str(run.pid))


def changes(out: Path) -> int:
    """How many things a run did to the fleet."""
    (evidence,) = out.glob(f"*/{EVIDENCE}")
    return sum(isinstance(line.body, FaultEvent) for line in read(evidence))


def locks(lab: Fleet) -> str:
    """The lock Leases in the surviving cluster."""
    return kubectl(lab.regions["eu"], "-n", "default", "get", "leases", "-o", "name")
