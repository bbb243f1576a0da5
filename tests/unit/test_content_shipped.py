"""Every shipped file is a test case: read, linted, and valid by the schemas that editors use."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml
from contentkit import needs_mesh

from blackstart.cli.schema import SCHEMAS, schema_text
from blackstart.fleet.load import load_fleet
from blackstart.plan.check import check_file
from blackstart.plan.content import find_drill
from blackstart.plan.resolve import make_plan
from blackstart.schema.content import content_dir

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "src/blackstart/cli/template/fleet.yaml"
FOLDERS = ("drills", "experiments", "probes")
FILES = [file for name in FOLDERS for file in sorted(content_dir(name).glob("*.yaml"))]
DRILLS = sorted(content_dir("drills").glob("*.yaml"))


MESH_ROLES = ("mesh", "mesh-standby", "geo", "external")
MESH = [file for file in FILES if file.parent.name != "probes" and needs_mesh(file)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_lint_has_nothing_to_say(file: Path) -> None:
    assert [str(finding) for finding in check_file(file, load_fleet(TEMPLATE))] == []


@pytest.mark.parametrize("file", [*FILES, TEMPLATE], ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_editors_accept_it(file: Path) -> None:
    name = "fleet" if file == TEMPLATE else file.parent.name.removesuffix("s")
    jsonschema.validate(yaml.safe_load(file.read_text()), json.loads(schema_text(name)))


@pytest.mark.parametrize("file", DRILLS, ids=lambda file: file.stem)
def test_a_drill_is_a_plan_on_the_example_fleet(file: Path) -> None:
    plan = make_plan(file, TEMPLATE)
    assert plan.survivors
    lengths = plan.drill.phases
    assert lengths.baseline + lengths.hold + lengths.settle <= 40, "a demo must not take longer"


@pytest.mark.parametrize("file", MESH, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_without_a_mesh_it_is_refused_with_the_way_out(file: Path, tmp_path: Path) -> None:
    fleet = yaml.safe_load(TEMPLATE.read_text())
    fleet["roles"] = {role: name for role, name in fleet["roles"].items() if role not in MESH_ROLES}
    for region in fleet["regions"].values():
        del region["mesh"]
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(fleet))
    findings = check_file(file, load_fleet(tmp_path / "fleet.yaml"))
    said = "\n".join(str(f) for f in findings if f.severity == "error")
    assert re.search(r'"(mesh|geo|external)"|has no `mesh`; the lab has one with `blackstart lab up --mesh`', said), (
        said
    )


@pytest.mark.parametrize("name", ["region-loss", "region-isolation", "service-failover", "link-loss"])
def test_the_promised_drills_are_there(name: str) -> None:
    assert find_drill(name).is_file()


@pytest.mark.parametrize("name", SCHEMAS)
def test_shipped_schemas_are_current(name: str) -> None:
    shipped = files("blackstart.schema").joinpath(f"json/{name}.json").read_text("utf-8")
    assert shipped == schema_text(name), "run: blackstart schema --out src/blackstart/schema/json"


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text(name)))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("drill", {"drill": "a"}),
        ("drill", {"drill": "a", "phases": {"hold": 20}}),
        ("fleet", {"fleet": "a", "source": "/x"}),
        ("probe", {"probe": "a"}),
        ("probe", {"probe": "a", "kind": "tcp", "every": 3}),
        ("experiment", {"title": "a"}),
    ],
)
def test_editors_refuse_what_lint_refuses(name: str, data: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, json.loads(schema_text(name)))
