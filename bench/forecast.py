"""How good the forecast is: drills of a mesh under five settings of its rules, forecast against measurement.

Real drills on the lab with a mesh. Before those of a setting the
DestinationRule and the VirtualService of both regions get other errors,
timeouts and retries; the forecast is the one in the drill's own evidence. The
lab's own rules are back afterwards, whatever ends this.

Prints per time what was foretold and measured, the error (seconds outside of
the forecast's bounds, 0: inside) and the distance from the middle of the
bounds, so that wide bounds do not pass for good ones. The goal is 25 % of what
was measured, or 0.5 s. `python bench/forecast.py [--settings 1,2] [--out DIR]`,
four drills of half a minute each per setting.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Ref
from blackstart.lab import native
from blackstart.lab.features import Features
from blackstart.lab.meshrules import rules
from blackstart.lab.paths import LabPaths
from blackstart.lab.toolchain import build, tools
from blackstart.report.foretold import NAMES, error, expected
from blackstart.schema.forecast import Compared
from blackstart.schema.result import Result

REGIONS = ["us", "eu"]
PLURALS = {"DestinationRule": "destinationrules", "VirtualService": "virtualservices"}
PUSHED = 3.0
"""Seconds for new rules to reach the gateways."""
CALM = 8.0
"""Seconds for the count of ejections to run down, which makes the next ones longer."""
SHARE, SECONDS = 0.25, 0.5
"""The goal: so much of what was measured, or so many seconds."""

QUICK = {
    "client.timeout": "2s",
    "client.slow": "null",
    "steady.window": "2s",
    "phases.baseline": "3s",
    "phases.settle": "0s",
    "probes": "[]",
    "guards": "[]",
}
DRILLS = (
    # drill, service, hold
    ("endpoint-blackhole", "mesh", "8s"),
    ("endpoint-blackhole", "mesh", "12s"),
    ("locality-failover", "mesh", "8s"),
    ("gateway-loss", "frontend", "8s"),
)


@dataclass(frozen=True)
class Rules:
    """What differs between drills. Durations as Istio writes them; attempts 0: no retries."""

    errors: int
    connect: str
    per_try: str
    attempts: int
    remote: bool = True
    percent: int = 100

    def __str__(self) -> str:
        retries = f"{self.attempts} retries of {self.per_try}" if self.attempts else "no retries"
        where = "" if self.remote else " at home"
        return f"{self.errors} errors, connect {self.connect}, {retries}{where}, {self.percent} % may be ejected"


SETTINGS = (
    Rules(errors=3, connect="200ms", per_try="200ms", attempts=3),
    Rules(errors=1, connect="500ms", per_try="500ms", attempts=0),
    Rules(errors=5, connect="1s", per_try="1s", attempts=0),
    Rules(errors=3, connect="300ms", per_try="300ms", attempts=2, remote=False),
    Rules(errors=3, connect="200ms", per_try="200ms", attempts=3, percent=10),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="the forecast of a mesh against its measurement")
    parser.add_argument("--settings", default="1,2,3,4,5", help="which of the five, such as 1,2")
    parser.add_argument("--out", type=Path, help="keep the reports of the drills there")
    options = parser.parse_args()
    chosen = [SETTINGS[int(n) - 1] for n in options.settings.split(",")]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    build(tools(Features(mesh=True)), lambda _: None)
    paths = LabPaths(Path(".blackstart/lab").absolute())
    ours = not paths.fleet.exists()
    fleet = native.up(REGIONS, paths, lambda _: None, mesh=True)
    found: list[Compared] = []
    try:
        with tempfile.TemporaryDirectory(prefix="blackstart-bench-") as folder:
            for n, setting in enumerate(chosen):
                found += _under(setting, fleet, (options.out or Path(folder)) / str(n))
    finally:
        _apply(fleet, None)
        if ours:
            native.down(paths, lambda _: None)
    _summary(found)


def _under(setting: Rules, fleet: Fleet, out: Path) -> Iterator[Compared]:
    _apply(fleet, setting)
    time.sleep(PUSHED)
    print(setting, flush=True)
    for n, (drill, service, hold) in enumerate(DRILLS):
        time.sleep(CALM)
        yield from _drill(drill, service, hold, fleet, out / str(n))


def _drill(drill: str, service: str, hold: str, fleet: Fleet, out: Path) -> Iterator[Compared]:
    argv = [sys.executable, "-m", "blackstart", "run", drill, "--out", str(out), "--fleet", str(fleet.source)]
    objectives = f"[{{kind: rto, service: {service}, objective: 5s}}]"
    for key, value in {**QUICK, "phases.hold": hold, "objectives": objectives}.items():
        argv += ["--set", f"{key}={value}"]
    said = _run(argv)
    files = list(out.glob("*/result.json"))
    foreseen = Result.model_validate_json(files[0].read_text()).forecasts if files else {}
    print(f"  {drill}, hold {hold}", flush=True)
    for each in foreseen.values():
        if not each.compared:
            print(f"    no forecast: {each.forecast.reason}")
        for compared in each.compared:
            print(f"    {_line(compared)}", flush=True)
            if compared.inside is not None:
                yield compared
    if not foreseen:
        print(said, flush=True)


def _run(argv: Sequence[str], deadline: float = 240.0) -> str:
    """What it printed. However this ends, the drill puts back what it broke first."""
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        return process.communicate(timeout=deadline)[0]
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
        raise


def _apply(fleet: Fleet, setting: Rules | None) -> None:
    """The lab's own rules in every region, changed as a setting says."""
    for rule in rules(REGIONS):
        plural = PLURALS.get(rule["kind"])
        if plural is None:
            continue
        if setting:
            _change(rule["spec"], setting)
        ref = Ref(f"networking.istio.io/v1/{plural}", rule["metadata"]["namespace"], rule["metadata"]["name"])
        for region in fleet.regions.values():
            with Kube(region.cluster) as kube:
                kube.patch(ref, {"spec": rule["spec"]})


def _change(spec: dict[str, Any], setting: Rules) -> None:
    if "trafficPolicy" in spec:
        policy = spec["trafficPolicy"]
        policy["connectionPool"]["tcp"]["connectTimeout"] = setting.connect
        counts = ("consecutive5xxErrors", "consecutiveGatewayErrors")
        policy["outlierDetection"] |= dict.fromkeys(counts, setting.errors)
        policy["outlierDetection"]["maxEjectionPercent"] = setting.percent
        return
    [route] = spec["http"]
    route["timeout"] = "2s"
    tries = {"attempts": setting.attempts, "perTryTimeout": setting.per_try, "retryRemoteLocalities": setting.remote}
    route["retries"] = route["retries"] | tries if setting.attempts else {"attempts": 0}


def _line(each: Compared) -> str:
    if each.inside is None:
        return f"{NAMES[each.figure]:25} nothing measured"
    measured = "not while watched" if each.measured is None else f"{each.measured:.2f} s"
    off = _off(each)
    far = "-" if off is None else f"{off:+.2f} s"
    return (
        f"{NAMES[each.figure]:25} forecast {expected(each.expected):26} measured {measured:17}"
        f" error {error(each):13} from the middle {far}"
    )


def _off(each: Compared) -> float | None:
    """Seconds from the middle of the bounds; 0 where both say `never`; None where only one of both is a time."""
    if each.expected.low is None and each.measured is None:
        return 0.0
    if each.measured is None or each.expected.low is None or each.expected.high is None:
        return None
    return each.measured - (each.expected.low + each.expected.high) / 2


def _good(off: float | None, each: Compared) -> bool:
    return off is not None and abs(off) <= max(SECONDS, SHARE * (each.measured or 0.0))


def _summary(found: Sequence[Compared]) -> None:
    print("within 25 % of the measurement or 0.5 s, by the bounds and by their middle; errors in seconds")
    for name, mine in [(NAMES[f], [c for c in found if c.figure == f]) for f in NAMES] + [("all", list(found))]:
        if mine:
            errors = sorted(abs(c.error) for c in mine if c.error is not None)
            bounds = sum(_good(c.error, c) for c in mine)
            middle = sum(_good(_off(c), c) for c in mine)
            print(
                f"  {name:25} bounds {bounds} of {len(mine)}   middle {middle} of {len(mine)}"
                f"   error median {statistics.median(errors or [0.0]):.2f}   worst {max(errors, default=0.0):.2f}"
            )


if __name__ == "__main__":
    main()
