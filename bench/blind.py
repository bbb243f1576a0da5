"""How long a view of all regions is wrong while a region's metrics are lost: blackstart's probes, and a plain query.

Real drills on the lab with Thanos and a federating Prometheus: metrics-region-loss with each of its experiments, and
federation-loss. Truth is what Kubernetes says in each region. Prints seconds, from the baseline to the end of the
fail-back: wrong (goal: 0), without data, and wrong for somebody who takes the first value of any HTTP 200.
`python bench/blind.py [--hold 30s] [--out DIR]`, about a minute and a half a drill; exit code 1 unless all verdicts
are PASS and no view was ever wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from blackstart.fleet.model import Fleet
from blackstart.lab import native
from blackstart.lab.features import Features
from blackstart.lab.paths import LabPaths
from blackstart.lab.toolchain import build, tools
from blackstart.probes import load_probe, read
from blackstart.probes.base import Scope
from blackstart.schema.content import content_dir
from blackstart.schema.result import Result, Verdict

CASES = (
    # drill, experiment
    ("metrics-region-loss", "metrics-region-loss"),
    ("metrics-region-loss", "metrics-sidecar-freeze"),
    ("metrics-region-loss", "metrics-store-blackhole"),
    ("metrics-region-loss", "metrics-prometheus-freeze"),
    ("metrics-region-loss", "metrics-prometheus-kill"),
    ("federation-loss", "federation-loss"),
)
VIEWS = ("global-pods", "global-pods-by-region", "federated-pods")
QUICK = {"steady.window": "2s", "phases.baseline": "4s", "phases.settle": "1s"}


def main() -> int:
    parser = argparse.ArgumentParser(description="how long views of all regions are wrong")
    parser.add_argument("--hold", default="30s", help="how long the metrics are lost")
    parser.add_argument("--out", type=Path, help="keep the reports of the drills there")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    build(tools(Features(global_metrics=True)), lambda _: None)
    paths = LabPaths(Path(".blackstart/lab").absolute())
    ours = not paths.fleet.exists()
    fleet = native.up(["us", "eu"], paths, lambda _: None, global_metrics=True)
    good = True
    try:
        with tempfile.TemporaryDirectory(prefix="blackstart-bench-") as folder:
            print(
                f"{'lost':28}{'view':26}{'watched':>8}{'wrong':>7}{'no data':>9}{'plain query wrong':>19}", flush=True
            )
            for drill, experiment in CASES:
                wait(fleet)
                result = run(drill, experiment, options.hold, fleet, (options.out or Path(folder)) / experiment)
                good &= shown(experiment, result)
    finally:
        if ours:
            native.down(paths, lambda _: None)
    return 0 if good else 1


def wait(fleet: Fleet, deadline: float = 90.0) -> None:
    """Until every view sees all regions: Thanos takes its time with a store that was lost before."""
    specs = [load_probe(content_dir("probes") / f"{name}.yaml") for name in VIEWS]
    ends = time.monotonic() + deadline
    while blind := [spec.probe for spec in specs if any(r.no_data for r in asyncio.run(read(spec, Scope(fleet))))]:
        if time.monotonic() > ends:
            sys.exit(f"after {deadline:g} s still without data: {', '.join(blind)}")
        time.sleep(1.0)


def run(drill: str, experiment: str, hold: str, fleet: Fleet, out: Path) -> Result | None:
    """A drill to its end. However this ends, it puts back what it broke first."""
    argv = [sys.executable, "-m", "blackstart", "run", drill, "--out", str(out), "--fleet", str(fleet.source)]
    for key, value in {**QUICK, "experiment": experiment, "phases.hold": hold}.items():
        argv += ["--set", f"{key}={value}"]
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        said = process.communicate(timeout=300.0)[0]
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
        raise
    files: Sequence[Path] = list(out.glob("*/result.json"))
    if not files:
        print(said, flush=True)
    return Result.model_validate_json(files[0].read_text()) if files else None


def shown(experiment: str, result: Result | None) -> bool:
    """Print the lines of a drill; whether all of it is as it should be."""
    for view in result.views if result else ():
        name = f"{view.probe} {view.key}"
        print(
            f"{experiment:28}{name:26}{view.watched_s:>6} s{view.wrong_s:>5} s{view.silent_s:>7} s"
            f"{view.plain_wrong_s:>17} s",
            flush=True,
        )
    if result is None or result.verdict is not Verdict.PASS:
        print(f"{experiment:28}{result.sentence if result else 'no result'}", flush=True)
        return False
    return all(view.wrong_s == view.unknown_s == 0 for view in result.views)


if __name__ == "__main__":
    sys.exit(main())
