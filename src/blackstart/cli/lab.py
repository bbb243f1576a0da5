"""`blackstart lab`: a fleet made of processes on this machine."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from blackstart.lab.paths import LabPaths


@click.group()
def command() -> None:
    """Build, start and stop a fleet made of processes on this machine."""
    # `finally` and `except` clean up on Ctrl-C; let them do so on SIGTERM too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


lab = command


def _state_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--state",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(".blackstart/lab"),
        show_default=True,
        help="The lab's folder.",
    )(function)


def _deadline_option(function: Callable[..., Any]) -> Callable[..., Any]:
    from blackstart.schema.base import parse_duration

    def parse(_context: object, _parameter: object, value: str) -> object:
        try:
            return parse_duration(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return click.option(
        "--deadline", default="110s", callback=parse, show_default=True, help="Give up after this long."
    )(function)


_region = click.argument("region")
_part = click.option(
    "--part",
    type=click.Choice(["istiod", "gateway", "mariadb", "redis", "prometheus", "sidecar"]),
    help="Only this part of the region's mesh, this store or this observer (native only).",
)
_observer = click.option(
    "--part", type=click.Choice(["prometheus", "sidecar"]), help="Only this observer of the region (native only)."
)


@command.command()
@click.option("--provider", type=click.Choice(["native", "kind"]), default="native", show_default=True)
@click.option("--mesh", is_flag=True, help="istiod, too (cold: 6 minutes more).")
@click.option("--global-metrics", is_flag=True, help="Thanos, too (cold: 3 minutes more).")
def build(provider: str, mesh: bool, global_metrics: bool) -> None:
    """Build the lab's programs that are not in the cache yet (cold: about 6 minutes on 2 cores)."""
    from blackstart.cli import labviews
    from blackstart.lab import toolchain

    tools = toolchain.tools(mesh, global_metrics=global_metrics) if provider == "native" else toolchain.KIND
    with labviews.build_progress() as report:
        toolchain.build(tools, report)


@command.command()
@click.option("--fix", is_flag=True, help="Install the Debian packages that are missing; starts no service.")
def doctor(fix: bool) -> int:
    """List what this machine lacks for a lab, and the command that mends it."""
    from blackstart.lab import doctor

    if fix:
        doctor.install()
    found = doctor.problems(doctor.look())
    for problem in found:
        click.echo(str(problem))
    if not found:
        click.echo("nothing is missing")
    return 2 if found else 0


@command.command()
@click.option("--regions", default="us,eu", show_default=True, help="Names, the preferred region first.")
@click.option("--provider", type=click.Choice(["native", "kind"]), default="native", show_default=True)
@click.option("--mesh", is_flag=True, help="Istio in each region, its gateways before the service (native only).")
@click.option("--data", is_flag=True, help="MariaDB and Redis, replicated, and order-service (native only).")
@click.option("--semi-sync", is_flag=True, help="With --data: acknowledge only what the replica has.")
@click.option("--global-metrics", is_flag=True, help="Thanos over all regions, and federation (native only).")
@_state_option
def up(
    regions: str, provider: str, mesh: bool, data: bool, semi_sync: bool, global_metrics: bool, state: Path
) -> None:
    """Start the lab, or complete it; ends with a table of what runs where."""
    from blackstart.cli import labviews

    paths = _paths(state)
    chosen = {"mesh": mesh, "data": data, "semi_sync": semi_sync, "global_metrics": global_metrics}
    wanted = {name: True for name, yes in chosen.items() if yes}
    if wanted and provider != "native":
        option = f"--{next(iter(wanted)).replace('_', '-')}"
        raise click.BadParameter("only the native provider has it; leave --provider out", param_hint=option)
    if semi_sync and not data:
        raise click.BadParameter("goes with --data", param_hint="--semi-sync")
    _provider(provider).up(regions.split(","), paths, _say, **wanted)
    labviews.status(paths, _provider(provider).power_state)
    click.echo(f"fleet file: {paths.fleet}")


@command.command()
@_state_option
def down(state: Path) -> None:
    """End the lab and remove everything of it but its logs."""
    paths = _paths(state)
    _provider_of(paths).down(paths, _say)


@command.command()
@click.option("--parts", is_flag=True, help="List the processes too.")
@_state_option
def status(parts: bool, state: Path) -> None:
    """What runs where, and in which state each region is."""
    from blackstart.cli import labviews

    paths = _paths(state)
    labviews.status(paths, _provider_of(paths).power_state)
    if parts:
        labviews.parts(paths)


@command.command()
@click.argument("region", required=False)
@click.argument("part", required=False)
@click.option("-n", "--lines", default=20, show_default=True, help="Lines of each log.")
@_state_option
def logs(region: str | None, part: str | None, lines: int, state: Path) -> None:
    """The logs of the lab, of one region (or `edge`), or of one part of it."""
    from blackstart.cli import labviews

    labviews.logs(_paths(state).root, region, part, lines)


@command.command()
@_region
@_part
@_state_option
def kill(region: str, part: str | None, state: Path) -> None:
    """Take REGION away as a real loss does: silent links, then nothing alive."""
    _provider_of(_paths(state)).kill(region, _paths(state), **_only(part, state))


@command.command()
@_region
@_observer
@_state_option
def freeze(region: str, part: str | None, state: Path) -> None:
    """Stop every process of REGION where it stands; `restore` lets them go on."""
    _provider_of(_paths(state)).freeze(region, _paths(state), **_only(part, state))


@command.command()
@_region
@_part
@_state_option
@_deadline_option
def restore(region: str, part: str | None, state: Path, deadline: float) -> None:
    """Bring REGION back with its data; returns once its pods are Ready anew."""
    _provider_of(_paths(state)).restore(region, _paths(state), deadline, **_only(part, state))


@command.command("state")
@_region
@_part
@_state_option
def state_(region: str, part: str | None, state: Path) -> None:
    """Print `up`, `dead` or `frozen`."""
    click.echo(_provider_of(_paths(state)).power_state(region, _paths(state), **_only(part, state)))


def _only(part: str | None, state: Path) -> dict[str, str]:
    """The argument for one part of a region, which only a native lab has."""
    if part and _paths(state).kind.exists():
        raise click.BadParameter("only the native provider has parts; leave it out", param_hint="--part")
    return {"part": part} if part else {}


def _paths(state: Path) -> LabPaths:
    from blackstart.lab.paths import LabPaths

    return LabPaths(state.absolute())


def _provider(name: str) -> ModuleType:
    return importlib.import_module(f"blackstart.lab.{name}")


def _provider_of(paths: LabPaths) -> ModuleType:
    """The module that made the lab in this folder."""
    return _provider("kind" if paths.kind.exists() else "native")


def _say(line: str) -> None:
    click.echo(line, file=sys.stderr)
