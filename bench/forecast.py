"""How far the forecast is from what happens: outlier detection of the mesh under five settings of its rules.

Real drills of endpoint-blackhole on the lab with a mesh. Before each the
DestinationRule and the VirtualService of both regions get other errors,
timeouts and retries; the forecast is the one in the drill's own evidence.
Prints per drill what was foretold and measured, and how far outside of the
forecast's bounds the measurement is (0: inside). The lab's own rules are back
afterwards. `python bench/forecast.py [--drills 4]`, about 40 s each; 20 are
four rounds over the settings.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Ref
from blackstart.lab import native
from blackstart.lab.fleetfile import THROUGH_MESH
from blackstart.lab.meshrules import rules
from blackstart.lab.paths import LabPaths
from blackstart.lab.toolchain import build, tools
from blackstart.report.foretold import NAMES, expected
from blackstart.schema.forecast import Compared, Expected
from blackstart.schema.result import Result

REGIONS = ["us", "eu"]
PLURALS = {"DestinationRule": "destinationrules", "VirtualService": "virtualservices"}
PUSHED = 3.0
"""Seconds for new rules to reach the gateways, and for the count of ejections to run down."""

DRILL = {
    "client.timeout": "2s",
    "client.slow": "null",
    "steady.window": "2s",
    "phases.baseline": "3s",
    "phases.hold": "8s",
    "phases.settle": "0s",
    "probes": "[]",
    "guards": "[]",
    "objectives": "[{kind: rto, service: mesh, objective: 5s}]",
}


@dataclass(frozen=True)
class Rules:
    """What differs between drills. Durations as Istio writes them; attempts 0: no retries."""

    errors: int
    connect: str
    per_try: str
    attempts: int
    remote: bool = True

    def __str__(self) -> str:
        retries = f"{self.attempts} retries of {self.per_try}" if self.attempts else "no retries"
        return f"{self.errors} errors, connect {self.connect}, {retries}{'' if self.remote else ' at home'}"


SETTINGS = (
    Rules(errors=3, connect="200ms", per_try="200ms", attempts=3),
    Rules(errors=1, connect="500ms", per_try="500ms", attempts=0),
    Rules(errors=5, connect="500ms", per_try="500ms", attempts=3),
    Rules(errors=5, connect="1s", per_try="1s", attempts=0),
    Rules(errors=3, connect="300ms", per_try="300ms", attempts=2, remote=False),
)


@dataclass(frozen=True)
class Row:
    """One time of one drill."""

    figure: str
    outside: float | None
    """Seconds outside of the bounds; None: only one of both says `not while the fault lasts`."""


def main() -> None:
    parser = argparse.ArgumentParser(description="the forecast of a mesh against its measurement")
    parser.add_argument("--drills", type=int, default=4)
    drills = parser.parse_args().drills
    build(tools(mesh=True), lambda _: None)
    paths = LabPaths(Path(".blackstart/lab").absolute())
    ours = not paths.fleet.exists()
    fleet = native.up(REGIONS, paths, lambda _: None, mesh=True)
    rows: list[Row] = []
    try:
        with tempfile.TemporaryDirectory(prefix="blackstart-bench-") as folder:
            for n in range(drills):
                rows += _drill(n, SETTINGS[n % len(SETTINGS)], fleet, Path(folder) / str(n))
    finally:
        _apply(fleet, None)
        if ours:
            native.down(paths, lambda _: None)
    _summary(rows, drills)


def _drill(n: int, setting: Rules, fleet: Fleet, out: Path) -> Iterable[Row]:
    _apply(fleet, setting)
    time.sleep(PUSHED)
    argv = [sys.executable, "-m", "blackstart", "run", "endpoint-blackhole", "--out", str(out)]
    argv += ["--fleet", str(fleet.source)]
    for key, value in DRILL.items():
        argv += ["--set", f"{key}={value}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    files = list(out.glob("*/result.json"))
    foreseen = Result.model_validate_json(files[0].read_text()).forecasts.get(THROUGH_MESH) if files else None
    print(f"drill {n}: {setting}", flush=True)
    if foreseen is None or not foreseen.compared:
        print(f"  no forecast: {foreseen.forecast.reason if foreseen else done.stdout + done.stderr}")
        return []
    rows = [Row(each.figure, _outside(each)) for each in foreseen.compared if each.inside is not None]
    for each in foreseen.compared:
        print(f"  {NAMES[each.figure]:25} forecast {expected(each.expected):22} measured {_said(each)}", flush=True)
    return rows


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
        return
    [route] = spec["http"]
    route["timeout"] = "2s"
    tries = {"attempts": setting.attempts, "perTryTimeout": setting.per_try}
    tries |= {"retryRemoteLocalities": setting.remote}
    route["retries"] = route["retries"] | tries if setting.attempts else {"attempts": 0}


def _outside(each: Compared) -> float | None:
    """How far the measurement is from the nearest bound, below (negative) or above."""
    span: Expected = each.expected
    if each.measured is None or span.low is None:
        return 0.0 if each.inside else None
    if each.measured < span.low:
        return each.measured - span.low
    return max(0.0, each.measured - span.high) if span.high is not None else 0.0


def _said(each: Compared) -> str:
    if each.inside is None:
        return "nothing"
    measured = "not while the fault lasted" if each.measured is None else f"{each.measured:.2f} s"
    outside = _outside(each)
    return f"{measured:10} error {'-' if outside is None else f'{outside:+.2f} s'}"


def _summary(rows: list[Row], drills: int) -> None:
    print(f"{drills} drills over {min(drills, len(SETTINGS))} settings; seconds outside of the forecast's bounds")
    for figure, name in NAMES.items():
        mine = [row.outside for row in rows if row.figure == figure]
        known = sorted(abs(outside) for outside in mine if outside is not None)
        if not known:
            print(f"  {name:25} nothing to compare")
            continue
        inside = sum(outside is not None and abs(outside) < 0.001 for outside in mine)
        print(
            f"  {name:25} inside {inside} of {len(mine)}   median {statistics.median(known):5.2f}"
            f"   worst {known[-1]:5.2f}   never foretold or seen, not both: {len(mine) - len(known)}"
        )


if __name__ == "__main__":
    main()
