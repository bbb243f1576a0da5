"""`blackstart lab`: a fleet made of processes on this machine."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from blackstart.lab.native import NativeLab
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


@command.command()
@click.option("--provider", type=click.Choice(["native", "kind"]), default="native", show_default=True)
def build(provider: str) -> None:
    """Build the lab's programs that are not in the cache yet (cold: about 8 minutes on 2 cores)."""
    from blackstart.cli import labviews
    from blackstart.lab import toolchain

    tools = toolchain.NATIVE if provider == "native" else toolchain.KIND
    with labviews.build_progress() as report:
        toolchain.build(tools, report)


@command.command()
@click.option("--regions", default="us,eu", show_default=True, help="Names, the preferred region first.")
@click.option("--provider", type=click.Choice(["native", "kind"]), default="native", show_default=True)
@_state_option
def up(regions: str, provider: str, state: Path) -> None:
    """Start the lab, or complete it; ends with a table of what runs where."""
    from blackstart.cli import labviews

    paths = _paths(state)
    _provider(provider).up(regions.split(","), paths, _say)
    if provider == "native":
        labviews.status(_load(paths))
    click.echo(f"fleet file: {paths.fleet}")


@command.command()
@_state_option
def down(state: Path) -> None:
    """End the lab and remove everything of it but its logs."""
    from blackstart.lab.provider import provider_of

    paths = _paths(state)
    _provider(provider_of(paths)).down(paths, _say)


@command.command()
@_state_option
def status(state: Path) -> None:
    """What runs where."""
    from blackstart.cli import labviews

    labviews.status(_load(_paths(state)))


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
@_state_option
def kill(region: str, state: Path) -> None:
    """Take REGION away as a real loss does: silent links, then nothing alive."""
    with _held():
        _load(_paths(state)).region(region).kill()


@command.command()
@_region
@_state_option
def freeze(region: str, state: Path) -> None:
    """Stop every process of REGION where it stands; `restore` lets them go on."""
    with _held():
        _load(_paths(state)).region(region).freeze()


@command.command()
@_region
@_state_option
@_deadline_option
def restore(region: str, state: Path, deadline: float) -> None:
    """Bring REGION back with its data; returns once its pods are Ready anew."""
    from blackstart.lab.parts import find_parts

    with _held():
        _load(_paths(state)).region(region).restore(find_parts(), deadline)


@command.command("state")
@_region
@_state_option
def state_(region: str, state: Path) -> None:
    """Print `up`, `dead` or `frozen`."""
    click.echo(_load(_paths(state)).region(region).state())


def _held() -> Any:
    from blackstart.lab import machine

    return machine.lock(shared=True)


def _load(paths: LabPaths) -> NativeLab:
    from blackstart.lab import native

    return native.load(paths)


def _paths(state: Path) -> LabPaths:
    from blackstart.lab.paths import LabPaths

    return LabPaths(state.absolute())


def _provider(name: str) -> Any:
    if name == "kind":
        from blackstart.lab import kind

        return kind
    from blackstart.lab import native

    return native


def _say(line: str) -> None:
    click.echo(line, file=sys.stderr)
