"""A plan: files found, roles resolved, everything hashed, every error at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import contentkit
import pytest

from blackstart.plan.content import find_drill
from blackstart.plan.resolve import Plan, make_plan
from blackstart.schema.errors import ContentError


def plan(tmp_path: Path, overrides: dict[str, str] | None = None, **changes: Any) -> Plan:
    return make_plan(contentkit.write(tmp_path, **changes), tmp_path / "fleet.yaml", overrides)


def test_roles_are_resolved(tmp_path: Path) -> None:
    made = plan(tmp_path)
    assert made.services == {"frontend": "users"}
    assert (made.victims, made.survivors) == (("us",), ("eu",))
    assert [probe.probe for probe in made.probes] == ["ready"]
    assert made.experiment["title"] == "An experiment"
    assert made.fleet.source == tmp_path / "fleet.yaml"


def test_without_victims_every_region_survives(tmp_path: Path) -> None:
    made = plan(tmp_path, drill={"victims": []})
    assert (made.victims, made.survivors) == ((), ("us", "eu"))


def test_a_plan_that_changes_nothing_has_the_same_digests(tmp_path: Path) -> None:
    first, again = plan(tmp_path), plan(tmp_path)
    assert first.digests == again.digests
    assert set(first.digests) == {"drill", "fleet", "experiment", "probes", "plan"}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"drill": {"title": "Other"}}, "drill"),
        ({"fleet": {"fleet": "other"}}, "fleet"),
        ({"experiment": {"title": "Other"}}, "experiment"),
        ({"probe": {"every": "2s"}}, "probes"),
    ],
)
def test_each_digest_is_of_its_part(tmp_path: Path, changes: dict[str, Any], part: str) -> None:
    before, after = plan(tmp_path).digests, plan(tmp_path, **changes).digests
    assert {name for name in before if before[name] != after[name]} == {part, "plan"}


def test_overrides_reach_the_drill_and_its_digest(tmp_path: Path) -> None:
    made = plan(tmp_path, {"phases.hold": "25s"})
    assert made.drill.phases.hold == 25.0
    assert made.digests["drill"] != plan(tmp_path).digests["drill"]


def test_an_override_that_breaks_a_rule_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=r"^--set objectives.0.objective: objectives\[0\].objective: 1s cannot be"):
        plan(tmp_path, {"objectives.0.objective": "1s"})


def test_everything_wrong_in_all_files_is_said(tmp_path: Path) -> None:
    with pytest.raises(ContentError) as caught:
        plan(tmp_path, drill={"experiment": "x", "probes": ["a", "b"]})
    assert [finding.rule for finding in caught.value.findings] == ["BS101", "BS102", "BS102", "BS103"]


def test_a_probe_that_cannot_be_read_and_an_experiment_too(tmp_path: Path) -> None:
    file = contentkit.write(tmp_path, probe={"kind": "htp"})
    (tmp_path / "experiments" / "demo.yaml").write_text("a: on\n")
    with pytest.raises(ContentError) as caught:
        make_plan(file, tmp_path / "fleet.yaml")
    assert len(caught.value.findings) == 2


def test_warnings_and_infos_do_not_stop_a_run(tmp_path: Path) -> None:
    assert [note.rule for note in plan(tmp_path, drill={"objectives.1": None}).notes] == ["BS107"]


def test_drills_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_drill("region-loss").parent.name == "drills"
    contentkit.write(tmp_path)
    assert find_drill("demo") == Path("drills/demo.yaml")
    assert find_drill("some/where.yaml") == Path("some/where.yaml")
    with pytest.raises(ContentError, match=r'unknown drill "demoo"; allowed: .*demo, .*; did you mean "demo"'):
        find_drill("demoo")


def test_shipped_probes_are_found_from_anywhere(tmp_path: Path) -> None:
    made = plan(tmp_path, drill={"probes": ["ready", "entry-latency"]})
    assert [probe.probe for probe in made.probes] == ["ready", "entry-latency"]
