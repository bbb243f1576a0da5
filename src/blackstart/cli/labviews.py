"""What `blackstart lab` prints: a build's progress, the table of what runs where, logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import yaml
from rich.console import Console
from rich.table import Table

from blackstart.fleet.load import load_fleet
from blackstart.lab.paths import LabPaths
from blackstart.lab.processes import recorded
from blackstart.lab.shell import LabError
from blackstart.lab.toolchain import Progress
from blackstart.schema.errors import shown


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


def status(paths: LabPaths, power_state: Callable[[str, LabPaths], str]) -> None:
    """Print what runs where. Raises LabError when there is no lab."""
    if not paths.fleet.exists():
        raise LabError(f"no lab in {paths.root}; `blackstart lab up` starts one, --state names another folder")
    fleet = load_fleet(paths.fleet)
    console = _console()
    table = _table("region", "state", "API server", "kubeconfig", "Prometheus", "from the observer")
    for name, region in fleet.regions.items():
        direct = next(s.direct[name].url for s in fleet.services.values())
        prometheus = region.prometheus.url if region.prometheus else "-"
        server = _server(region.cluster.kubeconfig)
        table.add_row(name, power_state(name, paths), server, shown(region.cluster.kubeconfig), prometheus, direct)
    console.print(table)
    for name, service in fleet.services.items():
        headers = ", ".join(f"{key}: {value}" for key, value in service.entry.headers.items())
        said = f" ({headers})" if headers else ""
        console.print(f"{name}: {service.entry.url} from the observer{said}", highlight=False)
    for name, store in fleet.stores.items():
        where = ", ".join(f"{region} {member.client_address}" for region, member in store.members.items())
        console.print(
            f"store {name} ({store.kind}): {where}; primary in normal times: {store.primary}", highlight=False
        )
    for what, seen in (("Thanos", fleet.prometheus), ("federation", fleet.federation)):
        if seen:
            console.print(f"{what} over all regions: {seen.url}", highlight=False)
    console.print(f"links: {', '.join(fleet.links)}", highlight=False)


def parts(paths: LabPaths) -> None:
    """Print the processes that the lab started, with their memory."""
    table = _table("where", "part", "pid", "memory")
    for file in sorted(paths.root.glob("*/pids.json")):
        for name, process in recorded(file).items():
            alive = process.alive()
            pid, memory = (str(process.pid), f"{_memory(process.pid)} MB") if alive else ("ended", "")
            table.add_row(file.parent.name, name, pid, memory)
    _console().print(table)


def logs(root: Path, member: str | None, part: str | None, lines: int) -> None:
    """Print the ends of the logs. Raises LabError when there is none of that name."""
    found = sorted(root.glob(f"{member or '*'}/logs/{part or '*'}.log"))
    if not found:
        raise LabError(f"no log of {part or 'anything'} in {root}/{member or '*'}/logs")
    for path in found:
        click.secho(f"==> {path}", bold=True)
        click.echo("\n".join(path.read_text(errors="replace").splitlines()[-lines:]))


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=160)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _server(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"])


def _memory(pid: int) -> int:
    """Resident megabytes."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in text.splitlines() if line.startswith("VmRSS")), 0)


def _rough(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
