"""What a person is told about a value that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import contentkit
import pytest
import yaml

from blackstart.fleet.model import Fleet
from blackstart.schema.drill import Drill
from blackstart.schema.errors import ContentError
from blackstart.schema.source import parse, read_text


def told(model: type[Drill] | type[Fleet], data: dict[str, Any], changes: dict[str, Any]) -> list[str]:
    text = yaml.safe_dump(contentkit.changed(data, changes), sort_keys=False)
    with pytest.raises(ContentError) as caught:
        parse(read_text(text, Path("d.yaml")), model)
    return [str(finding).split(": ", 1)[1] for finding in caught.value.findings]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("drill", "Bad_Name", 'drill: "Bad_Name" does not fit; wanted: small letters, digits and hyphens'),
        ("title", 5, "title: expected text, found 5"),
        ("title", None, 'missing key "title"'),
        ("titel", "x", 'titel: unknown key "titel"; allowed: drill, title, '),
        ("titel", "x", 'did you mean "title"?'),
        ("services", "frontend", 'services: expected a list, found "frontend"'),
        ("services", [], "services: needs at least 1, found 0"),
        ("phases", {"hold": 20}, "phases.hold: 20 has no unit; write a duration: 500ms, 30s, 1m30s"),
        ("phases", {"hold": "20"}, "phases.hold: '20' is not a duration; write it with a unit: 500ms, 30s, 1m30s"),
        ("phases", {"hold": "0s"}, "phases.hold: should be greater than 0, found"),
        ("phases", {"basline": "3s"}, 'did you mean "baseline"?'),
        ("steady", {"success": 0.99}, "steady.success: 0.99 has no unit; write a share in percent: 99.9%"),
        ("steady", {"success": "101%"}, "steady.success: '101%' is not a share; write it in percent: 99.9%"),
        ("steady", ["a"], "steady: expected a mapping, found a list"),
        (
            "objectives.0.kind",
            "rtoo",
            'objectives[0].kind: unknown value "rtoo"; allowed: rto, failback, availability',
        ),
        ("objectives.0.kind", "rtoo", 'did you mean "rto"?'),
        ("objectives.0.kind", None, 'objectives[0]: missing key "kind"; allowed: rto, failback'),
        ("objectives.0.kind", ["x"], "objectives[0].kind: unknown value"),
        ("objectives.0.objective", None, 'objectives[0]: missing key "objective"'),
        ("objectives.0.bound", "> 1", 'objectives[0].bound: unknown key "bound"; allowed: kind, service, objective'),
        ("objectives.0", "rto", 'objectives[0]: expected a mapping, found "rto"'),
        (
            "objectives.1.bound",
            "~ 3",
            "objectives[1].bound: '~ 3' is not a bound; write a comparison: '>= 3', '< 0.5'",
        ),
        ("objectives.1.bound", 3, "objectives[1].bound: 3 is not a bound; write a comparison: '>= 3', '< 0.5'"),
        (
            "objectives.1.during",
            "holt",
            'unknown value "holt"; allowed: baseline, hold, failback; did you mean "hold"?',
        ),
        ("destructive", 1, "destructive: expected true or false, found 1"),
        ("destructive", "true", 'destructive: expected true or false, found "true"'),
    ],
)
def test_drills(path: str, value: object, said: str) -> None:
    messages = told(Drill, contentkit.DRILL, {path: value})
    assert len(messages) == 1
    assert said in messages[0]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            "regions.us.place",
            "opertor",
            'regions.us.place: unknown place "opertor"; allowed: operator; did you mean "operator"?',
        ),
        (
            "roles.primary",
            "uss",
            'roles.primary: unknown region, service or store "uss"; allowed: us, eu, users; did you mean "us"?',
        ),
        (
            "services.users.workloads.uk",
            {"namespace": "a", "deployment": "b"},
            'unknown region "uk"; allowed: us, eu',
        ),
        ("services.users.tier", "0", 'services.users.tier: expected a whole number, found "0"'),
        ("services.users.tier", True, "services.users.tier: expected a whole number, found true"),
        ("services.users.tier", 7, "services.users.tier: should be less than or equal to 4, found 7"),
        ("regions.us.cluster.kubeconfig", 3, "regions.us.cluster.kubeconfig: expected text, found 3"),
        ("regions.us.cluster.contxt", "x", 'did you mean "context"?'),
        ("regions.us.cluster.uid", "", "regions.us.cluster.uid: should have at least 1 character"),
        ("links", {"a": {"between": ["us"], "ends": [], "paths": []}}, "links.a.between: needs at least 2 entries"),
        ("provider", "aws", 'provider: unknown value "aws"; allowed: native, kind, external'),
        ("source", "/x", "source: is where the fleet was read from; remove it"),
    ],
)
def test_fleets(path: str, value: object, said: str) -> None:
    assert any(said in message for message in told(Fleet, contentkit.FLEET, {path: value}))


def test_every_wrong_reference_is_said() -> None:
    changes = {"regions.us.place": "x", "regions.eu.place": "y", "roles.primary": "z"}
    assert len(told(Fleet, contentkit.FLEET, changes)) == 3


def test_findings_come_in_the_order_of_the_file() -> None:
    messages = told(Drill, contentkit.DRILL, {"title": 1, "drill": 2, "objectives.0.service": 3})
    assert [message.split(":")[0] for message in messages] == ["drill", "title", "objectives[0].service"]
