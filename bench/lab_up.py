"""How long a warm lab takes from nothing to Ready pods and a green edge, and its parts (goal: about 15 s on 2 cores).

Five times `up` and `down` of two regions, in a folder of its own; then three
times with backups, with the memory that those take. Beside it, as a measure of
the machine: how long Python takes to hash 200 MB.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from blackstart.lab import native
from blackstart.lab.paths import LabPaths
from blackstart.lab.processes import recorded
from blackstart.lab.toolchain import build, tools

RUNS = 5
MORE = {"backup": (3, ("velero", "rclone"))}
"""Option of `up` -> runs, and the parts that it adds."""

Steps = dict[str, list[float]]


def main() -> None:
    build(tools(backup=True), lambda _: None)
    with tempfile.TemporaryDirectory(prefix="blackstart-bench-") as folder:
        paths = LabPaths(Path(folder))
        steps = _measure(paths, RUNS, {}, ())
        print(f"two regions, {os.cpu_count()} cores, {RUNS} runs; seconds since the start of `up`")
        _print(steps)
        ratio = statistics.median(steps["up"]) / statistics.median(steps["reference: SHA-256 of 200 MB"])
        print(f"  up / reference: {ratio:.0f}")
        for option, (runs, parts) in MORE.items():
            print(f"with --{option}, {runs} runs")
            _print(_measure(paths, runs, {option: True}, parts))


def _measure(paths: LabPaths, runs: int, options: dict[str, bool], parts: tuple[str, ...]) -> Steps:
    steps: Steps = defaultdict(list)
    for _ in range(runs):
        steps["reference: SHA-256 of 200 MB"].append(_reference())
        began = time.monotonic()
        try:
            native.up(["us", "eu"], paths, lambda line: _note(line, steps), **options)
            steps["up"].append(time.monotonic() - began)
            for file in sorted(paths.root.glob("*/pids.json")):
                for name, process in recorded(file).items():
                    if name in parts:
                        steps[f"MB: {name} of {file.parent.name}"].append(_memory(process.pid))
        finally:
            began = time.monotonic()
            native.down(paths, lambda _: None)
            steps["down"].append(time.monotonic() - began)
    return steps


def _print(steps: Steps) -> None:
    for step, found in steps.items():
        print(f"  {step:32} median {statistics.median(found):5.1f}   {min(found):5.1f} to {max(found):5.1f}")


def _note(line: str, steps: Steps) -> None:
    """A line of `up` is seconds and what was reached."""
    seconds, _, what = line.strip().partition(" s  ")
    if what:
        steps[what].append(float(seconds))


def _memory(pid: int) -> float:
    """Resident MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def _reference() -> float:
    began = time.monotonic()
    hashlib.sha256(bytes(200_000_000)).hexdigest()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
