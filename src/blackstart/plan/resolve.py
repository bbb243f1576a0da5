"""Turns a drill and a fleet into a plan: every role resolved, every file read, everything hashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Fleet
from blackstart.plan.content import Content, find_drill, load_content
from blackstart.plan.lint import lint_drill
from blackstart.probes.base import ProbeSpec
from blackstart.schema.base import digest
from blackstart.schema.drill import Drill
from blackstart.schema.errors import ContentError, Finding
from blackstart.schema.source import Document


@dataclass(frozen=True)
class Plan:
    """What a run will do. `services` maps roles to services; victims and survivors are region names.

    `digests` are SHA-256 (hex) of the canonical JSON of `drill`, `fleet`,
    `experiment` and `probes`, and of all four together as `plan`.
    """

    drill: Drill
    fleet: Fleet
    experiment: dict[str, Any]
    probes: tuple[ProbeSpec, ...]
    services: dict[str, str]
    victims: tuple[str, ...]
    survivors: tuple[str, ...]
    digests: dict[str, str]
    drill_file: Path
    experiment_file: Path
    notes: tuple[Finding, ...] = ()
    """What lint found that does not stop a run."""


def make_plan(drill: str | Path, fleet_file: Path, overrides: Mapping[str, str] | None = None) -> Plan:
    """The plan for a drill (a name or a path) on the fleet in a file. Raises ContentError with every lint error."""
    file = find_drill(str(drill))
    fleet = load_fleet(fleet_file)
    content = load_content(file, fleet, overrides)
    findings = lint_drill(content)
    errors = [f for f in findings if f.severity == "error"]
    if errors or content.experiment is None:
        raise ContentError(errors)
    return _plan(content, content.experiment.document, fleet, tuple(findings))


def _plan(content: Content, experiment: Document, fleet: Fleet, notes: tuple[Finding, ...]) -> Plan:
    probes = tuple(content.probes[name].spec for name in content.drill.probes)
    victims = tuple(fleet.resolve(role) for role in content.drill.victims)
    return Plan(
        drill=content.drill,
        fleet=fleet,
        experiment=experiment.data,
        probes=probes,
        services={role: fleet.resolve(role) for role in content.drill.services},
        victims=victims,
        survivors=tuple(name for name in fleet.regions if name not in victims),
        digests=_digests(content.drill, fleet, experiment.data, probes),
        drill_file=content.document.file,
        experiment_file=experiment.file,
        notes=notes,
    )


def _digests(drill: Drill, fleet: Fleet, experiment: dict[str, Any], probes: tuple[ProbeSpec, ...]) -> dict[str, str]:
    parts = {
        "drill": digest(drill.model_dump(mode="json")),
        "fleet": digest(fleet.model_dump(mode="json")),
        "experiment": digest(experiment),
        "probes": digest([probe.model_dump(mode="json") for probe in probes]),
    }
    return {**parts, "plan": digest(parts)}
