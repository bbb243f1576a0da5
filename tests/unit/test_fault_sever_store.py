"""`sever-store` with real servers and real nftables, in a network namespace that ends with the process.

Each scenario is a function of this file, run by itself as root of that namespace.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loopback import fleet as loopback_fleet
from storefaultkit import RUN, Stores, stores
from storekit import wait_until

from blackstart.evidence.records import FaultEvent, FaultState, Reason
from blackstart.faults.base import Expiring, FaultError
from blackstart.faults.inject import Ineffective, inject, restore, still_there
from blackstart.faults.sever_store import FAULT
from blackstart.fleet import nft

SCENARIOS: dict[str, Callable[[Path], None]] = {}
DONE = [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]


def scenario(run: Callable[[Path], None]) -> Callable[[Path], None]:
    SCENARIOS[run.__name__] = run
    return run


def opens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True


def tables(here: Stores) -> set[str]:
    return set(nft.tables(here.fleet.places["here"]))


def lag(here: Stores) -> Any:
    """What the probe says."""
    import asyncio

    from blackstart.probes import mysql, read
    from blackstart.probes.base import Scope

    spec = mysql.Spec(probe="lag", store="orders", grace=1.0, deadline=5.0)
    (reading,) = asyncio.run(read(spec, Scope(here.fleet)))
    return reading


@scenario
def mariadb(folder: Path) -> None:
    with stores(folder, "mariadb") as here:
        pair = here.orders
        began = time.monotonic()
        inject(FAULT, here.fleet, {"store": "orders", "region": "standby"}, here.context())
        assert here.states() == DONE
        (confirmed,) = [e for e in here.events if isinstance(e, FaultEvent) and e.state is FaultState.CONFIRMED]
        assert "orders/eu has heard nothing for 2.5 s, and cannot connect" in confirmed.detail, confirmed.detail
        assert confirmed.t0
        assert confirmed.t0.latest - confirmed.t0.earliest < (time.monotonic() - began) / 2, "T0 is the change's"
        assert pair.eu.status()["Seconds_Behind_Master"] == 0, "the server does not know"
        pair.us.insert("w1-1")
        assert lag(here).no_data is Reason.STALE
        assert pair.eu.sql("SELECT * FROM shop.orders") == []
        assert opens(pair.us.address), "everything else goes on"
        assert not opens(pair.wire.address)
        still_there([here.entry()], here.fleet, here.context())
        assert here.states() == DONE
        assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED, here.said()
        wait_until("the row", lambda: len(pair.eu.sql("SELECT * FROM shop.orders")) == 1)
        assert tables(here) == set()
        assert here.store.read(RUN).outstanding == []


@scenario
def redis(folder: Path) -> None:
    with stores(folder, "redis") as here, here.cache.us.client() as us, here.cache.eu.client() as eu:
        inject(FAULT, here.fleet, {"store": "cache", "region": "primary"}, here.context())
        assert here.states() == DONE
        us.set("order:1", "x")
        assert eu.get("order:1") is None
        assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED, here.said()
        wait_until("the key", lambda: eu.get("order:1"))
        assert tables(here) == set()


@scenario
def nobody_heals_it(folder: Path) -> None:
    with stores(folder, "mariadb") as here:
        inject(FAULT, here.fleet, {"store": "orders", "region": "standby", "expires": 12}, here.context())
        here.orders.us.insert("w1-1")
        wait_until("the kernel", lambda: len(here.orders.eu.sql("SELECT * FROM shop.orders")) == 1)
        still_there([here.entry()], here.fleet, here.context())
        assert here.states()[-1] is FaultState.INEFFECTIVE
        assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED


@scenario
def a_cut_elsewhere_bites_nothing(folder: Path) -> None:
    """As when the place is not where the servers run: the drops hang beside the traffic."""
    with stores(folder, "mariadb") as here:
        pair = here.orders
        real = here.fleet
        members = {name: m.model_copy(update={"serves": None}) for name, m in real.stores["orders"].members.items()}
        other = members["us"].model_copy(update={"address": "127.0.0.9:1", "serves": "127.0.0.9:1"})
        drops = type(FAULT).drops

        def beside(self: Any, fleet: Any, data: Any) -> Any:
            store = fleet.stores["orders"].model_copy(update={"members": {**members, "us": other}})
            return drops(self, fleet.model_copy(update={"stores": {"orders": store}}), data)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(FAULT), "drops", beside)
            with pytest.raises(Ineffective, match="can still open a connection"):
                inject(FAULT, real, {"store": "orders", "region": "standby"}, here.context())
            restore(here.entry(), real, here.context())
        assert pair.eu.status()["Slave_IO_Running"] == "Yes"


@scenario
def an_old_connection_that_goes_on_is_told(folder: Path) -> None:
    """New connections fail, and the established one does not: the most deceptive half of a cut."""
    with stores(folder, "mariadb") as here:
        script = (
            "table inet half {\n chain i {\n type filter hook input priority -400; policy accept;\n"
            f" ip saddr 127.0.0.1 tcp sport {here.orders.wire.port} tcp flags & syn == syn drop\n }}\n}}\n"
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                nft, "cut", lambda *_: subprocess.run(["nft", "-f", "-"], input=script.encode(), check=True)
            )
            patch.setattr(nft, "is_cut", lambda *_: True)
            patch.setattr("blackstart.faults.inject.BITES_WITHIN", 8.0)
            with pytest.raises(Ineffective, match="on its old connection"):
                inject(FAULT, here.fleet, {"store": "orders", "region": "standby"}, here.context())


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, tmp_path: Path) -> None:
    """In a namespace of its own; skipped where users may not make one."""
    shell = 'PATH=$PATH:/usr/sbin; ip link set lo up; exec "$@"'
    argv = ["unshare", "--user", "--map-root-user", "--net", "sh", "-ec", shell, "-"]
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [*argv, sys.executable, __file__, name, str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": path},
    )
    if any(words in done.stderr for words in ("unshare:", "ip: not found")):
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr


def test_it_expires_by_itself_and_no_guardian_is_asked_for() -> None:
    assert isinstance(FAULT, Expiring)
    assert FAULT.guarded is False


def test_a_name_in_place_of_an_address_is_refused() -> None:
    member = {"address": "db.example.com:3306", "place": "here"}
    store = {"kind": "mariadb", "primary": "us", "members": {"us": member, "eu": member}}
    with pytest.raises(FaultError, match=r"members\.us: a cut needs an IPv4 address, not 'db.example.com'"):
        FAULT.targets(loopback_fleet(stores={"orders": store}), {"store": "orders", "region": "us"})
    alone = {**store, "members": {"us": member}}
    with pytest.raises(FaultError, match="there is nothing to sever"):
        FAULT.targets(loopback_fleet(stores={"orders": alone}), {"store": "orders", "region": "us"})


def test_both_ends_drop_what_the_other_sends(tmp_path: Path) -> None:
    addresses = {"us": "10.0.0.1:3306", "eu": "10.0.0.2:3306", "as": "10.0.0.3:3306"}
    members = {name: {"address": "10.9.9.9:1", "serves": at, "place": "here"} for name, at in addresses.items()}
    cluster = {"kubeconfig": "/x", "context": "x", "uid": "x"}
    store = {"kind": "mariadb", "primary": "us", "members": members}
    found = loopback_fleet(
        stores={"orders": store},
        regions={name: {"cluster": cluster, "place": f"in-{name}"} for name in ("us", "eu", "as")},
        places={name: {} for name in ("in-us", "in-eu", "in-as", "here")},
    )
    (target,) = FAULT.targets(found, {"store": "orders", "region": "eu", "lease": 10})
    assert target.regions == ("us", "eu", "as")
    dropped = {place: drop.elements for place, (drop,) in FAULT.drops(found, target.data).items()}
    assert dropped == {
        "in-eu": ("10.0.0.1 . 3306", "10.0.0.3 . 3306"),
        "in-us": ("10.0.0.2 . 3306",),
        "in-as": ("10.0.0.2 . 3306",),
    }


if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](Path(sys.argv[2]))
