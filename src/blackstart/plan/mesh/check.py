"""Every rule over a mesh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blackstart.plan.lint import in_order
from blackstart.plan.mesh import (
    ejection,
    entries,
    geo,
    locality,
    names,
    parity,
    regions,
    retries,
    subsets,
    timing,
    waiting,
)
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.rules import Rule, form
from blackstart.schema.errors import Finding

FORM = form("BSM001", "The file is readable YAML.")
"""The rule of every finding about a file's form."""

_GROUPS = (locality, regions, ejection, timing, subsets, geo, retries, waiting, entries, names, parity)

RULES: list[Rule[MeshConfig]] = [rule for group in _GROUPS for rule in group.RULES.all]
"""Every rule, in the order of the manual."""


@dataclass(frozen=True)
class Source:
    """A mesh as it was read: from how many files or clusters, what was left out, what could not be read."""

    mesh: MeshConfig
    read: str
    others: Mapping[str, int]
    problems: tuple[Finding, ...] = ()


def lint_mesh(mesh: MeshConfig) -> list[Finding]:
    """Everything to say about a mesh, sorted by place."""
    return in_order(finding for rule in RULES for finding in rule(mesh))
