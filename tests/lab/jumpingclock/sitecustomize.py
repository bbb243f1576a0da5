"""In PYTHONPATH: the wall clock of blackstart in every process of a run jumps by two hours, to and fro.

The lab must not set the machine's clock, so it is what the program reads that
lies: `datetime.now` in the modules that ask the time, and `time.time`. Each
process that lied is noted in the folder that JUMPING_CLOCK_LOG names.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

ASKING = (
    "blackstart.evidence.undo",
    "blackstart.evidence.writer",
    "blackstart.fleet.lease",
    "blackstart.cli.run",
    "blackstart.activities.session",
    "blackstart.run.display",
    "blackstart.probes.admin",
)
_EVERY = 2
_JUMPS = (-7200, 0, 7200)
_true = time.time


def _lie() -> float:
    return _JUMPS[int(time.monotonic()) // _EVERY % len(_JUMPS)]


class Jumping(datetime):
    """Its `now` is two hours off, or not, by turns."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        found = datetime.now(tz) + timedelta(seconds=_lie())
        _note()
        return cls.fromtimestamp(found.timestamp(), tz)


def _note() -> None:
    log = os.environ.get("JUMPING_CLOCK_LOG")
    if log:
        Path(log, str(os.getpid())).write_text("\n".join(sys.orig_argv))


if "blackstart" in " ".join(sys.orig_argv):
    time.time = lambda: _true() + _lie()
    for _name in ASKING:
        setattr(importlib.import_module(_name), "datetime", Jumping)  # noqa: B010 - no module of ours says so
