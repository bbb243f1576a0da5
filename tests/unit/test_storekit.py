"""The servers that other tests stand on: they replicate, fall silent when cut, and end with their owner."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from storekit import fleet, mariadb_pair, redis_pair, wait_until


def test_mariadb_replicates_and_a_cut_wire_is_silent(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path) as pair:
        pair.us.insert("w1-1")
        wait_until("the row", lambda: pair.eu.sql("SELECT id FROM shop.orders") == [{"id": "w1-1"}])
        pair.wire.cut()
        pair.us.insert("w1-2")
        assert pair.eu.status()["Slave_IO_Running"] == "Yes"
        assert len(pair.eu.sql("SELECT id FROM shop.orders")) == 1
        pair.wire.heal()
        wait_until("the row", lambda: len(pair.eu.sql("SELECT id FROM shop.orders")) == 2)
        assert fleet(tmp_path, orders=pair).stores["orders"].primary == "us"


def test_mariadb_semi_sync_waits_for_the_replica(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path, semisync=3_600_000) as pair:
        pair.us.insert("w1-1")
        found = pair.us.sql("SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_status'")
        assert found[0]["Value"] == "ON"


def test_redis_replicates_and_a_cut_wire_is_silent(tmp_path: Path) -> None:
    with redis_pair(tmp_path) as pair, pair.us.client() as us, pair.eu.client() as eu:
        us.set("order:1", "x")
        wait_until("the key", lambda: eu.get("order:1"))
        pair.wire.cut()
        us.set("order:2", "x")
        assert pair.eu.info()["master_link_status"] == "up"
        assert eu.get("order:2") is None
        pair.wire.heal()
        wait_until("the key", lambda: eu.get("order:2"))


_OWNER = """
import os, signal, sys
from pathlib import Path
from storekit import redis_pair
with redis_pair(Path(sys.argv[1])) as pair:
    print(pair.us.process.pid, pair.eu.process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_servers_end_with_a_killed_owner(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _OWNER, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        timeout=120,
    )
    pids = done.stdout.split()
    assert len(pids) == 2, done.stderr
    wait_until("their end", lambda: not any(Path(f"/proc/{int(pid)}/exe").exists() for pid in pids))
