"""How long it takes to be put back, whatever died: N random points of the crash matrix, against the run's TTL.

`python bench/crash_matrix.py [--points N] [--seed S]`; 20 points by default, about
25 s each. Exit code 1 when one was not put back.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from blackstart.evidence.failpoints import names
from blackstart.lab import native
from blackstart.lab.paths import LabPaths
from blackstart.lab.toolchain import NATIVE, build

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/lab"))
from labcrash import EXPERIMENTS, TTL, Case, crash

_ALL = names()
CHILD = _ALL[_ALL.index("arm.before") : _ALL.index("held") + 1]
SUPERVISOR = _ALL[_ALL.index("child.started") : _ALL.index("undo.after") + 1]
HOWS = ("kill", "kill", "both", "stop", "machine", "machine+guardian")
GUARDED = ("scale", "chaosk8s", "cordon", "policy", "service")
GOAL = TTL + 3
"""Seconds within which everything should be as before."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    build(NATIVE, lambda _: None)
    paths = LabPaths(Path(".blackstart/lab").absolute())
    ours = not paths.fleet.exists()
    fleet = native.up(["us", "eu"], paths, lambda _: None)
    seconds: dict[str, list[float]] = defaultdict(list)
    lost: list[str] = []
    try:
        for case in _cases(options.points, random.Random(options.seed)):  # noqa: S311 - to be repeated, not secret
            with tempfile.TemporaryDirectory(prefix="blackstart-crash-") as folder:
                crashed = crash(case, fleet, paths, Path(folder))
            if crashed.seconds is None and "never reached" in crashed.differs:
                continue
            if crashed.seconds is None:
                lost.append(f"{case}: {crashed.differs}")
            else:
                seconds[case.how].append(crashed.seconds)
            print(f"  {case}: {crashed.seconds}", flush=True)
    finally:
        if ours:
            native.down(paths, lambda _: None)
    print(f"seed {options.seed}, TTL {TTL:g} s; seconds from the crash until everything was as before")
    for how, times in seconds.items():
        spread = f"p50 {statistics.median(times):5.1f}  max {max(times):5.1f}  max/TTL {max(times) / TTL:4.1f}"
        within = sum(seconds <= GOAL for seconds in times) / len(times)
        print(f"  {how:16} n {len(times):4}  {spread}  within TTL + 3 s {within:4.0%}")
    print(f"  not put back: {len(lost)}", *lost, sep="\n    ")
    return 1 if lost else 0


def _cases(number: int, dice: random.Random) -> list[Case]:
    """Points that make sense: a region that was killed cannot come back when the machine that would do it is gone."""
    found: list[Case] = []
    while len(found) < number:
        how, fault = dice.choice(HOWS), dice.choice(list(EXPERIMENTS))
        role, points = ("child", CHILD) if dice.random() < 0.8 else ("supervisor", SUPERVISOR)
        alone = (how, fault) == ("machine", "kill") or (how == "machine+guardian" and fault not in GUARDED)
        if not alone:
            found.append(Case(fault, how, role, dice.choice(points)))
    return found


if __name__ == "__main__":
    sys.exit(main())
