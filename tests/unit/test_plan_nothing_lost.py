"""A plan says what keeps a store from losing nothing, where the drill lets nothing be lost and promotes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runkit import a_plan
from storekit import Pair, Redis, fleet, mariadb_pair, redis_pair

from blackstart.plan.data.nothing import nothing_lost
from blackstart.plan.resolve import Plan

NONE = {"kind": "lost-writes", "service": "frontend", "objective": 0}
RECENT = {"kind": "rpo", "service": "frontend", "objective": 2.0}
RTO = {"kind": "rto", "service": "frontend", "objective": 5.0}


def planned(folder: Path, *objectives: dict[str, Any], **stores: Pair[Any]) -> Plan:
    found = a_plan(
        objectives=[RTO, *objectives],
        ledger={"service": "frontend"},
        procedure=[{"name": name, "promote": {"store": name, "to": "standby"}} for name in stores],
    )
    return replace(found, fleet=fleet(folder, **stores), services={"frontend": "shop"})


@pytest.fixture
def cache(tmp_path: Path) -> Any:
    with redis_pair(tmp_path) as pair:
        yield pair


@pytest.mark.parametrize("objective", [NONE, {**RECENT, "objective": 0.0}, {**NONE, "store": "cache"}])
def test_where_nothing_may_be_lost_its_servers_are_looked_at(
    tmp_path: Path, cache: Pair[Redis], objective: dict[str, Any]
) -> None:
    found = nothing_lost(planned(tmp_path, objective, cache=cache))
    assert "BSD201" in {finding.rule for finding in found}
    assert {finding.severity for finding in found} == {"warning"}


def test_nobody_is_asked_otherwise(tmp_path: Path, cache: Pair[Redis]) -> None:
    cache.us.kill()
    assert nothing_lost(planned(tmp_path, RECENT, {**NONE, "objective": 5}, cache=cache)) == []
    asked = planned(tmp_path, NONE, cache=cache)
    drill = asked.drill.model_copy(update={"procedure": []})
    assert nothing_lost(replace(asked, drill=drill)) == []
    # And one that does not answer is no proof.
    (said,) = nothing_lost(asked)
    assert (said.severity, "cannot be read" in said.message) == ("warning", True)


def test_a_database_without_semi_synchronous_replication(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path) as pair:
        found = nothing_lost(planned(tmp_path, NONE, orders=pair))
    assert "BSD141" in {finding.rule for finding in found}
