"""What a person sees while a drill runs: plain lines in a pipe, a live page on a terminal."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from blackstart.evidence.records import (
    MADE,
    Activity,
    Body,
    Check,
    End,
    FaultEvent,
    FaultState,
    Foretold,
    GuardTrip,
    Header,
    Note,
    Outstanding,
    Phase,
    PhaseStart,
)
from blackstart.evidence.steps import StepEvent, StepState
from blackstart.evidence.written import StoreRead
from blackstart.report.foretold import brief
from blackstart.run.outlook import Outlook
from blackstart.run.watch import Watch, Window
from blackstart.schema.drill import Phases

_RECENT = 2.0
"""Seconds of traffic that count as `now`."""

_TRAFFIC_EVERY = 5.0
"""Seconds between lines of traffic in a pipe."""

_DRAW_EVERY = 0.25

_BAD = {FaultState.INEFFECTIVE, FaultState.FAILED, FaultState.CONFLICT}


@dataclass(frozen=True)
class Said:
    """One thing to tell a person. level: info, good, warning, error."""

    level: str
    text: str


def say(body: Body) -> Said | None:
    """A record in words; None for what is too frequent or too dull to tell."""
    match body:
        case Header():
            return Said("info", f"run {body.run_id}: drill {body.drill['drill']} on fleet {body.fleet['fleet']}")
        case PhaseStart():
            return Said("info", f"phase {body.phase.value}")
        case Foretold():
            return Said("info", "; ".join(f"forecast {name}: {brief(f)}" for name, f in body.services.items()))
        case Check():
            mark = {True: "ok", False: "NOT OK", None: "unknown"}[body.ok]
            return Said("good" if body.ok else "error", f"{mark:7} {body.name}: {body.detail}")
        case FaultEvent():
            level = "error" if body.state in _BAD else "info"
            what = "made" if body.kind in MADE else "fault"
            return Said(level, f"{what} {body.fault} on {body.target}: {body.state.value}{_after(body.detail)}")
        case StoreRead():
            return _read_back(body)
        case Activity(status="failed"):
            return Said("error", f"{body.section}: {body.name} failed{_after(body.detail)}")
        case StepEvent():
            level = {StepState.STARTED: "info", StepState.DONE: "good"}.get(body.state, "error")
            who = "" if body.by == "machine" else " (by a person)"
            return Said(
                level, f"{body.part}: {body.step}{who}: {body.state.value.replace('_', ' ')}{_after(body.detail)}"
            )
        case GuardTrip():
            return Said("error", f"guard {body.guard}: {body.detail}; undoing")
        case Note():
            return Said(body.level, body.text)
        case Outstanding(faults=[]):
            return Said("good", "everything is put back")
        case Outstanding():
            return Said("error", f"NOT PUT BACK: {', '.join(body.faults)}; run `blackstart recover`")
        case End():
            return Said("info", f"the run is {body.how}{_after(body.detail)}")
        case _:
            return None


def _read_back(read: StoreRead) -> Said:
    where = f"after the {read.moment}, {read.store}/{read.record} at {read.member}"
    if read.no_data:
        return Said("warning", f"{where}: no data: {read.no_data}{_after(read.detail)}")
    takes = "takes writes" if read.writable else "read-only"
    text = f"{where} ({takes}): {read.lost.count} of {read.acknowledged} acknowledged writes lost"
    return Said("error" if read.writable and read.lost.count else "info", text)


@dataclass
class View:
    """What the page shows, folded from the records; bounded in size."""

    phase: Phase | None = None
    since: float = 0.0
    done: dict[Phase, float] = field(default_factory=dict)
    news: deque[Said] = field(default_factory=lambda: deque(maxlen=8))

    def see(self, now: float, body: Body) -> None:
        """Take in one record that was made `now` (monotonic seconds)."""
        if isinstance(body, PhaseStart):
            if self.phase:
                self.done[self.phase] = now - self.since
            self.phase, self.since = body.phase, now
        elif (said := say(body)) and not (isinstance(body, Check) and body.ok):
            self.news.append(said)


class Plain:
    """Timestamped lines."""

    def __init__(self, watch: Watch, out: TextIO) -> None:
        self._watch, self._out = watch, out
        self._told: float | None = None

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def __call__(self, now: float, body: Body) -> None:
        """Tell of one record."""
        if said := say(body):
            self._line(said.text if said.level in ("info", "good") else f"{said.level}: {said.text}")
        elif self._told is None:
            self._told = now
        elif now - self._told >= _TRAFFIC_EVERY:
            self._told = now
            self._line(f"traffic {traffic_line(self._watch, now)}")

    def _line(self, text: str) -> None:
        # Nobody reads any more, or the disk is full: the drill goes on.
        with contextlib.suppress(OSError, ValueError):
            self._out.write(f"{datetime.now(UTC):%H:%M:%S.%f}"[:12] + f"Z {text}\n")
            self._out.flush()


class OnTerminal:
    """A page that is drawn again up to four times a second, as records come in."""

    def __init__(self, watch: Watch, outlook: Outlook, out: TextIO) -> None:
        self._watch, self._outlook, self._view, self._drawn = watch, outlook, View(), 0.0
        console = Console(file=cast(TextIO, _Tolerant(out)), force_terminal=True)
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> OnTerminal:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def __call__(self, now: float, body: Body) -> None:
        """Take in one record."""
        self._view.see(now, body)
        self._outlook.see(body)
        if now - self._drawn >= _DRAW_EVERY:
            self._drawn = now
            self._live.update(self._page(now), refresh=True)

    def _page(self, now: float) -> RenderableType:
        return Group(
            phases_table(self._view, self._outlook.drill.phases, now),
            "",
            traffic_table(self._watch, now),
            "",
            *(Text(line, style="bold") for line in self._outlook.lines()),
            *(Text(said.text, style=_STYLES.get(said.level, "dim")) for said in self._view.news),
        )


_STYLES = {"good": "green", "warning": "yellow", "error": "bold red"}


def phases_table(view: View, phases: Phases, now: float) -> Table:
    """Every phase: done and how long it took, or running and how far it is."""
    table = Table.grid(padding=(0, 2))
    for phase in Phase:
        planned = getattr(phases, phase.value, None)
        if phase is view.phase:
            spent = now - view.since
            length = f"{spent:.0f} s of {planned:g} s" if planned else f"{spent:.0f} s"
            table.add_row(Text(">", style="bold cyan"), Text(phase.value, style="bold"), length, _bar(spent, planned))
        elif phase in view.done:
            table.add_row(Text("+", style="green"), phase.value, f"{view.done[phase]:.1f} s", "")
        else:
            table.add_row(" ", Text(phase.value, style="dim"), "", "")
    return table


def traffic_table(watch: Watch, now: float) -> Table:
    """Per stream: how many requests are good now, and which region answers them."""
    table = Table.grid(padding=(0, 2))
    for name, window in _recent(watch, now).items():
        if not window.total:
            table.add_row(name, Text("no answer yet", style="dim"), "")
            continue
        success = window.good / window.total
        style = "green" if success >= 0.99 else "yellow" if success >= 0.5 else "bold red"
        table.add_row(name, Text(f"{success:6.1%} good", style=style), _regions(window))
    return table


def traffic_line(watch: Watch, now: float) -> str:
    """The same in one line."""
    parts = []
    for name, window in _recent(watch, now).items():
        share = f"{window.good / window.total:.0%} good" if window.total else "no answer yet"
        parts.append(f"{name}: {share} {_regions(window)}".rstrip())
    return "; ".join(parts)


def _recent(watch: Watch, now: float) -> Mapping[str, Window]:
    return {name: watch.window(name, now - _RECENT, now) for name in watch.streams}


def _regions(window: Window) -> str:
    return " ".join(f"{region} {count / window.total:.0%}" for region, count in sorted(window.regions.items()))


def _bar(spent: float, planned: float | None, width: int = 20) -> Text:
    if not planned:
        return Text("")
    full = min(width, int(width * spent / planned))
    return Text("━" * full, style="cyan") + Text("━" * (width - full), style="dim")


def _after(detail: str) -> str:
    return f": {detail}" if detail else ""


class _Tolerant:
    """A terminal that may go away while it is written to: the drill goes on without it."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self.encoding = out.encoding

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return self._out.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._out.flush()

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._out.fileno()
