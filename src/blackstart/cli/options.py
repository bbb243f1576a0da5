"""Options that several commands have, each made in one place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

LAB_FLEET = Path(".blackstart/lab/fleet.yaml")
"""Where the lab writes its fleet, below the working directory."""

type Decorator = Callable[[Callable[..., object]], Callable[..., object]]


def fleet_option(help: str) -> Decorator:
    """`--fleet FILE`: else what BLACKSTART_FLEET names, else the lab's."""
    return click.option(
        "--fleet",
        type=click.Path(dir_okay=False, path_type=Path),
        default=LAB_FLEET,
        envvar="BLACKSTART_FLEET",
        show_default=True,
        show_envvar=True,
        help=help,
    )


def settings_option() -> Decorator:
    """`--set KEY=VALUE`, any number of times, as a dict called `settings`."""
    text = "Change the drill: phases.hold=20s."
    return click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", callback=_settings, help=text)


def _settings(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for setting in given:
        key, equals, value = setting.partition("=")
        if not (key and equals):
            raise click.BadParameter(f"{setting!r} is not KEY=VALUE, such as phases.hold=20s")
        found[key] = value
    return found
