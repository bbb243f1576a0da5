"""docs/content.md says of every key, default and rule what the code says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from blackstart.fleet import backups, metrics, stores
from blackstart.fleet import model as fleet
from blackstart.plan.check import FORM
from blackstart.plan.lint import RULES
from blackstart.probes import kinds
from blackstart.probes.base import ProbeSpec
from blackstart.schema import drill, procedure
from blackstart.schema.base import parse_duration
from blackstart.schema.jsonschema import json_schema

MANUAL = (Path(__file__).resolve().parents[2] / "docs" / "content.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \|(.*?)\| .+ \|$", re.MULTILINE)
OBJECTIVES = {
    "rto": drill.RtoObjective,
    "failback": drill.FailbackObjective,
    "availability": drill.AvailabilityObjective,
    "completeness": drill.CompletenessObjective,
    "reading": drill.ReadingObjective,
    "honest": drill.HonestObjective,
    "rpo": drill.RpoObjective,
    "lost-writes": drill.LostWritesObjective,
    "order": drill.OrderObjective,
    "restored": drill.RestoredObjective,
    "restore-rto": drill.RestoreRtoObjective,
    "backup-rpo": drill.BackupRpoObjective,
}
DRILL = [
    *(drill.Drill, drill.Client, drill.Ledger, drill.Steady, drill.Phases, drill.Guard),
    *(procedure.Step, procedure.Promote, procedure.Rejoin, procedure.Rebuild, procedure.SwitchBack),
    procedure.Restore,
]
FLEET = [
    fleet.Fleet,
    fleet.Place,
    fleet.Region,
    fleet.Cluster,
    fleet.Prometheus,
    metrics.Sidecar,
    backups.Velero,
    backups.Bucket,
    fleet.Mesh,
    fleet.Endpoint,
    fleet.Power,
    fleet.Mesh,
    fleet.MeshPart,
    fleet.Gateway,
    fleet.Link,
    fleet.LinkEnd,
    fleet.ControlPath,
    fleet.Service,
    fleet.Entry,
    fleet.Workload,
    stores.Writes,
    stores.Store,
    stores.Member,
    stores.Login,
    stores.Tls,
    stores.Address,
    stores.Records,
    fleet.Control,
    fleet.Guardian,
]
SECTIONS: dict[str, Any] = {
    **{model.__name__: model for model in [*DRILL, *FLEET]},
    **OBJECTIVES,
    **kinds(),
    "Probe": ProbeSpec,
}
COMMON = {*ProbeSpec.model_fields}


def section(name: str) -> str:
    found = re.search(rf"^###+ {name}\n(.*?)(?=^##|\Z)", MANUAL, re.MULTILINE | re.DOTALL)
    assert found, f"docs/content.md has no section {name}"
    return found[1]


def keys(name: str) -> dict[str, Any]:
    """The keys that the section has to explain, with their schemas."""
    schema = json_schema(SECTIONS[name])
    required = schema.get("required", [])
    said_before = COMMON if name in kinds() else {"kind"} if name in OBJECTIVES else set()
    return {
        key: {**inner, "required": key in required}
        for key, inner in schema["properties"].items()
        if key not in said_before
    }


@pytest.mark.parametrize("name", SECTIONS)
def test_every_key_is_explained(name: str) -> None:
    assert {key for key, _ in ROW.findall(section(name))} == set(keys(name))


@pytest.mark.parametrize("name", SECTIONS)
def test_defaults_are_right(name: str) -> None:
    schemas = keys(name)
    for key, said in ROW.findall(section(name)):
        default = schemas[key].get("default")
        if schemas[key]["required"]:
            assert said.strip() == "required", key
        elif default not in (None, ""):
            assert same(said.strip(" `"), default), f"{key}: {said} is not {default}"


def same(said: str, default: object) -> bool:
    """Whether the manual's default is the model's: `2m` is `120s`."""
    if isinstance(default, str) and re.fullmatch(r"[\d.]+s", default):
        return parse_duration(said) == parse_duration(default)
    return said == (str(default).lower() if isinstance(default, bool) else str(default))


def test_every_rule_is_listed() -> None:
    listed = re.findall(r"^\| (BS\d+) \| (\w+) \| (.+) \|$", MANUAL, re.MULTILINE)
    assert listed == [(rule.id, rule.severity, rule.title) for rule in (FORM, *RULES)]


def test_every_kind_of_probe_is_listed() -> None:
    assert all(f"`{kind}`" in section("Probe") for kind in kinds())
