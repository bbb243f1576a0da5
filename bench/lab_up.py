"""How long a warm lab takes from nothing to Ready pods and a green edge, and its parts (goal: about 15 s on 2 cores).

Times `up` and `down` of two regions, in a folder of its own: plain, then with each option, whose memory is told, too.
Beside it, as a measure of the machine: how long Python takes to hash 200 MB.
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
MORE = {"--global-metrics": "global_metrics"}
"""What is added to a plain lab, one at a time."""

Steps = dict[str, list[float]]


def main() -> None:
    build(tools(global_metrics=True), lambda _: None)
    plain, memory = _measured({})
    _print(f"two regions, {os.cpu_count()} cores, {RUNS} runs; seconds since the start of `up`", plain)
    ratio = statistics.median(plain["up"]) / statistics.median(plain["reference: SHA-256 of 200 MB"])
    print(f"  up / reference: {ratio:.0f}")
    for option, argument in MORE.items():
        steps, more = _measured({argument: True})
        _print(f"with {option}", steps)
        added = {part: megabytes for part, megabytes in more.items() if part not in memory}
        cost = statistics.median(steps["up"]) - statistics.median(plain["up"])
        listed = ", ".join(f"{part} {megabytes:.0f}" for part, megabytes in added.items())
        print(f"  it adds {cost:.1f} s and {sum(added.values()):.0f} MB: {listed}")


def _measured(added: dict[str, bool]) -> tuple[Steps, dict[str, float]]:
    """Seconds of each step of each run, and megabytes of each process of the last one."""
    steps: Steps = defaultdict(list)
    memory: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="blackstart-bench-") as folder:
        paths = LabPaths(Path(folder))
        for _ in range(RUNS):
            steps["reference: SHA-256 of 200 MB"].append(_reference())
            began = time.monotonic()
            try:
                native.up(["us", "eu"], paths, lambda line: _note(line, steps), **added)
                steps["up"].append(time.monotonic() - began)
                memory = _memory(paths)
            finally:
                began = time.monotonic()
                native.down(paths, lambda _: None)
                steps["down"].append(time.monotonic() - began)
    return steps, memory


def _print(title: str, steps: Steps) -> None:
    print(title)
    for step, times in steps.items():
        print(f"  {step:38} median {statistics.median(times):5.1f}   {min(times):5.1f} to {max(times):5.1f}")


def _memory(paths: LabPaths) -> dict[str, float]:
    """Resident megabytes of every process that the lab started."""
    found = {}
    for file in sorted(paths.root.glob("*/pids.json")):
        for name, process in recorded(file).items():
            pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
            found[f"{file.parent.name} {name}"] = int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return found


def _note(line: str, steps: Steps) -> None:
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
