"""Rules about the subsets that VirtualServices lead to."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.mesh import links
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.mesh.routes import all_targets, subsets
from blackstart.plan.rules import Rules
from blackstart.schema.errors import Finding, unknown

RULES: Rules[MeshConfig] = Rules()


@RULES.add(
    "BSM301",
    "error",
    "Every subset that a VirtualService leads to is defined by a DestinationRule of its host, in the same cluster.",
    why="A subset that nobody defines has no hosts: the route answers 503, before any region is lost.",
    fix="define it under `subsets`, with labels that its pods carry",
    link=links.DESTINATION,
)
def _defined(mesh: MeshConfig) -> Iterator[Finding]:
    for resource in mesh.of("VirtualService"):
        for target in all_targets(resource):
            known = subsets(mesh, resource.cluster, target.host)
            if target.subset and target.subset not in known:
                path = (*target.path, "subset") if target.misplaced else (*target.path, "destination", "subset")
                yield resource.finding(path, unknown("subset", target.subset, known))


@RULES.add(
    "BSM302",
    "error",
    "`subset` stands inside `destination`.",
    why="Beside it there is no such key: Kubernetes refuses it, or drops it, and the route leads to every region.",
    fix="move it one level down, below host",
    link=links.DESTINATION,
)
def _inside(mesh: MeshConfig) -> Iterator[Finding]:
    for resource in mesh.of("VirtualService"):
        for target in all_targets(resource):
            if target.misplaced:
                yield resource.finding(
                    (*target.path, "subset"), f'subset "{target.subset}" stands beside destination'
                )
