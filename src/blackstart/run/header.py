"""The first record of a run: everything needed to repeat and to judge it."""

from __future__ import annotations

import getpass
import os
import platform
import secrets
import socket
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib.metadata import version

from blackstart.evidence.records import Header, Stream
from blackstart.plan.resolve import Plan

_PACKAGES = ("blackstart", "chaostoolkit", "chaostoolkit-lib", "chaostoolkit-kubernetes", "kubernetes")
_NAME_LENGTH = 40
"""Characters of the drill's name in a run id, which must fit into a Kubernetes label (63)."""


def new_run_id(drill: str, now: datetime) -> str:
    """`<UTC yyyymmdd-hhmmss>-<drill>-<4 hex digits>`."""
    return f"{now:%Y%m%d-%H%M%S}-{drill[:_NAME_LENGTH].rstrip('-')}-{secrets.token_hex(2)}"


def make_header(plan: Plan, run_id: str, streams: Iterable[Stream], command: Sequence[str], now: datetime) -> Header:
    """The header of a run that begins `now` (UTC). Secrets are in the plan as references only."""
    return Header(
        run_id=run_id,
        drill=plan.drill.model_dump(mode="json"),
        fleet=plan.fleet.model_dump(mode="json"),
        experiment=plan.experiment,
        probes=[probe.model_dump(mode="json") for probe in plan.probes],
        streams=list(streams),
        services=plan.services,
        victims=list(plan.victims),
        survivors=list(plan.survivors),
        versions={
            **{package: version(package) for package in _PACKAGES},
            "python": platform.python_version(),
            "kernel": platform.release(),
        },
        digests=plan.digests,
        command=list(command),
        initiator=_initiator(),
        monotonic=time.monotonic(),
        wall=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


def _initiator() -> str:
    """The person at the keyboard, also behind sudo, and the machine."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
