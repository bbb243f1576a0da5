"""Reads fleet.yaml."""

from __future__ import annotations

from pathlib import Path

from blackstart.fleet.model import Fleet
from blackstart.schema.errors import ContentError, Finding, Place, shown
from blackstart.schema.source import load


def load_fleet(path: Path) -> Fleet:
    """The fleet at `path`, with `source` set to it. Raises ContentError."""
    if not path.exists():
        message = "no such file; `blackstart lab up` writes the lab's, `blackstart init DIR` an example to fill in"
        raise ContentError([Finding(Place(shown(path)), (), message)])
    return load(path, Fleet).model_copy(update={"source": path.absolute()})
