"""What the watchdog is told: whom to watch, and what to give back."""

from __future__ import annotations

from pathlib import Path

from blackstart.fleet.model import Cluster
from blackstart.schema.base import Model, Seconds


class Tenure(Model):
    """A Lease that the run may hold, in some cluster. nodes: its guardian has a ClusterRole, which goes with it."""

    cluster: Cluster
    namespace: str
    name: str
    nodes: bool = False


class Job(Model):
    """Whom to watch.

    ttl: seconds of silence that mean death. deadline: seconds to put the run
    back. leases: what the run may hold, to be given back when all is as it
    was; otherwise they are left to guardians, and to the next run.
    """

    run: str
    state: Path
    fleet: Path
    ttl: Seconds
    deadline: Seconds = 600.0
    leases: list[Tenure] = []
