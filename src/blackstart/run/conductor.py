"""Runs one Chaos Toolkit experiment, reports each activity, and holds between the method and the rollbacks."""

from __future__ import annotations

import contextlib
import copy
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Literal

from chaoslib.caching import cache_activities, clear_cache
from chaoslib.exceptions import InterruptExecution
from chaoslib.experiment import ensure_experiment_is_valid
from chaoslib.run import RunEventHandler, Runner, initialize_run_journal
from chaoslib.types import Strategy

from blackstart.evidence.events import Emit
from blackstart.evidence.records import Activity, Note
from blackstart.faults import foreign

_SETTINGS = {"runtime": {"rollbacks": {"strategy": "always"}}}
_HOLD = {
    "type": "action",
    "name": "hold",
    "provider": {"type": "python", "module": __name__, "func": "hold"},
}
_REPEAT = 1.0
_LOOKS = 20
_DETAIL = 2000

Section = Literal["steady-state", "method", "holding", "rollbacks"]
_current: list[Conductor] = []


def hold() -> None:
    """The activity after the method: blocks until the conductor is released."""
    _current[-1].hold()


class Conductor:
    """One run of one experiment. `held` is called when the method is done and the faults are in place."""

    def __init__(self, emit: Emit, held: Callable[[], None]) -> None:
        self._emit, self._held = emit, held
        self._released = threading.Event()
        self._section: Section = "steady-state"
        self._left: list[str] = []
        self._pause = threading.Event()

    @property
    def _interruptible(self) -> bool:
        return self._section in ("steady-state", "method")

    def conduct(self, experiment: dict[str, Any]) -> None:
        """Run the experiment to its end, rollbacks always. Raises what Chaos Toolkit raises."""
        experiment = {**experiment, "method": [*(experiment.get("method") or []), _HOLD]}
        ensure_experiment_is_valid(experiment)
        experiment = copy.deepcopy(experiment)
        foreign.guard(experiment)
        self._left = [activity.get("name", activity.get("ref", "?")) for activity in experiment["method"][:-1]]
        runner = Runner(Strategy.BEFORE_METHOD)
        runner.register_event_handler(_Handler(self))
        journal = initialize_run_journal(experiment)
        cache_activities(experiment)
        _current.append(self)
        try:
            if self._released.is_set():
                raise InterruptExecution("asked to undo before the experiment began")
            runner.run(experiment, settings=_SETTINGS, journal=journal)
        finally:
            _current.pop()
            clear_cache()
            self._tell_skipped()
        self._emit(Note(level="info", text=f"Chaos Toolkit ended: {journal['status']}"))

    def release(self) -> None:
        """End the hold. A method that still runs is interrupted, again and again: libraries swallow exceptions."""
        self._released.set()
        main = threading.main_thread().ident
        while self._interruptible and _current and main is not None:
            # To the main thread, so that what it waits for ends, too.
            signal.pthread_kill(main, signal.SIGTERM)
            for _ in range(_LOOKS):
                if not self._interruptible:
                    return
                self._pause.wait(_REPEAT / _LOOKS)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """SIGTERM means undo; once the method is over it ends the hold and nothing else."""
        self._released.set()
        if self._interruptible and _current:
            raise InterruptExecution("asked to undo")

    def hold(self) -> None:
        """Say that the method is done, and block until released."""
        self._section = "holding"
        if not self._released.is_set():
            self._held()
        self._released.wait()

    def enter(self, section: Section) -> None:
        """The experiment has come to a section."""
        self._section = section

    def completed(self, activity: dict[str, Any], run: dict[str, Any]) -> None:
        """Report how an activity ended."""
        if activity == _HOLD:
            return
        name = str(activity.get("name", "?"))
        # One in the background may end during the hold.
        section = "method" if self._section == "holding" else self._section
        if section == "method":
            with contextlib.suppress(ValueError):
                self._left.remove(name)
        failed = run.get("status") != "succeeded"
        self._emit(
            Activity(
                section=section,
                name=name,
                status="failed" if failed else "succeeded",
                injects=section == "method" and activity.get("type") == "action",
                detail=_why(run) if failed else "",
            )
        )

    def hypothesis(self, met: bool, probe: str) -> None:
        """Report a steady state that is not there: the method does not run then."""
        if not met:
            detail = f"the probe {probe!r} is out of its tolerance; nothing was injected"
            self._emit(Activity(section="steady-state", name="hypothesis", status="failed", detail=detail))

    def _tell_skipped(self) -> None:
        for name in self._left:
            self._emit(Activity(section="method", name=name, status="skipped"))


class _Handler(RunEventHandler):  # type: ignore[misc]  # Chaos Toolkit has no types
    """Chaos Toolkit swallows whatever is raised here."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def started(self, experiment: Any, journal: Any) -> None:
        # Chaos Toolkit has just put its own handler in place; it would interrupt the rollbacks, too.
        signal.signal(signal.SIGTERM, self._conductor.on_signal)

    def start_method(self, experiment: Any) -> None:
        self._conductor.enter("method")

    def method_completed(self, experiment: Any, state: Any = None) -> None:
        self._conductor.enter("holding")

    def interrupted(self, experiment: Any, journal: Any) -> None:
        self._conductor.enter("rollbacks")

    def start_rollbacks(self, experiment: Any) -> None:
        self._conductor.enter("rollbacks")

    def hypothesis_before_completed(self, experiment: Any, state: Any, journal: Any) -> None:
        if state is not None:
            probes = state.get("probes") or [{}]
            self._conductor.hypothesis(
                bool(state["steady_state_met"]), probes[-1].get("activity", {}).get("name", "?")
            )

    def activity_completed(self, activity: Any, run: Any) -> None:
        self._conductor.completed(activity, run)


def _why(run: dict[str, Any]) -> str:
    """The message of the activity's exception, on one line."""
    text = "".join(run.get("exception") or ["interrupted"])
    message = text.rpartition("chaoslib.exceptions.ActivityFailed: ")[2]
    return " ".join(message.split())[:_DETAIL]
