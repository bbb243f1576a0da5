"""A drill without a fleet: clients are a function of time, the injector is a script, the fault is a file."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from blackstart.evidence.reader import EVIDENCE, read
from blackstart.evidence.records import Line, Samples, Stream
from blackstart.fleet.model import Cluster, Entry, Fleet, Place, Region, Service, Workload
from blackstart.fleet.stores import Member, Records, Store, Writes
from blackstart.plan.resolve import Plan
from blackstart.run.census import Capacity
from blackstart.run.header import make_header
from blackstart.run.parts import Outcome, Parts
from blackstart.run.stop import on_signals
from blackstart.run.streams import client_streams
from blackstart.run.supervisor import Supervisor
from blackstart.schema.drill import Drill

RUN = "20260101-000000-region-loss-abcd"
SCRIPT = Path(__file__).with_name("fake_injector.py")


def a_fleet() -> Fleet:
    """Two regions and one service on places that do not exist; nothing here is ever connected to."""
    entry = Entry(url="http://127.0.0.1:1/", place="here")
    region = Region(cluster=Cluster(kubeconfig=Path("/nowhere"), context="x", uid="u"), place="here")
    workload = Workload(namespace="demo", deployment="user-service")
    return Fleet(
        fleet="fake",
        regions={"us": region, "eu": region},
        places={"here": Place()},
        services={
            "user-service": Service(
                tier=0,
                entry=entry,
                direct={"us": entry, "eu": entry},
                workloads={"us": workload, "eu": workload},
                writes=Writes(url="http://127.0.0.1:1/orders", place="here"),
                stores=["db"],
            )
        },
        stores={
            "db": Store(
                kind="redis",
                members={region: Member(address="127.0.0.1:1", place="here") for region in ("us", "eu")},
                primary="us",
                records={"orders": Records(ids="order:*", ordered=True)},
            )
        },
        roles={"primary": "us", "frontend": "user-service"},
    )


def a_drill(**changes: Any) -> Drill:
    """A drill of a few seconds."""
    base: dict[str, Any] = {
        "drill": "region-loss",
        "title": "Region loss",
        "experiment": "region-loss",
        "services": ["frontend"],
        "victims": ["primary"],
        "client": {"interval": 0.02, "timeout": 0.1},
        "steady": {"success": 0.99, "window": 0.3},
        "phases": {"baseline": 0.3, "inject": 3.0, "hold": 0.3, "undo": 3.0, "failback": 3.0, "settle": 0.0},
        "objectives": [{"kind": "rto", "service": "frontend", "objective": 30.0}],
        "guards": [{"watch": "survivors", "sustained": 0.4, "blind": 1.0}],
    }
    return Drill.model_validate({**base, **changes})


def a_plan(**changes: Any) -> Plan:
    """The plan of that drill on that fleet."""
    return Plan(
        drill=a_drill(**changes),
        fleet=a_fleet(),
        experiment={"title": "fake", "method": []},
        probes=(),
        services={"frontend": "user-service"},
        victims=("us",),
        survivors=("eu",),
        digests={"plan": "0"},
        drill_file=Path("drills/region-loss.yaml"),
        experiment_file=Path("experiments/region-loss.yaml"),
    )


@dataclass
class World:
    """What the fault changes: the file `down` says that region us is away."""

    folder: Path
    eu_sick: Callable[[], bool] = lambda: False
    silent: Callable[[], bool] = lambda: False

    @property
    def down(self) -> Path:
        return self.folder / "down"

    @property
    def undo(self) -> Path:
        return self.folder / "undo"

    def answer(self, stream: Stream, due: float) -> str | None:
        """Who answered a request of that time; None for nobody."""
        up = [r for r, sick in (("us", due >= self._down_since()), ("eu", self.eu_sick())) if not sick]
        if stream.kind == "direct":
            return stream.region if stream.region in up else None
        return up[0] if up else None

    def _down_since(self) -> float:
        """On the clock of the samples: this loop may come late, and what it sends late was due before."""
        try:
            return time.monotonic() - (time.time() - self.down.stat().st_mtime)
        except FileNotFoundError:
            return math.inf

    @asynccontextmanager
    async def sample(
        self, streams: Mapping[str, tuple[Stream, Entry]], emit: Callable[[Samples], None]
    ) -> AsyncIterator[None]:
        """A client that never misses a beat."""
        tasks = [asyncio.create_task(self._sample([stream for stream, _ in streams.values()], emit))]
        yield
        tasks[0].cancel()

    async def _sample(self, streams: list[Stream], emit: Callable[[Samples], None]) -> None:
        due = {stream.name: time.monotonic() for stream in streams}
        while True:
            await asyncio.sleep(0.05)
            for stream in [] if self.silent() else streams:
                dues = []
                while due[stream.name] < time.monotonic():
                    dues.append(due[stream.name])
                    due[stream.name] += stream.interval
                for region, found in groupby(dues, partial(self.answer, stream)):
                    emit(batch(stream.name, list(found), region))


def batch(stream: str, dues: list[float], region: str | None) -> Samples:
    """Samples that all went the same way."""
    n = len(dues)
    error = None if region else "refused"
    return Samples(
        stream=stream, due=dues, latency=[0.001] * n, ok=[bool(region)] * n, region=[region] * n, error=[error] * n
    )


def parts(world: World, mode: str = "well", recover: str = "recover", **changes: Any) -> Parts:
    """Fakes that succeed; `mode` and `recover` say how the scripts behave."""
    made = Parts(
        sample=world.sample,
        read=_no_probe,
        preflight={},
        slate={},
        census={"user-service/us": lambda: Capacity(3, 3), "user-service/eu": lambda: Capacity(3, 3)},
        injector=[sys.executable, str(SCRIPT), mode, str(world.folder)],
        job={"run_id": RUN},
        recover=[sys.executable, str(SCRIPT), recover, str(world.folder)],
        outstanding=lambda: ["f1"] if world.undo.exists() else [],
    )
    return replace(made, **changes)


async def _no_probe(*_: object) -> list[Any]:
    return []


async def drill(
    folder: Path, made: Parts, listener: Callable[[float, Any], None] | None = None, **changes: Any
) -> tuple[Outcome, list[Line]]:
    """Run it; what came of it, and the evidence."""
    plan = a_plan(**changes)
    streams = client_streams(plan.drill.client, plan.fleet, plan.services)
    header = make_header(plan, RUN, [s for s, _ in streams.values()], ["blackstart", "run"], datetime.now(UTC))
    supervisor = Supervisor(plan, header, streams, folder, made)
    if listener:
        supervisor.listen(listener)
    with on_signals(supervisor.signalled):
        outcome = await supervisor.run()
    return outcome, list(read(folder / EVIDENCE))
