"""Renews what expires unless somebody does: Leases, locks, network cuts, the watchdog's patience."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from blackstart.evidence.failpoints import failpoint
from blackstart.fleet.lease import Lost
from blackstart.fleet.nft import Expired
from blackstart.safety.clock import boottime
from blackstart.safety.protection import Gone, Renewable

PER_TTL = 5
"""Renewals for each time to live: four may fail."""

_FINAL = (Lost, Expired, Gone)


class Keeper:
    """Renews each thing in a thread of its own, so that one that hangs delays no other, nor the event loop.

    ttl: seconds after which what was not renewed has expired. lost: told once
    of each thing that is lost, why, and whether that matters; called in a
    thread. needed: whether a fault of the run changes objects of a region now.

    The event loop must call `alive` once in `patience` seconds: a supervisor
    that hangs must not keep its faults in place.
    """

    def __init__(
        self,
        ttl: float,
        lost: Callable[[str, bool], None],
        needed: Callable[[str], bool],
        patience: float | None = None,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self._ttl, self._lost, self._needed, self._clock = ttl, lost, needed, clock
        self._patience = max(2 * ttl, 30.0) if patience is None else patience
        self._alive = clock()
        self._dropped: dict[str, threading.Event] = {}

    def alive(self) -> None:
        """The event loop goes on."""
        self._alive = self._clock()

    def keep(self, things: Iterable[Renewable]) -> None:
        """Renew these from now on, first in a fifth of the time to live: they have just been made."""
        for thing in things:
            dropped = self._dropped[thing.name] = threading.Event()
            # Not of a pool: those that hang would use it up.
            threading.Thread(target=self._work, args=(thing, dropped), name=thing.name, daemon=True).start()

    def drop(self, things: Iterable[Renewable]) -> None:
        """Renew these no more; what becomes of a renewal under way is nobody's concern."""
        for thing in things:
            if event := self._dropped.get(thing.name):
                event.set()

    def stop(self) -> None:
        """Renew nothing any more."""
        for event in self._dropped.values():
            event.set()

    def _work(self, thing: Renewable, dropped: threading.Event) -> None:
        renewed, told = self._clock(), False
        while not dropped.wait(self._ttl / PER_TTL):
            if self._clock() - self._alive > self._patience:
                continue
            reason, final = self._renew(thing)
            now = self._clock()
            if not reason:
                renewed, told = now, False
            elif final or now - renewed > self._ttl:
                if not told and not dropped.is_set():
                    self._tell(thing, reason if final else f"not renewed for {now - renewed:.0f} s: {reason}")
                told = True
                if final:
                    return

    def _renew(self, thing: Renewable) -> tuple[str, bool]:
        """Why it failed, and whether for good; nothing when it went well."""
        failpoint("renew.before")
        try:
            thing.renew()
        except _FINAL as error:
            return str(error), True
        except Exception as error:  # noqa: BLE001 - whatever it is: it is not renewed, and tried again
            return f"{type(error).__name__}: {error}", False
        failpoint("renew.after")
        return "", False

    def _tell(self, thing: Renewable, reason: str) -> None:
        try:
            matters = thing.region is None or self._needed(thing.region)
        except Exception:  # noqa: BLE001 - what is not known counts as needed
            matters = True
        self._lost(f"{thing.name} is lost: {reason}", matters)
