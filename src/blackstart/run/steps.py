"""Goes through the steps of a procedure while the drill measures: one after the other, each in a thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from blackstart.evidence.records import Body, Note
from blackstart.evidence.steps import StepEvent, StepState
from blackstart.fleet.model import Fleet
from blackstart.probes.threads import in_thread
from blackstart.procedures.base import NotExecuted, Work, by_whom, run_step
from blackstart.procedures.dumped import rows_at_home
from blackstart.procedures.reborn import images_at_home
from blackstart.run.log import Log
from blackstart.run.stop import first_of
from blackstart.schema.errors import BlackstartError
from blackstart.schema.procedure import Restore, Step

OVERRUN = 30.0
"""Seconds after its deadline at which a step that does not come back is given up; its own waits are shorter."""

_LOOK = 0.1

Part = Literal["procedure", "failback"]


class Steps:
    """The steps of one part of a drill. Make it inside a running event loop.

    A step that began is never cut short from here: it could be left half
    done. Waits, commands and prompts see by themselves that the run ends.
    """

    def __init__(self, part: Part, steps: Sequence[Step], work: Work, log: Log) -> None:
        self._part, self._left, self._log = part, list(steps), log
        self._loop = asyncio.get_running_loop()
        self._work = replace(work, stopped=lambda: self._why is not None, tell=self._tell_from_thread)
        self._why: str | None = None
        # What has to be imported is, before the time of a step counts.
        self._by = {step.name: by_whom(step, work.confirmed) for step in steps}
        self._begun = False
        self._task: asyncio.Task[None] | None = None
        self._halted = asyncio.Event()
        self.done = asyncio.Event()
        """Nothing is under way, and nothing will be."""
        self.longest = sum(step.longest + OVERRUN for step in steps)
        """Seconds that they take at most."""
        if not steps:
            self.done.set()

    @property
    def begun(self) -> bool:
        """Whether a first step was begun."""
        return self._begun

    async def prepare(self, deadline: float) -> None:
        """Look at what is only to be seen before the fault. Never raises."""
        for step in self._left:
            if step.restore:
                await self._see(step, step.restore, "which images run", images_at_home, self._work.images, deadline)
                await self._see(
                    step, step.restore, "how many rows there are", rows_at_home, self._work.rows, deadline
                )

    async def _see[K, V](
        self,
        step: Step,
        wanted: Restore,
        what: str,
        look: Callable[[Fleet, Restore], dict[K, V]],
        seen: dict[K, V],
        deadline: float,
    ) -> None:
        try:
            seen.update(await asyncio.wait_for(in_thread(lambda: look(self._work.fleet, wanted)), deadline))
        except Exception as error:  # noqa: BLE001 - the step says that it does not know
            self._log(Note(level="warning", text=f"{step.name}: {what} is not known: {error}"))

    def begin(self, due: Callable[[], str | None]) -> None:
        """Begin with the first step as soon as `due` says why."""
        if self._left and self._task is None:
            self._task = asyncio.create_task(self._go(due))

    async def end(self, why: str) -> None:
        """Begin no further step, wait for the one under way, and tell which were not executed."""
        self._why = self._why or why
        self._halted.set()
        if self._task:
            await self._task
        for step in self._left:
            self._tell(step, StepState.NOT_EXECUTED, self._why)
        self._left = []
        self.done.set()

    async def _go(self, due: Callable[[], str | None]) -> None:
        try:
            while self._why is None and due() is None:
                await first_of(_LOOK, self._halted)
            while self._why is None and self._left:
                self._begun, step = True, self._left.pop(0)
                state, detail = await self._one(step)
                self._tell(step, state, detail)
                if state is not StepState.DONE:
                    self._why = f"{step.name!r} was not done"
        except Exception as error:  # noqa: BLE001 - nothing here may keep the undo from beginning
            self._why = self._why or f"the steps cannot go on: {type(error).__name__}: {error}"
        finally:
            self.done.set()

    async def _one(self, step: Step) -> tuple[StepState, str]:
        self._tell(step, StepState.STARTED, step.manual or "")
        try:
            work = in_thread(lambda: run_step(self._work, step))
            return StepState.DONE, await asyncio.wait_for(work, step.longest + OVERRUN)
        except NotExecuted as error:
            return StepState.NOT_EXECUTED, str(error)
        except TimeoutError:
            return StepState.FAILED, f"it did not come back {OVERRUN:g} s after its deadline; look by hand"
        except BlackstartError as error:
            return StepState.FAILED, str(error)
        except Exception as error:  # noqa: BLE001 - a step that crashes has failed, and the drill goes on
            return StepState.FAILED, f"{type(error).__name__}: {error}"[:500]

    def _tell_from_thread(self, body: Body) -> None:
        # A step that was given up may end after the loop did.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._log, body)

    def _tell(self, step: Step, state: StepState, detail: str) -> None:
        said = {"part": self._part, "step": step.name, "kind": step.kind, "by": self._by[step.name]}
        self._log(StepEvent.model_validate({**said, "state": state, "detail": detail}))


async def tell(away: Callable[[], Sequence[str]], deadline: float) -> Sequence[str]:
    """Which stores have their primary away from home, with the next step; never raises."""
    try:
        return await asyncio.wait_for(in_thread(away), deadline)
    except Exception as error:  # noqa: BLE001 - the run is over but for its report
        return [f"whether a store has its primary away from home is not known: {error}"]
