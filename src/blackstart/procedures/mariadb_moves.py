"""Moves the primary of a MariaDB store: in an emergency, as planned, and brings old ones back."""

from __future__ import annotations

import time
from collections.abc import Callable

from blackstart.procedures import mariadb_refill
from blackstart.procedures.base import Deadline, Diverged, Late, StepError
from blackstart.procedures.gtids import Origin, only_in, parse, told
from blackstart.procedures.mariadb import Server
from blackstart.procedures.site import Site
from blackstart.schema.errors import BlackstartError

SILENT = 3.0
"""Seconds without a connection to a living primary after which a promotion goes on without the rest."""


class MariaDbMoves:
    """Every method goes on from where a killed one stopped."""

    needs = (
        "as `admin`: READ ONLY ADMIN, REPLICATION SLAVE ADMIN, REPLICA MONITOR, BINLOG MONITOR, CONNECTION ADMIN, "
        "PROCESS, where replication is semi-synchronous REPLICATION MASTER ADMIN; to rebuild, all privileges, and "
        "mariadb-dump, mariadb, mariadb-binlog on this machine"
    )

    def promote(self, site: Site, to: str) -> str:
        """Drain the relay log, then take writes; of a living primary nothing is lost."""
        return _move(site, to, _cut_over)

    def switch_back(self, site: Site, to: str) -> str:
        """Fence, wait, open, follow the other way."""
        said = _move(site, to, _hand_over)
        if (record := site.record) is not None and record.was != to:
            Server(site, record.was).follow(Server(site, to), site.deadline)
            said += f"; {record.was} follows"
        return said

    def call_off(self, site: Site, region: str, back: str) -> str:
        """Open the old one, and let the replica receive again."""
        replica, primary = Server(site, region), Server(site, back)
        if not replica.status() or replica.writable:
            raise StepError(f"{replica} is no replica any more: promote it, then switch back")
        primary.open()
        replica.follow(primary, site.deadline)
        return f"the promotion of {region} is called off, {primary} takes writes"

    def rejoin(self, site: Site, region: str) -> str:
        """Follow the primary if that loses nothing. Raises Diverged."""
        primary, server = _pair(site, region)
        if extra := _extra(server, primary):
            raise Diverged(f"{server} has {told(extra)}, which {primary} has not")
        server.follow(primary, site.deadline)
        return f"{server} is a prefix of {primary.region} and follows at {server.value('@@gtid_slave_pos')}"

    def rebuild(self, site: Site, region: str) -> str:
        """Salvage, dump, load, follow."""
        primary, server = _pair(site, region)
        record = site.record
        if record and region in record.rebuilding:
            saved = "salvaged by an earlier try"
        else:
            saved = mariadb_refill.salvage(site, server, primary, _extra(server, primary))
        site.note(rebuilding=tuple({*(record.rebuilding if record else ()), region}))
        mariadb_refill.refill(site, server, primary)
        server.follow(primary, site.deadline)
        return f"{saved}; {server} is rebuilt from {primary.region} and follows"


def _move(site: Site, to: str, empty: Callable[[Site, Server, Server], str]) -> str:
    target, record = Server(site, to), site.record
    half = record if record and record.region == to else None
    if target.status():
        old = Server(site, site.primary)
        if old.region == to:
            raise StepError(f"{target} is the primary by all that is written, but follows another; look by hand")
        site.note(region=to, was=old.region, stage="begun")
        said = empty(site, target, old)
        site.note(stage="drained")
        target.leave()
    elif target.writable:
        if half is None and to != site.primary:
            raise StepError(
                f"{target} takes writes and follows nobody, but nobody promoted it: two primaries; fence it"
            )
        said = "it takes writes already"
    elif half is None or half.stage == "begun":
        raise StepError(f"{target} follows nobody and takes no writes: nobody knows whether it has everything")
    else:
        said = "goes on after an earlier try"
    target.open()
    if site.record:
        site.note(stage="promoted")
    return f"{said}; {target} takes writes; {site.tell_clients(to)}"


def _cut_over(site: Site, target: Server, old: Server) -> str:
    if old.answers():
        said = f"{old.region} fenced; " + _catch_up(target, old, old.fence(), site.deadline)
    else:
        said = f"{old.region} does not answer, so it is not fenced"
    target.drain(site.deadline)
    return f"{said}; relay log applied up to {target.value('@@gtid_slave_pos')}"


def _catch_up(target: Server, old: Server, position: str, deadline: Deadline) -> str:
    """Have what the old primary has; without a connection to it, go on and say what stays there."""
    target.receive(deadline)
    heard = time.monotonic()
    while True:
        try:
            target.reaches(position, Deadline(min(0.5, deadline.left)))
        except Late:
            deadline.check(f"{target} did not receive everything from {old}")
        else:
            return f"{target.region} has all of it, up to {position}"
        if target.status().get("Slave_IO_Running") == "Yes":
            heard = time.monotonic()
        elif time.monotonic() > heard + SILENT:
            return f"{target.region} cannot reach it: what comes after {target.value('@@gtid_slave_pos')} stays there"


def _hand_over(site: Site, target: Server, old: Server) -> str:
    if not target.follows(old):
        raise StepError(f"{target} does not follow {old}; let it rejoin first")
    target.receive(site.deadline)
    # Before the fence: that is time in which nobody can write.
    target.reaches(old.value("@@gtid_binlog_pos"), site.deadline)
    position = old.fence()
    try:
        target.reaches(position, site.deadline)
    except BlackstartError as error:
        old.open()
        raise StepError(f"given up, {old} takes writes again: {error}") from error
    # Before it takes writes: a server that was started again, or rebuilt, does not wait by itself.
    target.acknowledge(old)
    return f"{old.region} fenced, {target.region} has all of it, up to {position}"


def _pair(site: Site, region: str) -> tuple[Server, Server]:
    """The primary, and the server that is to follow it, fenced."""
    if region == site.primary:
        raise StepError(f"{site.name}: {region} has the primary; it cannot follow itself")
    primary, server = Server(site, site.primary), Server(site, region)
    # It may be on its way up.
    site.deadline.until(lambda: f"{server} does not answer", lambda: server.answers() or None)
    if primary.status() or not primary.writable:
        raise StepError(f"{primary} should be the primary, but takes no writes; promote it first")
    if not server.status():
        server.fence()
    return primary, server


def _extra(server: Server, primary: Server) -> dict[Origin, tuple[int, int]]:
    state = parse(server.value("@@gtid_binlog_state"))
    return only_in(state, parse(primary.value("@@gtid_binlog_state")), parse(primary.value("@@gtid_slave_pos")))
