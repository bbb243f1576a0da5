"""How long a warm lab takes from nothing to Ready pods and a green edge, and its parts (goal: about 15 s on 2 cores).

Five times `up` and `down` of two regions, in a folder of its own. Beside it,
as a measure of the machine: how long Python takes to hash 200 MB.
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
from blackstart.lab.toolchain import NATIVE, build

RUNS = 5


def main() -> None:
    build(NATIVE, lambda _: None)
    steps: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="blackstart-bench-") as folder:
        paths = LabPaths(Path(folder))
        for _ in range(RUNS):
            steps["reference: SHA-256 of 200 MB"].append(_reference())
            began = time.monotonic()
            try:
                native.up(["us", "eu"], paths, lambda line: _note(line, steps))
                steps["up"].append(time.monotonic() - began)
            finally:
                began = time.monotonic()
                native.down(paths, lambda _: None)
                steps["down"].append(time.monotonic() - began)
    print(f"two regions, {os.cpu_count()} cores, {RUNS} runs; seconds since the start of `up`")
    for step, times in steps.items():
        print(f"  {step:32} median {statistics.median(times):5.1f}   {min(times):5.1f} to {max(times):5.1f}")
    ratio = statistics.median(steps["up"]) / statistics.median(steps["reference: SHA-256 of 200 MB"])
    print(f"  up / reference: {ratio:.0f}")


def _note(line: str, steps: dict[str, list[float]]) -> None:
    """A line of `up` is seconds and what was reached."""
    seconds, _, what = line.strip().partition(" s  ")
    if what:
        steps[what].append(float(seconds))


def _reference() -> float:
    began = time.monotonic()
    hashlib.sha256(bytes(200_000_000)).hexdigest()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
