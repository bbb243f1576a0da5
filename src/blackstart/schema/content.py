"""Where the content folders are: at the top of a source checkout, inside an installed package."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Content = Literal["drills", "experiments", "probes", "lab"]

_PACKAGE = Path(__file__).resolve().parents[1]


def content_dir(name: Content) -> Path:
    """The folder `name` as shipped. Raises FileNotFoundError for a broken installation."""
    for folder in (_PACKAGE / "content" / name, _PACKAGE.parents[1] / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the content folder {name!r} is not in this installation of blackstart")
