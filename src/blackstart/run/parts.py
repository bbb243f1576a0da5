"""What a run is made of, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from blackstart.evidence.records import Addresses, End
from blackstart.evidence.undo import Entry
from blackstart.procedures.base import Work
from blackstart.run.census import Census
from blackstart.run.crossings import Read as ReadCrossings
from blackstart.run.gateways import Door
from blackstart.run.ledger import Keep, no_ledger
from blackstart.run.looks import Look
from blackstart.run.measuring import Read, Sample
from blackstart.run.shield import Shielding
from blackstart.schema.forecast import Forecast


@dataclass(frozen=True)
class Parts:
    """What a run is made of; tests put fakes in these places.

    preflight: what must be true before anything is touched. slate: what an
    earlier drill, or this one, must not have left behind. census: counts what
    each region of each service has. doors: the gateways that services' clients
    are said to come in by. outstanding: ids of faults of this run
    that are not put back. latest: where each of its faults stands, by the undo
    store. foretell: what is expected of each service, by configuration. alive:
    lets other processes see that the run goes on. shielding: what puts things
    back when the supervisor cannot. addresses: whose they are now. crossings:
    who has tried to get through the run's faults. ledger: writes numbered
    writes and reads them back. work: where the steps of a procedure are done;
    away: what is told of stores whose primary this fleet has away from home.
    """

    sample: Sample
    read: Read
    preflight: Mapping[str, Look]
    slate: Mapping[str, Look]
    census: Mapping[str, Census]
    injector: Sequence[str]
    job: Mapping[str, Any]
    recover: Sequence[str]
    outstanding: Callable[[], list[str]]
    doors: Mapping[str, Door] = field(default_factory=dict)
    latest: Callable[[], Sequence[Entry]] = list
    foretell: Callable[[], dict[str, Forecast]] = dict
    alive: Callable[[], AbstractContextManager[None]] = nullcontext
    shielding: Shielding = field(default_factory=Shielding)
    addresses: Callable[[], Addresses] = lambda: Addresses(known=[])
    crossings: ReadCrossings = list
    ledger: Keep = no_ledger
    work: Work | None = None
    away: Callable[[], Sequence[str]] = list


@dataclass(frozen=True)
class Outcome:
    """How a run ended. crash: what went wrong in the supervisor itself. broken: the evidence is cut short."""

    end: End
    outstanding: list[str]
    crash: str | None
    broken: bool
