"""Named points at which a test can have a process die or stop: what a crash at any step would do.

Inactive unless BLACKSTART_FAILPOINT says `name=kill` (SIGKILL to itself) or
`name=stop` (SIGSTOP, until somebody sends SIGCONT); `name#2=kill` waits for
the second time. BLACKSTART_FAILPOINT_ROLE restricts it to one kind of process.
The file that BLACKSTART_FAILPOINT_LOG names gets a line `<name> <role> <pid>`
when the point strikes.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter

_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}

_POINTS = (
    # supervisor
    "lock.before",
    "lock.after",
    "guardians.before",
    "clusterrole.after",
    "guardians.after",
    "watchdog.before",
    "watchdog.after",
    "child.started",
    "child.announced",
    "child.told",
    "renew.before",
    "renew.after",
    "restore.armed",
    "restore.slip",
    "restore.namespaces",
    "restore.created",
    "undo.before",
    "undo.after",
    "guardians.end",
    "lease.released",
    "watchdog.end",
    "unlock.before",
    "unlock.after",
    # child
    "arm.before",
    "arm.after",
    "fence.before",
    "fence.after",
    "patch.before",
    "slip.before",
    "call.before",
    "apply.after",
    "applied.after",
    "confirm.after",
    "confirmed.after",
    "held",
    # child, recover, watchdog
    "revert.before",
    "revert.after",
    "reverted.after",
    "confirm_reverted.after",
    "confirm_reverted.recorded",
    # watchdog
    "watchdog.ready",
    "watchdog.strikes",
    "watchdog.killed",
    "watchdog.recovered",
)

_hits: Counter[str] = Counter()
_role = ["other"]


def names() -> tuple[str, ...]:
    """Every point, in about the order in which a run comes by."""
    return _POINTS


def role(name: str) -> None:
    """Say what kind of process this is: supervisor, child, watchdog, guardian, recover."""
    _role[0] = name


def failpoint(name: str) -> None:
    """Come by a point; nothing happens unless the environment asks for it."""
    wanted = os.environ.get("BLACKSTART_FAILPOINT")
    if not wanted or os.environ.get("BLACKSTART_FAILPOINT_ROLE", _role[0]) != _role[0]:
        return
    point, _, action = wanted.partition("=")
    point, _, number = point.partition("#")
    if point != name:
        return
    _hits[name] += 1
    if _hits[name] == int(number or 1):
        _strike(name, _SIGNALS[action])


def _strike(name: str, number: signal.Signals) -> None:
    if path := os.environ.get("BLACKSTART_FAILPOINT_LOG"):
        with contextlib.suppress(OSError), open(path, "a") as file:
            file.write(f"{name} {_role[0]} {os.getpid()}\n")
    os.kill(os.getpid(), number)
