"""A store away from home is told by status and recover, refuses a new drill, and is closed once it is back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from stepkit import do
from storekit import Pair, Redis, fleet_file, redis_pair

from blackstart.cli import cli
from blackstart.evidence.promotions import Promotion, Promotions, clusters_of
from blackstart.evidence.undo import Store
from blackstart.fleet.load import load_fleet
from blackstart.lab.machine import forget
from blackstart.lab.paths import LabPaths
from blackstart.procedures.base import Work
from blackstart.run import preflight
from blackstart.run.census import censuses, completeness, take
from blackstart.run.looks import Wrong
from blackstart.safety.away import settle

PROMOTE = {"store": "cache", "to": "standby"}


class Away:
    """A fleet with one store, the state of this machine, and what was said."""

    def __init__(self, folder: Path, pair: Pair[Redis]) -> None:
        self.pair, self.file = pair, fleet_file(folder, cache=pair)
        self.store = Store(folder / "state")
        self.work = Work(load_fleet(self.file), "run-1", folder, Promotions(folder / "state"))
        self.said: list[str] = []

    def settle(self, **options: bool) -> bool:
        return settle(self.store, self.said.append, **options)


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Away]:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path / "state"))
    with redis_pair(tmp_path) as pair:
        yield Away(tmp_path, pair)


def test_nothing_away_is_said_to_be_nothing(away: Away) -> None:
    assert away.settle()
    assert away.said == []


def test_a_promotion_is_told_with_the_next_step_and_not_undone(away: Away) -> None:
    do(away.work, promote=PROMOTE)
    assert not away.settle()
    assert "eu has the primary, home is us" in away.said[0]
    assert "let us rejoin or rebuild it, then switch back to us" in away.said[0]
    assert away.pair.eu.info()["role"] == "master"
    result = CliRunner().invoke(cli, ["recover", "--deadline", "1s"], standalone_mode=False)
    assert result.return_value == 14
    result = CliRunner().invoke(cli, ["status", "--fleet", str(away.file)], standalone_mode=False)
    assert result.return_value == 14
    assert "Stores away from home:\n  store  primary  home  stage     run" in result.output


def test_a_run_that_goes_on_is_left_to_itself(away: Away) -> None:
    do(away.work, promote=PROMOTE)
    with away.store.alive("run-1"):
        assert away.settle()
    assert not away.settle()


def test_it_is_closed_once_it_is_home(away: Away) -> None:
    do(away.work, promote=PROMOTE)
    do(away.work, rejoin={"store": "cache", "region": "primary"})
    with away.pair.eu.client() as eu:
        eu.execute_command("FAILOVER")  # type: ignore[no-untyped-call]
    while away.pair.us.info()["role"] != "master":
        pass
    assert not away.settle(dry_run=True)
    assert away.settle()
    assert "at home again" in away.said[-1]
    assert Promotions(away.store.state).read() == ([], [])


def test_a_torn_record_is_not_nothing(away: Away) -> None:
    folder = away.store.state / "promotions"
    folder.mkdir(parents=True)
    (folder / "stores.cache.0.json").write_text("{")
    assert not away.settle()
    assert "cannot be read" in away.said[0]


def counted(away: Away) -> tuple[bool | None, str]:
    found = {k: c for k, c in censuses(away.work.fleet, {"frontend": "shop"}).items() if "store" in k}
    before, (check,) = asyncio.run(take(found, 30.0))
    (after,) = asyncio.run(completeness(found, before, 0.0, 30.0))
    assert after.ok is check.ok or check.ok is not True
    assert check.name == "before/shop/store/cache"
    return check.ok, check.detail


def test_a_store_in_order_is_counted(away: Away) -> None:
    assert counted(away) == (True, "2 of 2 servers in their role and in step")


def test_broken_replication_is_a_sick_baseline(away: Away) -> None:
    with away.pair.eu.client() as eu:
        eu.replicaof("NO", "ONE")
    ok, detail = counted(away)
    assert ok is False
    assert "replication is broken already" in detail


def test_a_primary_away_from_home_is_a_sick_baseline(away: Away) -> None:
    do(away.work, promote=PROMOTE)
    do(away.work, rejoin={"store": "cache", "region": "primary"})
    ok, detail = counted(away)
    assert ok is False
    assert "should be the primary, but follows another" in detail


def test_a_server_that_does_not_answer_is_not_known(away: Away) -> None:
    away.pair.eu.kill()
    assert counted(away)[0] is None


def test_a_record_that_is_over_is_closed_before_the_next_drill(away: Away) -> None:
    where = {"fleet": "stores", "fleet_file": str(away.file), "store": "cache"}
    where |= {"clusters": clusters_of(away.work.fleet, "cache")}
    who = {"run": "r", "home": "us", "region": "eu", "was": "us", "at": ""}
    away.work.promotions.put(Promotion.model_validate({**where, **who}))
    with pytest.raises(Wrong, match=r"though it is in order now .* run `blackstart recover`, which closes that"):
        preflight._store(away.work.fleet, "cache")
    assert away.settle()
    assert preflight._store(away.work.fleet, "cache") == "primary in us, in step: eu"


def test_another_fleet_of_that_name_is_at_home(away: Away) -> None:
    """The clusters were made anew, as by `lab down` and `lab up`; the old record is told, and does not count."""
    do(away.work, promote=PROMOTE)
    (old,), _ = away.work.promotions.read()
    away.file.write_text(away.file.read_text().replace(old.clusters["us"], "made-anew"))
    new = load_fleet(away.file)
    assert not old.of(new)
    assert away.work.promotions.find(new, "cache") is None
    assert not away.settle()
    assert f"remove {away.work.promotions.path(old)}" in away.said[0]
    result = CliRunner().invoke(cli, ["status", "--fleet", str(away.file), "-o", "json"], standalone_mode=False)
    assert json.loads(result.output)["stores"] == []
    # A record of the new one does not take the old one's place.
    put = away.work.promotions.put(old.model_copy(update={"clusters": clusters_of(new, "cache")}))
    assert away.work.promotions.find(new, "cache") == put
    away.work.promotions.forget(new)
    assert away.work.promotions.read()[0] == [old]


def test_a_lab_that_ends_takes_its_records_along(away: Away) -> None:
    do(away.work, promote=PROMOTE)
    paths = LabPaths(away.file.parent)
    assert paths.fleet == away.file
    forget(paths)
    assert away.work.promotions.read() == ([], [])
    assert away.settle()
    away.file.unlink()
    forget(paths)
