"""The report as one HTML file, and its summary as Markdown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from blackstart.evidence.history import History, fold
from blackstart.evidence.records import Line
from blackstart.report import format as words
from blackstart.report.dependencies import dependency_table
from blackstart.report.foretold import forecast_rows
from blackstart.report.restores import restore_tables
from blackstart.report.sections import (
    MET,
    fault_rows,
    objective_rows,
    phase_rows,
    probe_rows,
    step_rows,
    stream_rows,
    traffic_rows,
)
from blackstart.report.timeline import Figure, timeline
from blackstart.report.views import view_tables
from blackstart.report.words import CONTROLS, KINDS, VERDICTS
from blackstart.report.written import lost_tables, write_rows
from blackstart.schema.result import Clock, Result

_BACKTICKS = re.compile(r"[|`<>*_\[\]\\#]")


def html(result: Result, lines: Sequence[Line], zone: tzinfo = UTC) -> str:
    """The report: one file, no network, no scripts, everything escaped. `zone`: the reader's, beside UTC.

    Raises ValueError when the lines are no evidence of a run.
    """
    return _environment(escape=True).get_template("report.html.j2").render(_view(result, fold(lines), zone))


def markdown(result: Result, lines: Sequence[Line], zone: tzinfo = UTC) -> str:
    """The summary: verdict, times, objectives, faults. Raises ValueError as `html` does."""
    return _environment(escape=False).get_template("summary.md.j2").render(_view(result, fold(lines), zone))


def _environment(*, escape: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("blackstart.report"),
        autoescape=escape,  # noqa: S701 - off for Markdown only, which has its own filter
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        seconds=words.seconds,
        percent=words.percent,
        utc=words.utc,
        hms=words.clock,
        plain=words.plain,
        md=_escape_markdown,
    )
    return environment


def _escape_markdown(value: object) -> str:
    """Text that is only text in Markdown, on one line."""
    return _BACKTICKS.sub(lambda found: "\\" + found[0], " ".join(str(value).split()))


def _view(result: Result, history: History, zone: tzinfo) -> dict[str, Any]:
    header = history.header
    ended = history.end.at if history.end else None
    return {
        "result": result,
        "history": history,
        "header": header,
        "title": str(header.drill.get("title") or result.drill),
        "look": VERDICTS[result.verdict],
        "started_local": words.local(result.started, zone),
        "ended_local": words.local(ended, zone) if ended else "",
        "length": history.window.length,
        "command": shlex.join(header.command),
        "objectives": objective_rows(result),
        "faults": fault_rows(history),
        "forecasts": forecast_rows(result),
        "dependencies": dependency_table(result.dependencies),
        "steps": step_rows(result),
        "restores": restore_tables(result),
        "traffic": traffic_rows(result),
        "streams": stream_rows(history),
        "probes": probe_rows(history),
        "phases": phase_rows(history),
        "views": view_tables(result),
        "writes": write_rows(result),
        "lost": lost_tables(result),
        "figures": _figures(result, history),
        "clocks": list(result.clock.items()),
        "kinds": KINDS,
        "controls": CONTROLS,
        "met": MET,
        "outage": {service: phases.get("outage") for service, phases in result.tallies.items()},
    }


def _figures(result: Result, history: History) -> list[Figure]:
    nothing = Clock(t0=None, detected_s=None, moved_s=None, recovered_s=None, resolution_s=None, failback_s=None)
    services = dict.fromkeys([*result.clock, *header_services(history)])
    figures = (timeline(history, service, result.clock.get(service, nothing)) for service in services)
    return [figure for figure in figures if figure is not None]


def header_services(history: History) -> list[str]:
    """Services that have a client, whether or not an objective names them."""
    return list(dict.fromkeys(stream.service for stream in history.header.streams))
