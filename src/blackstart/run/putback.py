"""Sees to it that everything is put back: by the injector, else by `blackstart recover`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from blackstart.evidence.records import Note
from blackstart.evidence.undo import Entry
from blackstart.probes.threads import in_thread
from blackstart.run.log import Log
from blackstart.run.stop import first_of
from blackstart.run.worker import Worker

Level = Literal["info", "warning", "error"]

READ_DEADLINE = 15.0
"""Seconds to read the undo store."""


class PutBack:
    """The undo of one run. The undo store on the disk decides what is outstanding, not what anybody said.

    recover: the command that puts back what is outstanding; outstanding and
    latest read the undo store; deadline: seconds for the injector, and again for recover.
    """

    def __init__(
        self,
        recover: Sequence[str],
        outstanding: Callable[[], list[str]],
        latest: Callable[[], Sequence[Entry]],
        folder: Path,
        log: Log,
        deadline: float,
    ) -> None:
        self._argv, self._outstanding, self._latest, self._folder = recover, outstanding, latest, folder
        self._log, self._deadline = log, deadline

    async def undo(self, injector: Worker | None) -> list[str]:
        """Put everything back; ids of the faults that are not. Never raises, and ends after two deadlines."""
        if injector is not None and not injector.ended.is_set():
            await self._ask(injector)
        left = await self.left()
        if not left:
            return []
        self._note("warning", f"not put back by the injector: {', '.join(left)}; recovering")
        return await self.recover()

    async def recover(self) -> list[str]:
        """Put back what is outstanding, in a process of its own, so that a hang there ends at the deadline."""
        try:
            worker = await Worker.start(self._argv, self._folder / "recover.log", self._log)
        except OSError as error:
            self._note("error", f"`blackstart recover` could not be started: {error}")
        else:
            await first_of(self._deadline, worker.ended)
            if not worker.ended.is_set():
                self._note("error", f"`blackstart recover` did not end within {self._deadline:g} s; it is killed")
                await worker.kill()
            elif worker.code:
                self._note("error", f"`blackstart recover`: {worker.ending()}")
        return await self.left()

    async def left(self) -> list[str]:
        """Ids of the faults that are outstanding now."""
        try:
            return await asyncio.wait_for(in_thread(self._outstanding), READ_DEADLINE)
        except Exception as error:  # noqa: BLE001 - what cannot be read counts as not put back
            return [f"unknown: the undo store cannot be read: {error}"]

    async def back(self) -> list[Entry]:
        """The faults that are proven to be put back, whoever did it."""
        try:
            entries = await asyncio.wait_for(in_thread(self._latest), READ_DEADLINE)
        except Exception:  # noqa: BLE001 - `left` has told it
            return []
        return [entry for entry in entries if not entry.outstanding]

    async def _ask(self, injector: Worker) -> None:
        injector.ask_undo()
        await first_of(self._deadline, injector.ended)
        if not injector.ended.is_set():
            self._note("error", f"the injector did not undo within {self._deadline:g} s; it is killed")
            await injector.kill()
        elif injector.code:
            self._note("error", f"the injector failed: {injector.ending()}")

    def _note(self, level: Level, text: str) -> None:
        self._log(Note(level=level, text=text))
