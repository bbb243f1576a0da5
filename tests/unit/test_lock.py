"""The lock: of many that start at once one wins, a dead run is put back before it loses its lock."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kubeapi import UID, KubeApi

from blackstart.fleet.model import Cluster
from blackstart.plan.locks import Home, homes
from blackstart.safety.lock import Lock
from blackstart.safety.protection import Gone, Held
from blackstart.schema.errors import BlackstartError

TTL = 3.0


@pytest.fixture
def apis() -> Iterator[list[KubeApi]]:
    with ExitStack() as stack:
        yield [stack.enter_context(KubeApi()) for _ in range(3)]


@pytest.fixture
def where(apis: list[KubeApi], tmp_path: Path) -> list[Home]:
    return [
        Home(name, Cluster(kubeconfig=api.kubeconfig(tmp_path, name), context=name, uid=UID), "default")
        for name, api in zip(("ap", "eu", "us"), apis, strict=True)
    ]


def never(run: str) -> None:
    raise AssertionError(f"nobody may recover {run}")


def away(method: str, path: str) -> tuple[int, str]:
    return 503, "starting"


def locks(api: KubeApi) -> list[tuple[str, str]]:
    return sorted((o["metadata"]["name"], o["spec"]["holderIdentity"]) for o in api.named("leases"))


def test_the_control_cluster_or_the_survivors_keep_it() -> None:
    cluster = Cluster(kubeconfig=Path("k"), context="c", uid="u")
    region = SimpleNamespace(cluster=cluster)
    fleet: Any = SimpleNamespace(control=None, regions={"us": region, "eu": region, "as": region})
    assert [home.name for home in homes(fleet, ["eu", "as"])] == ["as", "eu"]
    assert [home.name for home in homes(fleet, [])] == ["as", "eu", "us"]
    fleet.control = SimpleNamespace(cluster=cluster, namespace="drills")
    assert homes(fleet, ["eu"]) == [Home("control", cluster, "drills")]


def test_it_is_taken_everywhere_renewed_and_given_back(apis: list[KubeApi], where: list[Home]) -> None:
    lock = Lock(where, ["us", "eu", "us"], "run-1", TTL)
    assert lock.acquire(never) == "eu, us: locked in ap, eu, us"
    assert all(locks(api) == [("blackstart-lock-eu", "run-1"), ("blackstart-lock-us", "run-1")] for api in apis)
    lock.renew()
    assert lock.release() == []
    assert all(locks(api) == [] for api in apis)


@pytest.mark.parametrize("clusters", [1, 3])
def test_of_fifty_that_start_at_once_one_runs(apis: list[KubeApi], where: list[Home], clusters: int) -> None:
    outcomes: Counter[str] = Counter()
    begin, done = threading.Barrier(50), threading.Event()

    def start(number: int) -> None:
        lock = Lock(where[:clusters], ["us", "eu"], f"run-{number}", TTL)
        begin.wait()
        try:
            lock.acquire(never)
        except Held:
            outcomes["held"] += 1
            return
        outcomes["won"] += 1
        while not done.wait(TTL / 5):
            lock.renew()
        lock.release()

    threads = [threading.Thread(target=start, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 60
    while sum(outcomes.values()) < 50 and time.monotonic() < until:
        time.sleep(0.1)
    holders = {holder for api in apis[:clusters] for _, holder in locks(api)}
    done.set()
    for thread in threads:
        thread.join()
    assert outcomes == {"won": 1, "held": 49}
    assert len(holders) == 1
    assert all(locks(api) == [] for api in apis)


def test_other_regions_are_another_matter(where: list[Home]) -> None:
    one, two = Lock(where, ["us"], "run-1", TTL), Lock(where, ["eu"], "run-2", TTL)
    one.acquire(never)
    two.acquire(never)
    one.release()
    two.release()


def test_a_dead_run_is_recovered_first(apis: list[KubeApi], where: list[Home]) -> None:
    Lock(where[:1], ["us"], "dead", 1.0).acquire(never)
    seen: list[tuple[str, list[tuple[str, str]]]] = []
    lock = Lock(where[:1], ["us"], "run-2", TTL)
    lock.acquire(lambda run: seen.append((run, locks(apis[0]))))
    assert seen == [("dead", [("blackstart-lock-us", "dead")])]
    assert locks(apis[0]) == [("blackstart-lock-us", "run-2")]
    (lease,) = apis[0].named("leases")
    assert lease["metadata"]["labels"] == {"blackstart.dev/run": "run-2"}


def test_a_dead_run_that_cannot_be_recovered_keeps_its_lock(apis: list[KubeApi], where: list[Home]) -> None:
    Lock(where[:1], ["eu"], "dead", 1.0).acquire(never)

    def recover(run: str) -> None:
        raise BlackstartError("its region does not answer")

    with pytest.raises(Held, match=r"run dead died .*does not answer; run `blackstart recover --run dead`"):
        Lock(where[:1], ["as", "eu"], "run-2", TTL).acquire(recover)
    assert locks(apis[0]) == [("blackstart-lock-eu", "dead")]


def test_who_wakes_up_late_learns_that_it_lost(where: list[Home]) -> None:
    sleeper = Lock(where[:1], ["us"], "sleeper", 1.0)
    sleeper.acquire(never)
    Lock(where[:1], ["us"], "run-2", TTL).acquire(lambda run: None)
    with pytest.raises(Gone, match="run-2 has taken it"):
        sleeper.renew()
    assert sleeper.release() == []


def test_most_of_the_clusters_are_enough(apis: list[KubeApi], where: list[Home]) -> None:
    apis[0].fail = away
    lock = Lock(where, ["us"], "run-1", TTL)
    assert lock.acquire(never) == "us: locked in eu, us"
    keep = threading.Timer(0.6, lock.renew)
    keep.start()
    with pytest.raises(Held, match="run-1 holds it and is alive"):
        Lock(where, ["us"], "run-2", TTL).acquire(never)
    keep.join()
    lock.release()


def test_fewer_are_not(apis: list[KubeApi], where: list[Home]) -> None:
    for api in apis[:2]:
        api.fail = away
    with pytest.raises(Held, match=r"taken in 1 of 3 clusters, 2 needed: .*starting"):
        Lock(where, ["us"], "run-1", TTL).acquire(never)
    assert locks(apis[2]) == []
    assert Held.exit_code == 15


def test_a_cluster_that_is_away_for_a_while_costs_nothing(apis: list[KubeApi], where: list[Home]) -> None:
    lock = Lock(where[:1], ["us"], "run-1", 1.0)
    lock.acquire(never)
    apis[0].fail = away
    lock.renew()
    time.sleep(1.1)
    with pytest.raises(Gone, match="starting"):
        lock.renew()
    apis[0].fail = lambda method, path: None
    lock.renew()
    lock.release()
