"""What `blackstart lab` prints: a build's progress, the table of what runs where, logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from blackstart.lab.native import NativeLab
from blackstart.lab.shell import LabError
from blackstart.lab.toolchain import Progress


@contextmanager
def build_progress() -> Iterator[Callable[[Progress], None]]:
    """Where a build tells its progress: one line that changes on a terminal, a line per program elsewhere."""
    console = Console(stderr=True)
    begun: set[str] = set()
    with console.status("") as line:

        def report(p: Progress) -> None:
            where = f"[{p.number}/{p.total}] {p.tool}"
            if p.done:
                console.print(f"{where}: built in {p.elapsed:.0f} s", highlight=False, markup=False)
            elif console.is_terminal:
                line.update(f"\\{where}: {p.packages} packages, {p.elapsed:.0f} s; about {_rough(p.left)} left")
            elif p.tool not in begun:
                begun.add(p.tool)
                console.print(f"{where}: building; about {_rough(p.left)} left", highlight=False, markup=False)

        yield report
    if not begun:
        console.print("everything is built", highlight=False)


def status(lab: NativeLab) -> None:
    """The table of what runs where."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("where", "state", "part", "pid", "memory", "reached at"):
        table.add_column(column, no_wrap=True)
    for row in rows(lab):
        table.add_row(*row)
    Console().print(table)


def rows(lab: NativeLab) -> Iterator[tuple[str, str, str, str, str, str]]:
    for region in lab.regions:
        where = {
            "kube-apiserver": f"https://{region.net.address}:6443",
            "prometheus": f"http://{region.net.address}:9090",
        }
        for name, process in region.processes.all().items():
            alive = process.alive()
            yield (
                region.net.name,
                region.state(),
                name,
                str(process.pid) if alive else "-",
                f"{_memory(process.pid)} MB" if alive else "-",
                where.get(name, ""),
            )


def logs(root: Path, member: str | None, part: str | None, lines: int) -> None:
    """Print the ends of the logs. Raises LabError when there is none of that name."""
    found = sorted(root.glob(f"{member or '*'}/logs/{part or '*'}.log"))
    if not found:
        raise LabError(f"no log of {part or 'anything'} in {root}/{member or '*'}/logs")
    for path in found:
        click.secho(f"==> {path}", bold=True)
        click.echo("\n".join(path.read_text(errors="replace").splitlines()[-lines:]))


def _memory(pid: int) -> int:
    """Resident megabytes."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in text.splitlines() if line.startswith("VmRSS")), 0)


def _rough(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
