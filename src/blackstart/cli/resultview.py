"""How a result is shown to a person: verdict, sentence, objectives, where the report is."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from blackstart.schema.result import ObjectiveResult, Result, Verdict

_STYLES = {
    Verdict.PASS: "bold green",
    Verdict.FAIL: "bold red",
    Verdict.UNSAFE: "bold white on red",
    Verdict.INVALID: "bold yellow",
    Verdict.INCONCLUSIVE: "bold yellow",
}
_MARKS = {True: ("met", "green"), False: ("MISSED", "bold red"), None: ("unknown", "yellow")}


def show(result: Result, folder: Path, out: TextIO) -> None:
    """Print a result; in colour on a terminal, as wide as it needs to be elsewhere. Raises OSError."""
    # Rendered first: rich would end the process when nobody reads.
    text = io.StringIO()
    width = shutil.get_terminal_size().columns if out.isatty() else 160
    _print(result, folder, Console(file=text, force_terminal=out.isatty(), width=width, highlight=False, emoji=False))
    out.write(text.getvalue())
    out.flush()


def _print(result: Result, folder: Path, console: Console) -> None:
    if result.objectives:
        console.print(objectives_table(result.objectives))
    console.print(
        Text.assemble((f" {result.verdict.value} ", _STYLES.get(result.verdict, "bold")), "  ", result.sentence)
    )
    for reason in result.reasons:
        console.print(Text(f"  - {reason}"), soft_wrap=True)
    if result.score:
        console.print(f"score {result.score.low:.0f} to {result.score.high:.0f}, grade {result.score.grade}")
    if result.undo.outstanding:
        console.print(Text(f"NOT PUT BACK: {', '.join(result.undo.outstanding)}", style="bold red"))
        console.print(f"next: blackstart recover --run {result.run_id}", soft_wrap=True)
    console.print(f"report {folder / 'report.html'}", soft_wrap=True)


def objectives_table(objectives: list[ObjectiveResult]) -> Table:
    """One row an objective: what was promised, what was measured."""
    table = Table(box=None, padding=(0, 2), header_style="dim", pad_edge=False)
    for name in ("service", "objective", "bound", "measured", "", ""):
        table.add_column(name, overflow="fold")
    for o in objectives:
        mark, style = _MARKS[o.met]
        table.add_row(o.service, o.kind, o.objective, measured(o), Text(mark, style=style), o.detail)
    return table


def measured(objective: ObjectiveResult) -> str:
    """The measured figure with its unit."""
    value = objective.measured
    if value is None:
        return "no data"
    match objective.kind:
        case "rto" | "failback":
            plus = f" +- {objective.resolution:.2g} s" if objective.resolution else ""
            return f"{value:.2f} s{plus}"
        case "rpo":
            return f"{value:.2f} s"
        case "honest":
            return f"{value:g} s wrong"
        case "availability" | "completeness":
            return f"{value:.3%}"
        case _:
            return f"{value:g}"
