"""A drill from preflight to settle: measures, guards, and sees to it that everything is put back.

The supervisor never injects. A child in a session of its own does; when that
child dies, hangs or loses its way, the supervisor has `blackstart recover` put
back what the undo store says is outstanding.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from blackstart.evidence.failpoints import failpoint
from blackstart.evidence.promotions import Promotions
from blackstart.evidence.records import (
    Check,
    End,
    FaultEvent,
    FaultState,
    Header,
    Outstanding,
    Phase,
    PhaseStart,
    Stream,
)
from blackstart.fleet.model import Entry
from blackstart.plan.resolve import Plan
from blackstart.probes.base import Scope
from blackstart.procedures.base import Work
from blackstart.run.census import Capacity, completeness, take
from blackstart.run.crossings import book, counting
from blackstart.run.foretell import foretell
from blackstart.run.gateways import came_in, count
from blackstart.run.ledger import Ledger, NoLedger
from blackstart.run.log import Listener
from blackstart.run.looks import run_looks
from blackstart.run.measuring import probing
from blackstart.run.parts import Outcome, Parts
from blackstart.run.putback import PutBack
from blackstart.run.shield import Shield
from blackstart.run.steps import Steps, tell
from blackstart.run.vigil import TICK, Vigil
from blackstart.run.watch import GRACE, back, outage, shares, steady_checks, writers_out
from blackstart.run.worker import Worker
from blackstart.safety.protection import Held

LOOK_DEADLINE = 15.0
"""Seconds for all checks of the preflight, and for those of the settle phase."""

READ_BACK = 60.0
"""Seconds for reading the stores back before the undo, which does not wait longer for it."""

CONVERGE = 900.0
"""Seconds for multi-active stores to become level; the drill's objective usually says less."""

_UNSEEN = "neither clients nor writers saw an outage in the hold"

FULL_HOUSE = 15.0
"""Seconds that workloads get in the settle phase to be as complete as before."""


class Supervisor:
    """One run. Make it inside a running event loop, then `await run()` once.

    Raises EvidenceError at once when the evidence file cannot be created.
    """

    def __init__(
        self,
        plan: Plan,
        header: Header,
        streams: Mapping[str, tuple[Stream, Entry]],
        folder: Path,
        parts: Parts,
    ) -> None:
        self._plan, self._header, self._streams, self._folder, self._parts = plan, header, streams, folder, parts
        self._drill = plan.drill
        self._vigil = vigil = Vigil(plan, [stream for stream, _ in streams.values()], folder)
        self._log, self._stop, self._note, self._wait = vigil.log, vigil.stop, vigil.note, vigil.wait
        self.watch = vigil.watch
        self._injector: Worker | None = None
        self._ledger: Ledger = NoLedger()
        self._before: dict[str, Capacity] = {}
        self._home: dict[str, dict[str, float]] = {}
        self._outstanding: list[str] | None = None
        self._put_back = PutBack(
            parts.recover, parts.outstanding, parts.latest, folder, self._log, self._drill.phases.undo
        )
        self._shield = Shield(parts.shielding, self._drill.lease, folder, self._log, vigil.lost)
        work = parts.work or Work(plan.fleet, header.run_id, folder, Promotions())
        self._procedure = Steps("procedure", self._drill.procedure, work, self._log)
        self._way_home = Steps("failback", self._drill.failback_procedure, work, self._log)

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of every record, as it is written."""
        self._log.listen(listener)

    async def run(self) -> Outcome:
        """The whole drill. Whatever happens on the way, what was broken has been put back or is reported."""
        self._log(self._header)
        try:
            end = await self._phases()
        except Exception as error:  # noqa: BLE001 - the undo ran on the way here; report what there is
            end = await self._crashed(error)
        await self._shield.close(self._outstanding or [])
        self._log(end)
        await self._vigil.recorder.close()
        return Outcome(end, self._outstanding or [], self._vigil.crash, self._vigil.recorder.broken)

    def signalled(self, number: signal.Signals) -> None:
        """A signal came: undo, settle, report. A second one changes nothing."""
        name = signal.Signals(number).name
        if self._stop.ask("interrupted", name):
            self._note("warning", f"{name}: undoing, then reporting")
            return
        self._note(
            "warning",
            f"{name} again: the undo is not skipped; to leave it to the watchdog and the guardians, kill -9 this "
            f"(process {os.getpid()}); see how it went with `blackstart recover --run {self._header.run_id}`",
        )

    # -- the phases

    async def _phases(self) -> End:
        if refusal := await self._preflight():
            return refusal
        scope = Scope(
            fleet=self._plan.fleet,
            victims=tuple(self._plan.victims),
            survivors=tuple(self._plan.survivors),
            services=dict(self._plan.services),
        )
        async with self._parts.sample(self._streams, self._log), self._parts.ledger(self._log) as self._ledger:
            async with probing(self._plan.probes, scope, self._parts.read, self._log):
                if refusal := await self._baseline():
                    return refusal
                await book(self._parts.addresses, self._log)
                async with counting(self._parts.crossings, self._log):
                    try:
                        await self._inject()
                        await self._hold()
                    finally:
                        await self._procedure.end(self._stop.detail or _UNSEEN)
                        await self._undo()
                await self._failback()
                await self._way_home.end(self._stop.detail)
            await self._settle()
        return self._end()

    async def _preflight(self) -> End | None:
        self._log(PhaseStart(phase=Phase.PREFLIGHT))
        try:
            locked = await self._shield.lock()
        except Held as held:
            return End(how="blocked", detail=f"{held}; nothing was injected")
        looks = {**self._parts.preflight, **{f"slate/{name}": look for name, look in self._parts.slate.items()}}
        # The forecast is read meanwhile, so that it costs a drill no time.
        checks, foretold = await asyncio.gather(
            run_looks({f"preflight/{name}": look for name, look in looks.items()}, LOOK_DEADLINE),
            foretell(self._parts.foretell, dict.fromkeys(self._plan.services.values()), LOOK_DEADLINE),
        )
        if refusal := self._refusal([*locked, *checks], "preflight") or self._stopped_early():
            return refusal
        if foretold.services:
            self._log(foretold)
        return None

    async def _baseline(self) -> End | None:
        self._log(PhaseStart(phase=Phase.BASELINE))
        drill, doors = self._drill, self._parts.doors
        arrived = await count(doors, LOOK_DEADLINE)
        await self._wait(max(drill.phases.baseline, drill.steady.window + drill.client.timeout + GRACE))
        if early := self._stopped_early():
            return early
        now = time.monotonic()
        checks = steady_checks(self.watch, drill.steady, self._streams, now, "baseline")
        checks += await came_in(doors, arrived, drill.client.interval, LOOK_DEADLINE)
        self._before, counted = await take(self._parts.census, LOOK_DEADLINE)
        await self._procedure.prepare(LOOK_DEADLINE)
        self._home = shares(self.watch, drill.steady, self.watch.of("entry"), now)
        written = await self._ledger.baseline(drill.steady)
        if refusal := self._refusal([*checks, *counted, *written], "baseline") or self._stopped_early():
            return refusal
        return self._refusal([await self._shield.up()], "protection") or self._stopped_early()

    async def _inject(self) -> None:
        self._log(PhaseStart(phase=Phase.INJECT))
        self._vigil.guard()
        # Nothing is broken before everything known so far is on the disk.
        if not await self._vigil.recorder.flush(10.0):
            self._stop.ask("interrupted", "the evidence could not be put on the disk; nothing was injected")
        if self._stop:
            return
        job = {**self._parts.job, **self._shield.job}
        self._injector = await Worker.start(
            self._parts.injector, self._folder / "injector.log", self._log, job, self._shield.guard
        )
        failpoint("child.told")
        await self._wait(self._drill.phases.inject, self._injector.held, self._injector.ended)

    async def _hold(self) -> None:
        child = self._injector
        if self._stop or child is None:
            return
        if not child.held.is_set() and not child.ended.is_set():
            self._note("error", f"the method was not done within {self._drill.phases.inject:g} s")
        elif child.ended.is_set():
            self._note("error", f"the injector ended before the hold: {child.ending()}")
        elif child.failures:
            self._note("error", f"no hold, because {'; '.join(child.failures)}")
        else:
            self._log(PhaseStart(phase=Phase.HOLD))
            self._procedure.begin(self._due)
            await self._wait(self._drill.phases.hold, child.ended)
            if self._procedure.begun:
                # Beyond the hold: a recovery that takes longer than planned is measured, not cut.
                await self._wait(self._procedure.longest, self._procedure.done, child.ended)
            await self._procedure.end(self._stop.detail or _UNSEEN)
            if child.ended.is_set():
                self._note("error", f"the injector ended during the hold: {child.ending()}")
            elif not self._stop:
                await self._vigil.do(self._ledger.after_failover(), READ_BACK)

    def _due(self) -> str | None:
        """Why the procedure begins now; None while it does not."""
        if self._drill.detect == "fault":
            return "the fault is confirmed"
        steady = self._drill.steady
        if seen := outage(self.watch, steady, time.monotonic()) or writers_out(self._vigil.writes, steady):
            self._note("info", f"the outage is seen: {seen}")
        return seen

    async def _undo(self) -> None:
        """Put everything back. Nothing shortens this: signals and guards have had their say."""
        self._vigil.undoing()
        self._log(PhaseStart(phase=Phase.UNDO))
        self._shield.undoing()
        self._outstanding = await self._put_back.undo(self._injector)
        self._log(Outstanding(faults=self._outstanding))
        await self._hear_of_others()
        await self._shield.down(self._outstanding)

    async def _failback(self) -> None:
        if self._stop:
            return
        self._log(PhaseStart(phase=Phase.FAILBACK))
        await self._vigil.do(self._ledger.after_undo(), CONVERGE)
        began, drill = time.monotonic(), self._drill
        shortest = drill.steady.window + drill.client.timeout + GRACE
        self._way_home.begin(lambda: "the faults are undone")
        await self._wait(self._way_home.longest, self._way_home.done)
        until = max(began + drill.phases.failback, time.monotonic() + 2 * shortest if self._way_home.begun else 0.0)
        await self._wait(shortest)
        while not self._stop and time.monotonic() < until:
            if back(self.watch, drill.steady, self._home, time.monotonic()):
                return
            await self._wait(TICK)
        if not self._stop:
            self._note("error", f"the services are not as before {drill.phases.failback:g} s after the undo")

    async def _settle(self) -> None:
        self._log(PhaseStart(phase=Phase.SETTLE))
        await self._wait(self._drill.phases.settle)
        await self._ledger.after_failback()
        checks = await completeness(self._parts.census, self._before, FULL_HOUSE, LOOK_DEADLINE)
        residue = await run_looks({f"residue/{n}": look for n, look in self._parts.slate.items()}, LOOK_DEADLINE)
        for check in [*checks, *residue]:
            self._log(check)
        for told in await tell(self._parts.away, LOOK_DEADLINE):
            self._note("warning", told)
        if self._outstanding:
            # A guardian or a person may have been at work since.
            self._outstanding = await self._put_back.left()
            self._log(Outstanding(faults=self._outstanding))
            await self._hear_of_others()

    async def _hear_of_others(self) -> None:
        """What the watchdog put back was written down, but told to nobody here."""
        for entry in await self._put_back.back():
            if entry.undo.fault not in self._vigil.back:
                self._log(
                    FaultEvent(
                        fault=entry.undo.fault,
                        kind=entry.undo.kind,
                        target=entry.undo.target,
                        state=FaultState.CONFIRMED_REVERTED,
                        detail=f"by another process: {entry.detail}",
                    )
                )

    # -- ends

    def _end(self) -> End:
        return End(how=self._stop.how or "complete", detail=self._stop.detail)

    def _stopped_early(self) -> End | None:
        if not self._stop:
            return None
        return End(how=self._stop.how or "interrupted", detail=f"{self._stop.detail}; nothing was injected")

    def _refusal(self, checks: Sequence[Check], what: str) -> End | None:
        for check in checks:
            self._log(check)
        bad = [f"{check.name}: {check.detail}" for check in checks if check.ok is not True]
        return End(how="refused", detail=f"{what} failed: {'; '.join(bad)}") if bad else None

    async def _crashed(self, error: Exception) -> End:
        said = self._vigil.failed(error)
        self._note("error", said)
        if self._injector is not None and self._outstanding is None:
            # It failed before its undo was done.
            await self._injector.kill()
            self._outstanding = await self._put_back.recover()
            self._log(Outstanding(faults=self._outstanding))
        return End(how="aborted", detail=said)
