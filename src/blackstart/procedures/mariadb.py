"""One MariaDB server in the hands of a step: look, fence, drain, open, follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from blackstart.fleet.sql import Sql, SqlError, connect
from blackstart.procedures.base import Deadline, StepError
from blackstart.procedures.reach import REACH, answers
from blackstart.procedures.site import Site

_STATEMENT = 15.0
"""Seconds for one statement: STOP SLAVE may take a connection attempt's time, read_only a commit's."""

_IDLE = "Slave has read all relay log"


class Server:
    """The server of one region. Every method raises StepError or SqlError."""

    def __init__(self, site: Site, region: str) -> None:
        self._site, self.region = site, region
        self.member = site.member(region)

    def __str__(self) -> str:
        return f"{self._site.name} in {self.region}"

    def answers(self) -> bool:
        """Whether it can be reached and asked. Raises for a refused login."""

        def ask() -> None:
            with self.session(REACH) as sql:
                sql.run("SELECT 1")

        return answers(ask)

    @contextmanager
    def session(self, deadline: float = _STATEMENT) -> Iterator[Sql]:
        """A session as `admin`; `deadline`: seconds for each statement."""
        with connect(self._site.fleet, self._site.store, self.member, self._site.admin, deadline) as sql:
            yield sql

    def value(self, expression: str) -> str:
        """What `SELECT expression` says, as text."""
        with self.session() as sql:
            return _text(next(iter(sql.row(f"SELECT {expression}").values())))

    @property
    def writable(self) -> bool:
        """It takes writes."""
        return self.value("@@read_only") == "0"

    def status(self) -> dict[str, Any]:
        """SHOW SLAVE STATUS; empty where it follows nobody."""
        with self.session() as sql:
            return sql.row("SHOW SLAVE STATUS")

    def follows(self, other: Server) -> bool:
        """Whether it is set up as the replica of another."""
        found = self.status()
        host, _, port = other.member.client_address.rpartition(":")
        return (found.get("Master_Host"), str(found.get("Master_Port"))) == (host, port)

    def fence(self) -> str:
        """Let it take no write any more; the position of its last one."""
        with self.session() as sql:
            # First: a commit that waits for a silent replica would hold read_only up.
            ended = self._end_writers(sql)
            sql.run("SET GLOBAL read_only = 1")
            ended += self._end_writers(sql)
            last = after = _text(sql.row("SELECT @@gtid_binlog_pos AS p")["p"])
            # Clients that were ended come back, and have to be given the time to.
            for _ in range(_LOOKS if ended else 1):
                sql.run("DO SLEEP(0.1)")
                after = _text(sql.row("SELECT @@gtid_binlog_pos AS p")["p"])
                if after != last:
                    break
        if after != last and not self.status():
            raise StepError(
                f"{self}: takes writes in spite of read_only ({last} became {after}): some user has READ ONLY ADMIN; "
                "stop these writers, or revoke it, and run the step again"
            )
        return after

    def acknowledge(self, replica: Server) -> None:
        """Let it acknowledge only what a replica has, where that one is to be a semi-synchronous one."""
        if replica.value("@@rpl_semi_sync_slave_enabled") == "1":
            with self.session() as sql:
                sql.run("SET GLOBAL rpl_semi_sync_master_enabled = 1")

    def open(self) -> None:
        """Let it take writes. It must follow nobody."""
        with self.session() as sql:
            sql.run("SET GLOBAL read_only = 0")

    def reaches(self, position: str, deadline: Deadline) -> None:
        """Return once it has applied everything up to a GTID position. Raises Late, or StepError when it stopped."""
        with self.session() as sql:
            while position and sql.row("SELECT MASTER_GTID_WAIT(%s, 0.2) AS r", [position])["r"] != 0:
                _not_broken(self, sql.row("SHOW SLAVE STATUS"), "SQL")
                now = _text(sql.row("SELECT @@gtid_slave_pos AS p")["p"])
                deadline.check(f"{self}: at {now or 'nothing'}, not at {position}")

    def receive(self, deadline: Deadline) -> None:
        """Let a replica receive and apply again, whatever was stopped, without losing its relay log."""
        found = self.status()
        receives, applies = found["Slave_IO_Running"] != "No", found["Slave_SQL_Running"] == "Yes"
        if not receives and not applies:
            self.drain(deadline)
            receives = False
        with self.session() as sql:
            if not applies and receives:
                sql.run("START SLAVE SQL_THREAD")
            elif not receives:
                if found["Using_Gtid"] == "No" or not applies:
                    sql.run("STOP SLAVE")
                    sql.run("CHANGE MASTER TO MASTER_USE_GTID = slave_pos")
                sql.run("START SLAVE")

    def drain(self, deadline: Deadline) -> None:
        """Apply everything that its relay log holds, and receive no more. It stays a replica.

        Starting a thread while both are stopped would throw the relay log
        away in GTID mode; by file and position it is kept, also over a
        restart of the server.
        """
        found = self.status()
        if not found:
            raise StepError(f"{self} follows nobody, so nobody knows whether it has everything")
        receives, applies = found["Slave_IO_Running"] != "No", found["Slave_SQL_Running"] == "Yes"
        with self.session() as sql:
            if not receives and not applies:
                file, position = found["Relay_Log_File"], found["Relay_Log_Pos"]
                sql.run(
                    "CHANGE MASTER TO MASTER_USE_GTID = no, RELAY_LOG_FILE = %s, RELAY_LOG_POS = %s", [file, position]
                )
            if not applies:
                sql.run("START SLAVE SQL_THREAD")
            # Read after it has stopped: it may have received more in between.
            sql.run("STOP SLAVE IO_THREAD")
            received = _text(sql.row("SHOW SLAVE STATUS").get("Gtid_IO_Pos"))
        self.reaches(received, deadline)
        deadline.until(lambda: f"{self}: the relay log is not applied yet", self._idle())

    def leave(self) -> None:
        """Follow nobody any more. What is left of the relay log is lost: drain it first."""
        with self.session() as sql:
            sql.run("STOP SLAVE")
            sql.run("RESET SLAVE ALL")

    def follow(self, primary: Server, deadline: Deadline) -> None:
        """Become the replica of another, from where it is, and catch up. What it has must be the other's past."""
        host, _, port = primary.member.client_address.rpartition(":")
        login, tls = self._site.replication, self._site.store.tls
        with self.session() as sql:
            sql.run("SET GLOBAL read_only = 1")
            if self.value("@@rpl_semi_sync_master_enabled") == "1":
                # As a replica it would wait for one of its own with all that it applies.
                sql.run("SET GLOBAL rpl_semi_sync_master_enabled = 0")
            if self.follows(primary):
                # What the relay log holds is received again.
                sql.run("STOP SLAVE")
                sql.run("CHANGE MASTER TO MASTER_USE_GTID = slave_pos")
            else:
                if self.status():
                    self.leave()
                sql.run("SET GLOBAL gtid_slave_pos = @@gtid_current_pos")
                sql.run(
                    "CHANGE MASTER TO MASTER_HOST = %s, MASTER_PORT = %s, MASTER_USER = %s, MASTER_PASSWORD = %s, "
                    "MASTER_USE_GTID = slave_pos, MASTER_HEARTBEAT_PERIOD = 1, MASTER_CONNECT_RETRY = 1"
                    + (", MASTER_SSL = 1" if tls else ""),
                    [host, int(port), login.user, login.password.reveal() if login.password else ""],
                )
            sql.run("START SLAVE")
        self.connected(primary, deadline)
        self.reaches(primary.value("@@gtid_binlog_pos"), deadline)

    def connected(self, primary: Server, deadline: Deadline) -> None:
        """Return once both of its threads run."""

        def look() -> bool | None:
            found = self.status()
            _not_broken(self, found, "SQL")
            _not_broken(self, found, "IO")
            return True if found.get("Slave_IO_Running") == found.get("Slave_SQL_Running") == "Yes" else None

        deadline.until(lambda: f"{self} is not connected to {primary}: {self.status().get('Last_IO_Error')}", look)

    def _idle(self) -> Callable[[], bool | None]:
        last: list[object] = []

        def look() -> bool | None:
            found = self.status()
            _not_broken(self, found, "SQL")
            here = [found.get("Relay_Log_File"), found.get("Relay_Log_Pos")]
            still, last[:] = here == last, here
            return True if still and str(found.get("Slave_SQL_Running_State")).startswith(_IDLE) else None

        return look

    def _end_writers(self, sql: Sql) -> int:
        """End the connections of clients, for those that were let in before may be in a transaction; how many."""
        ended = 0
        store = self._site.store
        spared = {login.user for login in (store.reader, store.admin, store.replication) if login}
        for row in sql.rows("SELECT ID AS id, USER AS user, COMMAND AS command FROM information_schema.PROCESSLIST"):
            if row["user"] in spared | {"system user", "event_scheduler"} or str(row["command"]).startswith("Binlog"):
                continue
            try:
                sql.run(f"KILL CONNECTION {int(row['id'])}")
                ended += 1
            except SqlError as error:
                if error.code != _NO_SUCH_THREAD:
                    raise
        return ended


_NO_SUCH_THREAD = 1094
_LOOKS = 5
"""Tenths of a second in which a client that READ ONLY does not stop shows itself."""


def _not_broken(server: Server, found: dict[str, Any], thread: str) -> None:
    # One that is asking again has an error, too; one that has given up does not run.
    if found.get(f"Last_{thread}_Errno") and found.get(f"Slave_{thread}_Running") == "No":
        raise StepError(
            f"{server}: replication stopped: {found[f'Last_{thread}_Error']}; mend that and run the step again"
        )


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return "" if value is None else str(value)
