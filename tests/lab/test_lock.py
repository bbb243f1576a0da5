"""One drill at a time on a region; a dead holder is put back first, wherever it ran."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from labcrash import Case, drill
from labdrill import ROOT, kubectl, run_drill

from blackstart.evidence.reader import EVIDENCE, read
from blackstart.evidence.records import FaultEvent
from blackstart.fleet.model import Fleet
from blackstart.schema.result import Verdict

STARTS = 50


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


def test_of_many_starts_one_runs(lab: Fleet, tmp_path: Path) -> None:
    path = drill(Case("scale", "none", "none", "none"), tmp_path)
    argv = [sys.executable, "-m", "blackstart", "run", str(path), "--fleet", str(lab.source), "--set", "lease=15s"]
    runs = [
        subprocess.Popen(
            [*argv, "--out", str(tmp_path / f"out-{n}")],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        for n in range(STARTS)
    ]
    codes = [run.wait(240) for run in runs]
    # One that begins after another has ended may run too; two at once may not.
    assert codes.count(0) >= 1, codes
    assert set(codes) <= {0, 15}, codes
    spans = sorted(span for n, code in enumerate(codes) if (span := held(tmp_path / f"out-{n}", code)))
    assert len(spans) == codes.count(0)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans)), spans
    assert locks(lab) == ""


def held(out: Path, code: int) -> tuple[float, float] | None:
    """From when until when (monotonic seconds) a run changed the fleet; a run that was refused changed nothing."""
    (evidence,) = out.glob(f"*/{EVIDENCE}")
    lines = list(read(evidence))
    times = [line.t for line in lines if isinstance(line.body, FaultEvent)]
    assert (code == 15) == (not times), f"{evidence}: exit code {code}, {len(times)} events of faults"
    return (min(times), max(times)) if times else None


def locks(lab: Fleet) -> str:
    """The lock Leases in the surviving cluster."""
    return kubectl(lab.regions["eu"], "-n", "default", "get", "leases", "-o", "name")
