"""Judges a run by its evidence and writes what people and pipelines read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from blackstart.evidence.reader import EVIDENCE, BadEvidence, read, write_sums
from blackstart.evidence.records import Line
from blackstart.evidence.written import Writes
from blackstart.judge import judge
from blackstart.ledger.records import altered
from blackstart.report import html, junit, markdown
from blackstart.schema.errors import BlackstartError
from blackstart.schema.result import Result


def judge_folder(folder: Path) -> tuple[Result, list[Line]]:
    """What the evidence in a run's folder comes to; in doubt when the ledger there is not the one that it tells of.

    Raises BadEvidence, or BlackstartError when there is none.
    """
    path = folder / EVIDENCE
    try:
        lines = list(read(path))
        problem = altered(folder, [line.body for line in lines if isinstance(line.body, Writes)])
        return judge(lines, [f"ledger: {problem}"] if problem else []), lines
    except OSError as error:
        raise BlackstartError(f"{path}: {error.strerror}; name a folder that a run wrote") from error
    except ValueError as error:
        raise BadEvidence(f"{path}: {error}") from error


def publish(folder: Path, result: Result, lines: Sequence[Line]) -> None:
    """Write result.json, the reports, and SHA256SUMS over everything. Raises BlackstartError when that fails."""
    zone = datetime.now().astimezone().tzinfo or UTC
    files = {
        "result.json": result.model_dump_json(indent=2) + "\n",
        "report.html": html(result, lines, zone),
        "junit.xml": junit(result),
        "summary.md": markdown(result, lines, zone),
    }
    try:
        for name, text in files.items():
            (folder / name).write_text(text)
        write_sums(folder)
    except OSError as error:
        raise BlackstartError(
            f"{folder}: the report cannot be written: {error.strerror}; the evidence is there: "
            f"free space, then `blackstart judge {folder} --write`"
        ) from error
