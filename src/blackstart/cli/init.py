"""`blackstart init`: a working copy of the shipped content."""

from __future__ import annotations

from pathlib import Path

import click

from blackstart.schema.content import Content, content_dir
from blackstart.schema.errors import BlackstartError, shown

_FOLDERS: tuple[Content, ...] = ("drills", "experiments", "probes")
_TEMPLATE = Path(__file__).parent / "template"


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def command(directory: Path) -> None:
    """Copy the shipped drills, experiments and probes to DIRECTORY.

    Adds an example of fleet.yaml to fill in, and a README. Never overwrites a file.
    """
    files = {directory / name: source for name, source in _sources().items()}
    if present := [shown(file) for file in files if file.exists()]:
        raise BlackstartError(f"{present[0]}: is there already ({len(present)} files are); choose another folder")
    _copy(files)
    click.echo(f"{len(files)} files written to {shown(directory)}")
    click.echo(f"Next: fill in {shown(directory / 'fleet.yaml')}, then run: blackstart lint {shown(directory)}")


def _sources() -> dict[str, Path]:
    """Every file of a working copy: its path there, and where it comes from."""
    content = {f"{name}/{file.name}": file for name in _FOLDERS for file in sorted(content_dir(name).glob("*.yaml"))}
    return {**content, **{file.name: file for file in sorted(_TEMPLATE.iterdir()) if file.is_file()}}


def _copy(files: dict[Path, Path]) -> None:
    for file, source in files.items():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # "x": a file that appeared since the check is not overwritten either.
            with file.open("x", encoding="utf-8") as out:
                out.write(source.read_text("utf-8"))
        except OSError as error:
            raise BlackstartError(f"{shown(file)}: cannot be written: {error.strerror}") from None
