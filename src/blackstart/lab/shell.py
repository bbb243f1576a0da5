"""Commands that run to their end, and waits: both with a deadline."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Sequence

from blackstart.schema.errors import BlackstartError


class LabError(BlackstartError):
    """The lab cannot do what was asked; the text says where, why, and what to do next."""


def run(argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> str:
    """What the command prints. Raises LabError with the command, its exit code and its errors."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout)
    except FileNotFoundError:
        raise LabError(f"{argv[0]}: no such command; see `blackstart lab doctor`") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"`{shlex.join(argv)}` took longer than {timeout:g} s") from None
    if done.returncode:
        raise LabError(f"`{shlex.join(argv)}` ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def wait_for[T](what: str, look: Callable[[], T | None], timeout: float, *, every: float = 0.05, hint: str = "") -> T:
    """Look again and again until there is an answer other than None. Raises LabError after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() > end:
            raise LabError(f"{what}: not after {timeout:g} s" + (f"; {hint}" if hint else ""))
        time.sleep(every)
