"""Lets an old primary follow the new one, where that discards nothing."""

from __future__ import annotations

from blackstart.procedures.base import Kind
from blackstart.procedures.moves import rejoin
from blackstart.procedures.onstore import OnStore
from blackstart.procedures.site import Site
from blackstart.schema.procedure import Step


def _rejoin(site: Site, region: str, step: Step) -> str:
    may_rebuild = step.rejoin is not None and step.rejoin.diverged == "rebuild"
    return rejoin(site, region, may_rebuild=may_rebuild)


STEP: Kind = OnStore("rejoin", _rejoin)
