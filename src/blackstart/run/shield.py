"""Everything that puts things back without the supervisor: locks, guardians, watchdog, and what renews them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blackstart.evidence.failpoints import failpoint
from blackstart.evidence.records import Check, Note
from blackstart.probes.threads import in_thread
from blackstart.run.log import Log
from blackstart.safety.keeper import PER_TTL, Keeper
from blackstart.safety.leash import Leash
from blackstart.safety.protection import Held, Protection, Renewable, Unprotected
from blackstart.safety.watched import Job
from blackstart.schema.errors import BlackstartError


@dataclass(frozen=True)
class Shielding:
    """What a shield is made of; tests put fakes in these places.

    watchdog: its command, and its job; None for no watchdog. cuts: renews the
    network cuts of the run. needed: whether a fault changes objects of a
    region now, so that its Lease must not be lost.
    """

    protection: Protection = field(default_factory=Unprotected)
    watchdog: tuple[Sequence[str], Job] | None = None
    cuts: Sequence[Renewable] = ()
    needed: Callable[[str], bool] = lambda region: True


class Shield:
    """In this order: `lock`, `up`, `undoing`, `down`, `close`. Only the first two may fail, before any injection.

    ttl: the drill's lease, seconds. lost: told in the event loop when the
    drill must end because something it depends on is lost.
    """

    def __init__(self, made: Shielding, ttl: float, folder: Path, log: Log, lost: Callable[[str], None]) -> None:
        self._made, self._ttl, self._folder, self._log, self._lost = made, ttl, folder, log, lost
        self._loop = asyncio.get_running_loop()
        self._keeper = Keeper(ttl, self._from_thread, made.needed)
        self._leash: Leash | None = None
        self._leases: Sequence[Renewable] = ()
        self._guarded = self._locked = False
        self._life = self._loop.create_task(self._live())

    async def lock(self) -> list[Check]:
        """Start the watchdog and take the locks; what cannot be had forbids the drill.

        The watchdog first: it releases what a run held that dies here. Raises
        Held when another run is at work.
        """
        watched = await self._watchdog()
        if not watched.ok:
            return [watched]
        failpoint("lock.before")
        try:
            self._locked = True
            self._keeper.keep(await in_thread(self._made.protection.lock))
        except Held:
            self._locked = False
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is: no lock, no drill
            return [watched, Check(name="preflight/lock", ok=None, detail=_told(error))]
        failpoint("lock.after")
        return [watched, Check(name="preflight/lock", ok=True)]

    async def up(self) -> Check:
        """Start the guardians, and see that they are alive; if one is not, nothing may be injected."""
        failpoint("guardians.before")
        self._guarded = True
        try:
            self._leases = await in_thread(self._made.protection.start)
        except Exception as error:  # noqa: BLE001 - whatever it is: no guardian, no injection
            return Check(name="baseline/guardians", ok=False, detail=_told(error))
        self._keeper.keep([*self._leases, *self._made.cuts])
        failpoint("guardians.after")
        names = ", ".join(lease.name for lease in self._leases) or "none needed"
        return Check(name="baseline/guardians", ok=True, detail=names)

    @property
    def job(self) -> Mapping[str, Any]:
        """What the child must know: how long leases last, and which it must see held before it changes anything."""
        return {"lease": self._ttl, "fenced": [list(pair) for pair in self._made.protection.fenced()]}

    def guard(self, pid: int) -> None:
        """The child has started, and has no job yet. Raises Gone when the watchdog does not hear of it."""
        failpoint("child.started")
        if self._leash:
            self._leash.guard(pid)
        failpoint("child.announced")

    def undoing(self) -> None:
        """Cuts are taken away from now on, so they are renewed no more."""
        failpoint("undo.before")
        self._keeper.drop(self._made.cuts)

    async def down(self, left: Sequence[str]) -> None:
        """All is back: the guardians go. What is `left` is left to them."""
        failpoint("undo.after")
        self._keeper.drop(self._leases)
        if self._guarded and not left:
            self._guarded = False
            failpoint("guardians.end")
            await self._try("guardians", self._made.protection.end)

    async def close(self, left: Sequence[str]) -> None:
        """The end of the run. While something is left, locks stay and go stale: the next run puts that back first."""
        await self.down(left)
        self._keeper.stop()
        self._life.cancel()
        if self._locked and not left:
            failpoint("unlock.before")
            await self._try("lock", self._made.protection.unlock)
            failpoint("unlock.after")
        if self._leash:
            if left:
                self._note("the watchdog and the guardians go on trying, also after the end of this process")
            failpoint("watchdog.end")
            await self._try("watchdog", self._leash.leave if left else self._leash.release)

    async def _watchdog(self) -> Check:
        failpoint("watchdog.before")
        if self._made.watchdog:
            argv, job = self._made.watchdog
            try:
                log = self._folder / "watchdog.log"
                self._leash = await in_thread(lambda: Leash.start(argv, job, log))
            except Exception as error:  # noqa: BLE001 - whatever it is: no watchdog, no drill
                return Check(name="preflight/watchdog", ok=False, detail=_told(error))
            self._keeper.keep([self._leash])
        failpoint("watchdog.after")
        return Check(name="preflight/watchdog", ok=True)

    async def _try(self, what: str, work: Callable[[], None]) -> None:
        try:
            await in_thread(work)
        except Exception as error:  # noqa: BLE001 - the drill is over; what stays expires by itself
            self._note(f"{what}: {_told(error)}")

    async def _live(self) -> None:
        while True:
            self._keeper.alive()
            await asyncio.sleep(self._ttl / PER_TTL)

    def _from_thread(self, reason: str, matters: bool) -> None:
        # The loop may have ended by now: then nobody needs to know.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._lost if matters else self._note, reason)

    def _note(self, text: str) -> None:
        self._log(Note(level="warning", text=text))


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, BlackstartError) else f"{type(error).__name__}: {error}"
