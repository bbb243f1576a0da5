"""A replica stops to receive, or to apply, what its source writes; both servers go on.

Only one thread of MariaDB or MySQL is stopped, and only while the other one
runs: to start one when both are stopped throws the relay log away, and with it
what came and is not applied. A Redis replica is pointed at nobody: it stays a
read-only replica, and takes no writes that its return would discard.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from blackstart.evidence.undo import Undo
from blackstart.faults import storeparts
from blackstart.faults.base import Conflict, FaultError, Target
from blackstart.faults.changes import Change
from blackstart.faults.storeparts import Where
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.fleet.sql import Sql
from blackstart.probes.replica import Replica
from blackstart.schema.base import Model

_NOBODY = "127.0.0.1:1"
_CONFIRM_REVERTED = 90.0
_WRITES = "takes writes"
_THREADS = {"receiver": "IO_THREAD", "applier": "SQL_THREAD"}


class _Data(Where):
    thread: Literal["receiver", "applier"] = "receiver"


class _Before(Model):
    source: str


class StopReplication:
    """One thread of one replica, stopped."""

    kind = "stop-replication"
    guarded = False
    immediate = True

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`store` and `region` by role; `thread`: receiver (default) or applier."""
        at, thread = storeparts.where(fleet, args), args.get("thread") or "receiver"
        if thread not in _THREADS:
            raise FaultError(f"`thread` is receiver or applier, not {thread!r}")
        if thread == "applier" and fleet.stores[at.store].kind == "redis":
            raise FaultError(f"{at}: a Redis applies what it receives at once; use `thread: receiver`")
        storeparts.admin(fleet, at)
        return [Target(str(at), _Data(**at.model_dump(), thread=thread).model_dump(), (at.region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """Whom it follows. Both threads must run: what is stopped already is never started."""
        data = _Data.model_validate(target.data)
        source, states = self._look(fleet, data)
        if source is None:
            raise FaultError(f"{self.kind} {target.name}: it follows nobody; name the region of a replica")
        if any(state != "Yes" for state in states.values()):
            raise FaultError(
                f"{self.kind} {target.name}: replication is broken already ({_said(states)}); mend it first"
            )
        return _Before(source=source).model_dump()

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """None: no path falls silent."""
        return []

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """Stop it, if it still follows the same source."""
        data, before = _Data.model_validate(undo.data), _Before.model_validate(undo.before)
        if (found := self._look(fleet, data)[0]) != before.source:
            raise FaultError(f"{undo.kind} {undo.target}: someone re-pointed it just now, to {found or 'nobody'}")
        fence()
        self._set(fleet, data, before, stop=True)

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """The server says so."""
        data, before = _Data.model_validate(undo.data), _Before.model_validate(undo.before)

        def look() -> str:
            source, states = self._look(fleet, data)
            if source not in (before.source, _NOBODY) or states.get(data.thread) == "Yes":
                said = f"it follows {source or 'nobody'}, {_said(states)}"
                raise FaultError(f"{undo.kind} {undo.target}: not stopped (any more): {said}")
            if states[data.thread] != "No":
                raise NotYet(_said(states))
            return _said(states)

        return wait_for(f"{undo.kind} {undo.target}", within, look)

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """Start that thread, unless it runs."""
        data, before = _Data.model_validate(undo.data), _Before.model_validate(undo.before)
        if self._to_start(fleet, undo, data, before):
            self._set(fleet, data, before, stop=False)

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """The thread that `revert` would start."""
        data, before = _Data.model_validate(undo.data), _Before.model_validate(undo.before)
        due = self._to_start(fleet, undo, data, before)
        return [Change(undo.target, data.thread, "stopped", f"follows {before.source}")] if due else []

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """It is connected to the same source again, or was promoted meanwhile: then nothing is stopped any more."""
        data, before = _Data.model_validate(undo.data), _Before.model_validate(undo.before)

        def look() -> str:
            source, states = self._look(fleet, data)
            if _promoted(source, states):
                return "it was promoted meanwhile: it follows nobody and takes writes"
            if source != before.source or states[data.thread] != "Yes":
                raise NotYet(f"it follows {source or 'nobody'}, {_said(states)}")
            return f"it follows {source}, {_said(states)}"

        return wait_for(f"{undo.kind} {undo.target}", _CONFIRM_REVERTED, look)

    def _to_start(self, fleet: Fleet, undo: Undo, data: _Data, before: _Before) -> bool:
        source, states = self._look(fleet, data)
        if _promoted(source, states):
            return False
        if source not in (before.source, _NOBODY if self._is_redis(fleet, data) else before.source):
            raise Conflict(
                f"{undo.kind} {undo.target}: it followed {before.source} before the drill, and now "
                f"{source or 'nobody'}: someone changed that since, so it is left alone"
            )
        if self._is_redis(fleet, data):
            return source == _NOBODY
        if states[data.thread] != "No":
            return False
        if set(states.values()) == {"No"} and (left := self._unapplied(fleet, data)):
            raise Conflict(
                f"{undo.kind} {undo.target}: someone stopped the other thread, too, and whoever starts one now "
                f"throws the relay log away, with {left} transactions that are not applied; copy it first, then, "
                "where the source still has them, start both"
            )
        return True

    def _look(self, fleet: Fleet, data: _Data) -> tuple[str | None, dict[str, str]]:
        """Whom it follows, and the state of each thread: Yes, No, or what is between. Else if it takes writes."""
        if self._is_redis(fleet, data):
            with storeparts.redis_client(fleet, data, storeparts.admin(fleet, data)) as client:
                info = client.info("replication")
            if info["role"] != "slave":
                return None, {_WRITES: "Yes"}
            source = f"{info['master_host']}:{info['master_port']}"
            up = "Yes" if info["master_link_status"] == "up" else "Connecting"
            return source, {"receiver": "No" if source == _NOBODY else up}
        with storeparts.sql_session(fleet, data, storeparts.admin(fleet, data)) as session:
            if found := storeparts.replication(session, fleet, data):
                return found.source, {"receiver": found.receiver, "applier": found.applier}
            return None, {_WRITES: "No" if session.row("SELECT @@read_only AS ro")["ro"] else "Yes"}

    def _unapplied(self, fleet: Fleet, data: _Data) -> int:
        with storeparts.sql_session(fleet, data, storeparts.admin(fleet, data)) as session:
            found = storeparts.replication(session, fleet, data)
        return found.applied.lacks(found.received) if found else 0

    def _set(self, fleet: Fleet, data: _Data, before: _Before, stop: bool) -> None:
        if self._is_redis(fleet, data):
            host, _, port = (_NOBODY if stop else before.source).rpartition(":")
            with storeparts.redis_client(fleet, data, storeparts.admin(fleet, data)) as client:
                client.replicaof(host, port)
            return
        with storeparts.sql_session(fleet, data, storeparts.admin(fleet, data)) as session:
            if found := storeparts.replication(session, fleet, data):
                self._switch(session, fleet.stores[data.store].kind, found, _THREADS[data.thread], stop)

    def _switch(self, session: Sql, kind: str, found: Replica, thread: str, stop: bool) -> None:
        verb = "STOP" if stop else "START"
        if kind == "mysql":
            session.run(f"{verb} REPLICA {thread} FOR CHANNEL %s", [found.channel])
        else:
            session.run(f"{verb} SLAVE %s {thread}", [found.channel])

    def _is_redis(self, fleet: Fleet, data: _Data) -> bool:
        return storeparts.parts(fleet, data)[0].kind == "redis"


def _promoted(source: str | None, states: dict[str, str]) -> bool:
    """It is a primary now. One that follows nobody and takes no writes is half promoted, or broken."""
    return source is None and states[_WRITES] == "Yes"


def _said(states: dict[str, str]) -> str:
    return ", ".join(f"{thread} {state}" for thread, state in states.items())


FAULT = StopReplication()
