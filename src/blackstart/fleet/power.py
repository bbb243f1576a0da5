"""Runs the commands of fleet.yaml that take a region away and bring it back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from typing import IO

from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Power

_OUTPUT = 2000
_STATE_DEADLINE = 15.0


class PowerError(FleetError):
    """A power command failed or did not end in time; shows its output."""


def kill(power: Power) -> None:
    """Take the region away."""
    run(power.kill, power.deadline)


def freeze(power: Power) -> None:
    """Let it stand still. Raises PowerError where there is no command for that."""
    if power.freeze is None:
        raise PowerError("nothing says how to freeze it; add `power.freeze` to fleet.yaml")
    run(power.freeze, power.deadline)


def restore(power: Power) -> None:
    """Bring the region back."""
    run(power.restore, power.deadline)


def state(power: Power) -> str:
    """`up`, `dead` or `frozen`, in the command's own words."""
    return run(power.state, min(power.deadline, _STATE_DEADLINE)).strip()


def run(command: list[str], deadline: float) -> str:
    """What the command printed. At the deadline its whole process group is killed. Raises PowerError."""
    # Files, not pipes: what the command starts may keep a pipe open long after the command has ended.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            # A group of its own, but the caller's session: whoever ends that session ends this, too.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, process_group=0)
        except OSError as error:
            raise PowerError(f"cannot run {command}: {error.strerror}; correct `power` in fleet.yaml") from error
        try:
            code = process.wait(deadline)
        except subprocess.TimeoutExpired as error:
            raise PowerError(f"{command} did not end within {deadline:g} s: {_tail(err)}") from error
        finally:
            _end(process)
        if code:
            raise PowerError(f"{command} exited with {code}: {_tail(err) or _tail(out)}")
        out.seek(0)
        return out.read().decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    # Only when the command itself is still there: what it left behind on purpose may share its group.
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace").strip()[-_OUTPUT:]
