"""Rules that documents recommend, on the lab: each makes a drill red, and lint had said so before.

The same drills are green with the lab's own rules (test_mesh.py), of which
lint has nothing to say (test_mesh_probes.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from labdrill import Ran, content, run_drill, settle
from meshlab import instead
from seedrules import Object, geo_routes, good, one_address, pinned_routes, plain_routes, seed, with_policy

from blackstart.cli import invoke
from blackstart.fleet.model import Fleet
from blackstart.lab.fleetfile import THROUGH_MESH as MESH
from blackstart.lab.manifests import APP
from blackstart.schema.result import Verdict

GEO = f"{APP}-of-eu"
GOOD_RULE = f"DestinationRule/{APP}"
EJECTS_ALL = {"consecutive5xxErrors": 3, "interval": "1s", "baseEjectionTime": "5s", "maxEjectionPercent": 100}


@dataclass(frozen=True)
class Case:
    """Rules in the place of the lab's, what lint says of them, and which objective is missed, which one met.

    `eu`: those of the other region, where they differ. `in_file`: lint can
    tell only before the API server has dropped what it does not know.
    """

    drill: str
    rules: Sequence[Object]
    lint: set[str]
    missed: str
    met: str = ""
    eu: Sequence[Object] | None = None
    in_file: bool = False


CASES = {
    # Without outlierDetection nothing has a priority: half of the traffic goes to the dead region for ever.
    "gslb": Case(
        "endpoint-blackhole", [seed("user-service-gslb"), plain_routes()], {"BSM101"}, f"{MESH}: gateway-ejections"
    ),
    # 10 % of 6 hosts is none: not one is ejected.
    "failover": Case(
        "endpoint-blackhole",
        [seed("user-service-failover"), plain_routes()],
        {"BSM201"},
        f"{MESH}: gateway-ejections",
    ),
    # The default route serves everybody else without one error, and hides those who get nothing else.
    "geo-routing": Case("geo-routing", pinned_routes(), {"BSM311"}, f"{GEO}: rto", met=f"{MESH}: availability"),
    "one-address": Case("service-entry", [one_address()], {"BSM401"}, "partner: rto"),
    # A weight is no failover.
    "multi-cluster": Case(
        "endpoint-blackhole",
        [seed("user-service-multi-cluster"), plain_routes()],
        {"BSM101"},
        f"{MESH}: gateway-ejections",
    ),
    # And as the document shares everybody else out: half of them fail, too.
    "geo-routing-by-weight": Case(
        "geo-routing", geo_routes(meant=True), {"BSM311", "BSM312"}, f"{MESH}: availability"
    ),
    # The API server drops a subset beside the destination: users of eu are served anywhere, long before eu is lost.
    "geo-routing-as-written": Case(
        "geo-routing", geo_routes(meant=False), {"BSM302"}, f"{GEO}: geo-home", in_file=True
    ),
    # The older rule's policy counts, the one with outlierDetection does not.
    "two-rules": Case(
        "endpoint-blackhole",
        [
            seed("user-service-gslb"),
            with_policy(seed("user-service-failover"), outlierDetection=EJECTS_ALL),
            plain_routes(),
        ],
        {"BSM101", "BSM501"},
        f"{MESH}: gateway-ejections",
    ),
    # Each istiod goes by the copy in its own cluster.
    "one-region-only": Case(
        "endpoint-blackhole",
        [with_policy(good()[GOOD_RULE], outlierDetection=None)],
        {"BSM101", "BSM511"},
        f"{MESH}: gateway-ejections",
        eu=[good()[GOOD_RULE]],
    ),
    # Ejected in the end, but until then each request waits in the lost region.
    "no-retries-elsewhere": Case(
        "endpoint-blackhole",
        [
            {
                **plain_routes(),
                "spec": {**plain_routes()["spec"], "http": [{"route": plain_routes()["spec"]["http"][0]["route"]}]},
            }
        ],
        {"BSM322", "BSM331"},
        f"{MESH}: availability",
    ),
}
QUICK = ("failover", "geo-routing")


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.full) for n in CASES])
def test_what_lint_calls_wrong_fails(
    mesh: Fleet, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    settle(mesh)
    with instead(mesh, {"us": case.rules, "eu": case.eu or case.rules}):
        invoke(["lint", "--mesh", *_where(mesh, case, tmp_path), "-o", "json"])
        said = {finding["rule"] for finding in json.loads(capsys.readouterr().out)}
        ran = run_drill(case.drill, mesh.source or Path(), tmp_path / "out")
    assert said >= case.lint, said
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), ran.output
    assert case.missed in _with(False, ran), ran.output
    assert {case.met} <= {"", *_with(True, ran)}, ran.output
    assert all(fault.confirmed_reverted for fault in ran.result.faults)


@pytest.mark.full
def test_where_nobody_may_be_served_elsewhere_errors_are_right(mesh: Fleet, tmp_path: Path) -> None:
    """The same routes, and a drill that says so: at once an error, and home again afterwards."""

    def errors(drill: dict[str, Any]) -> None:
        kept = [
            o
            for o in drill["objectives"]
            if (o["kind"], o["service"]) not in (("rto", "geo"), ("availability", "geo"))
        ]
        at_once = {"kind": "reading", "service": "geo", "probe": "geo-status", "bound": ">= 500"}
        drill |= {"probes": [*drill["probes"], "geo-status"], "objectives": [*kept, at_once]}

    drill = content("drills", "geo-routing", tmp_path, errors)
    probe = {"probe": "geo-status", "kind": "http", "service": "geo", "measure": "status"}
    (tmp_path / "probes").mkdir()
    (tmp_path / "probes/geo-status.yaml").write_text(yaml.safe_dump(probe))
    settle(mesh)
    with instead(mesh, {"us": pinned_routes(), "eu": pinned_routes()}):
        ran = run_drill(drill, mesh.source or Path(), tmp_path / "out")
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), ran.output


def _with(met: bool, ran: Ran) -> set[str]:
    """Service and objective: its kind, or the probe that it is about."""
    found = [o for o in ran.result.objectives if o.met is met]
    return {f"{o.service}: {o.objective.split()[0] if o.kind == 'reading' else o.kind}" for o in found}


def _where(mesh: Fleet, case: Case, folder: Path) -> list[str]:
    if not case.in_file:
        return ["--fleet", str(mesh.source)]
    file = folder / "mesh.yaml"
    file.write_text(yaml.safe_dump_all(case.rules))
    return [str(file)]
