"""Whether the ledger tells the truth: random runs of database-failover, against what the servers' own data say.

    python bench/truth.py [--runs 5] [--seed 1] [--semi-sync] [--out DIR]

Each run has its own load, kill time and standby: in step; behind, because its replica stopped to receive some time
before the kill; or cut off. With `--semi-sync` the lab is started so, and each run leaves it on or switches it off.
The truth comes from elsewhere than what is judged: rows by the `mariadb` client as root and keys by redis-cli, from
`eu` after the failover and from both regions after the fail-back, and, while it is dead, the old primary's binary log
and append-only file. Run n has the seed S + n, so that `--seed S+n --runs 1` repeats its settings. About 50 s each;
exit code 1 unless all agree. A drill that is interrupted after a promotion leaves the primaries in `eu`, as it says:
a lab that this started ends then, too; any other is led home by hand.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blackstart.fleet.model import Fleet
from blackstart.lab import native
from blackstart.lab.data import KINDS, NOBODY, Kind
from blackstart.lab.dataregion import RegionData
from blackstart.lab.paths import LabPaths
from blackstart.lab.shell import LabError, wait_for
from blackstart.lab.toolchain import NATIVE, build
from blackstart.schema.errors import BlackstartError
from blackstart.schema.result import Result

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/lab"))
from datatruth import NEW, OLD, Ids, Truth, compare, held, left_by
from labdrill import content

LONGEST, UNDONE, MENDED = 240.0, 150.0, 60.0
"""Seconds: of a run, to put back after an interruption, until the lab is as before."""
ROLES: Mapping[Kind, str] = {"mariadb": "database", "redis": "cache"}
SETTINGS = {
    "steady.window": "2s",
    "phases.hold": "12s",
    "phases.settle": "1s",
    # Only one can be missed: PASS says that nothing was lost.
    "objectives": "[{kind: lost-writes, service: orders}, {kind: availability, service: orders, objective: 1%}]",
}


@dataclass(frozen=True)
class Case:
    """The settings of a run. `behind`: how the standby's `store` gets there, so many `seconds` before the kill.

    A cut has to be confirmed before they begin, which takes about 5 s more.
    """

    seed: int
    kill_after: float
    writers: int
    interval: float
    behind: str
    store: Kind
    seconds: float
    semi_sync: bool

    def __str__(self) -> str:
        load = f"{self.writers:2} writers / {1000 * self.interval:3.0f} ms"
        behind = "in step" if self.behind == "none" else f"{self.store} {self.behind} {self.seconds:.1f} s"
        how = "semi-sync" if self.semi_sync else "async"
        return f"seed {self.seed:4}  kill after {self.kill_after:.1f} s  {load}  {behind:21} {how:9}"


def draw(seed: int, semi_sync: bool) -> Case:
    """The case of a seed; the same one on either lab but for `semi_sync`."""
    dice = random.Random(seed)  # noqa: S311 - to be repeated, not secret
    load = dice.uniform(3, 8), dice.randint(5, 40), dice.uniform(0.1, 0.4)
    behind = dice.choice(("none", "stopped", "severed"))
    return Case(seed, *load, behind, dice.choice(KINDS), dice.uniform(0.3, 4), dice.random() < 0.5 and semi_sync)


@dataclass
class Watch:
    """What the servers hold at the moments of a run."""

    servers: Mapping[str, RegionData]
    case: Case
    out: Path
    begun: float = field(default_factory=time.time)
    dead: Ids = field(default_factory=dict)
    failover: Ids = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """What the run's ids begin with, by its ledger."""
        (file,) = self.out.glob("*/ledger.ndjson")
        with file.open() as lines:
            return f"{json.loads(next(lines))['ledger']}."

    def hear(self, line: str) -> None:
        """A line that the drill prints. Raises LabError."""
        if "phase inject" in line and self.case.behind == "stopped":
            if self.case.store == "mariadb":
                self.servers[NEW].sql("STOP SLAVE IO_THREAD")
            else:
                self.servers[NEW].redis(f"REPLICAOF {NOBODY[0]} {NOBODY[1]}")
        elif "phase hold" in line:
            self.dead = left_by(self.servers[OLD], self.prefix, self.begun)
        elif "phase undo" in line:
            self.failover = held(self.servers[NEW], self.prefix)


def drill(watch: Watch, fleet: Fleet, folder: Path) -> None:
    """Run it to its end, whatever happens. Raises LabError."""
    case = watch.case

    def method(document: dict[str, Any]) -> None:
        (kill,) = document["method"]
        if case.behind == "stopped":
            kill["pauses"]["before"] = case.seconds
        elif case.behind == "severed":
            there = {"store": ROLES[case.store], "region": "standby"}
            sever = {"module": "blackstart.activities.faults", "func": "sever_store", "arguments": there}
            provider = {"type": "python", **sever}
            cut = {"type": "action", "name": "the standby is cut off", "provider": provider}
            document["method"].insert(0, {**cut, "pauses": {"after": case.seconds}})

    content("experiments", "database-failover", folder, method)
    file = content("drills", "database-failover", folder, lambda _: None)
    own = {"phases.baseline": f"{case.kill_after:.2f}s", "ledger.interval": f"{1000 * case.interval:.0f}ms"}
    argv = [sys.executable, "-u", "-m", "blackstart", "run", str(file), "--fleet", str(fleet.source)]
    for key, value in {**SETTINGS, **own, "ledger.writers": str(case.writers)}.items():
        argv += ["--set", f"{key}={value}"]
    with ExitStack() as stack:
        log = stack.enter_context((folder / "drill.log").open("w"))
        process = subprocess.Popen(
            [*argv, "--out", str(watch.out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        stack.callback(_end, process)
        timer = threading.Timer(LONGEST, process.terminate)
        stack.callback(timer.cancel)
        timer.start()
        for line in process.stdout or ():
            log.write(line)
            watch.hear(line)


def _end(process: subprocess.Popen[str]) -> None:
    """It undoes what it broke before it goes; where it cannot, its watchdog does."""
    process.terminate()
    try:
        process.communicate(timeout=UNDONE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def mend(servers: Mapping[str, RegionData], semi_sync: bool) -> None:
    """Take back what this changed, and wait until the lab is as it was. Raises LabError."""
    old, new = servers[OLD], servers[NEW]
    for kind in KINDS:
        if not new.seen(kind).writable and not new.follows(kind):
            new.follow(kind)
    if semi_sync:
        old.sql("SET GLOBAL rpl_semi_sync_master_enabled=1")

    def steady() -> bool | None:
        return all(old.seen(k).writable and not new.seen(k).writable and new.follows(k) for k in KINDS) or None

    wait_for("the stores are as before", steady, MENDED, every=0.5, hint="`blackstart status`, `blackstart recover`")


def one(case: Case, fleet: Fleet, paths: LabPaths, out: Path, semi_sync: bool) -> bool:
    """Run a case and print its line; whether it agrees. Raises LabError when the lab is not as before."""
    lab, begun, folder = native.load(paths), time.monotonic(), out / str(case.seed)
    servers = {region: data for region in (OLD, NEW) if (data := lab.region(region).data)}
    watch = Watch(servers, case, folder / "out")
    watch.out.mkdir(parents=True)
    mend(servers, semi_sync)
    if semi_sync and not case.semi_sync:
        servers[OLD].sql("SET GLOBAL rpl_semi_sync_master_enabled=0")
    wrong, said = ["it left no result"], ""
    try:
        drill(watch, fleet, folder)
        for file in watch.out.glob("*/result.json"):
            result = Result.model_validate_json(file.read_text())
            said = f"  {result.verdict}" + ("" if result.verdict in ("PASS", "FAIL") else f": {result.sentence}")
            wrong = ["it was not read back at both moments"]
            if watch.dead and {w.moment for w in result.writes} == {"failover", "failback"}:
                now = {region: held(server, watch.prefix) for region, server in servers.items()}
                truth = Truth(watch.dead, watch.failover, now)
                ledger, evidence = (file.with_name(f"{name}.ndjson").read_text() for name in ("ledger", "evidence"))
                found = compare(result, ledger, evidence, truth)
                pairs = " ".join(f"{f'{told}/{true}':>9}" for told, true in found.lost.values())
                said = f"  acknowledged {found.acknowledged:5}  lost {pairs}{said}"
                wrong = list(found.wrong)
    except BlackstartError as error:
        wrong = [f"ended otherwise: {error}"]
    finally:
        mend(servers, semi_sync)
    agree = "no " if wrong else "yes"
    print(f"{case}{said}  agree {agree} {time.monotonic() - begun:5.1f} s", *wrong, sep="\n      ", flush=True)
    return not wrong


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--semi-sync", action="store_true", help="on a lab that was started so, or is by this")
    parser.add_argument("--out", type=Path, help="keep the runs there; a temporary folder otherwise")
    options = parser.parse_args()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    build(NATIVE, lambda _: None)
    paths = LabPaths(Path(".blackstart/lab").absolute())
    ours, agreed, code = not paths.fleet.exists(), list[bool](), 0
    with ExitStack() as stack:
        if ours:
            stack.callback(native.down, paths, lambda _: None)
        try:
            fleet = native.up([OLD, NEW], paths, lambda _: None, data=True, semi_sync=options.semi_sync)
            out = options.out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="blackstart-truth-")))
            print("lost after the failover, told/true: orders and events in the database, orders in the cache")
            for seed in range(options.seed, options.seed + options.runs):
                agreed.append(one(draw(seed, options.semi_sync), fleet, paths, out.absolute(), options.semi_sync))
        except KeyboardInterrupt:
            code = 130
        except LabError as error:
            print(f"no further runs: {error}")
            code = 1
        print(f"{sum(agreed)} of {len(agreed)} agree")
    return code if all(agreed) else 1


if __name__ == "__main__":
    sys.exit(main())
