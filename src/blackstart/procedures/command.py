"""A program of the operator's own, run as it stands: no shell, a small environment, its output kept short."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from typing import IO

from blackstart.fleet.model import Fleet
from blackstart.procedures.base import By, Deadline, Kind, Late, NotExecuted, StepError, Work
from blackstart.procedures.secrets import hide
from blackstart.schema.procedure import Step

OUTPUT = 2000
"""Characters of a command's output that go into the evidence: the last ones."""

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER")
_LOOK = 0.05


class Command:
    """Exit code 0 is done."""

    kind = "command"
    by: By = "machine"

    def run(self, work: Work, step: Step, deadline: Deadline) -> str:
        """At the deadline, and when the run ends early, its process group is killed."""
        argv = step.command or []
        # Files, not pipes: what the command leaves running may keep a pipe open for long.
        with tempfile.TemporaryFile() as out:
            try:
                process = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=_environment(work), process_group=0
                )
            except OSError as error:
                raise StepError(f"`{shlex.join(argv)}` cannot be run: {error.strerror}; correct `command`") from error
            try:
                code = _wait(process, work, deadline, argv)
            finally:
                _end(process)
            said = hide(work.fleet, _tail(out))
        if code:
            raise StepError(f"`{shlex.join(argv)}` ended with {code}: {said or 'it printed nothing'}")
        return f"`{shlex.join(argv)}` ended with 0" + (f": {said}" if said else "")

    def needs(self, fleet: Fleet, step: Step) -> list[str]:
        """The program."""
        return [f"to run `{shlex.join(step.command or [])}`"]


def _wait(process: subprocess.Popen[bytes], work: Work, deadline: Deadline, argv: list[str]) -> int:
    while (code := process.poll()) is None:
        if work.stopped():
            raise NotExecuted(f"the run ended early; `{shlex.join(argv)}` was killed")
        if deadline.left <= 0:
            raise Late(f"`{shlex.join(argv)}` did not end within {deadline.seconds:g} s and was killed")
        time.sleep(_LOOK)
    return code


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment(work: Work) -> dict[str, str]:
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    return {**kept, "BLACKSTART_RUN": work.run, "BLACKSTART_FLEET": str(work.fleet.source or "")}


def _tail(out: IO[bytes]) -> str:
    out.seek(0, os.SEEK_END)
    out.seek(max(0, out.tell() - 4 * OUTPUT))
    return " ".join(out.read().decode(errors="replace").split())[-OUTPUT:]


STEP: Kind = Command()
