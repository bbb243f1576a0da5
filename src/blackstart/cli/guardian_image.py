"""blackstart guardian-image: the container image that drills start in clusters."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from blackstart.schema.errors import BlackstartError


@click.command("guardian-image")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("guardian.tar"),
    show_default=True,
    help="The archive: an OCI image layout in a tar.",
)
def command(out: Path) -> None:
    """Make the guardian's image from this Python and its packages, without Docker.

    For clusters with this machine's architecture, such as kind's nodes or a
    containerd at hand: `ctr -n k8s.io images import guardian.tar`. For a
    registry use the Dockerfile. Its name goes into fleet.yaml as
    `guardian: {image: ...}`; the lab does all this by itself.
    """
    from blackstart.lab.pyimage import IMAGE, guardian_image

    made = guardian_image()
    try:
        shutil.copyfile(made, out)
    except OSError as error:
        raise BlackstartError(f"{out}: cannot be written: {error.strerror}") from error
    click.echo(f"{out}: {IMAGE}, {out.stat().st_size >> 20} MiB")
