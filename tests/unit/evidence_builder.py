"""Synthetic evidence: a drill that passes, unless a test says what is different.

Times in a Scene are seconds after the start of the run. All defaults together
are two regions, `us` lost and `eu` taking over 1.2 s later, everything put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from blackstart.evidence.records import (
    Activity,
    Body,
    Check,
    End,
    FaultEvent,
    FaultState,
    Foretold,
    GuardTrip,
    Header,
    Interval,
    Line,
    Note,
    Outstanding,
    Phase,
    PhaseStart,
    Reading,
    Reason,
    Samples,
    Stream,
)
from blackstart.schema.drill import Drill
from blackstart.schema.forecast import Capacity, Expected, Forecast

START = 1000.0
WALL = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)

Answer = tuple[float, bool, str | None, str | None]
"""latency, ok, region, error"""

PHASES = {
    Phase.PREFLIGHT: 0.0,
    Phase.BASELINE: 2.0,
    Phase.INJECT: 12.0,
    Phase.HOLD: 14.0,
    Phase.UNDO: 34.0,
    Phase.FAILBACK: 37.0,
    Phase.SETTLE: 47.0,
}
END = 49.0
T0 = 13.0
UNDONE = 36.0

DRILL: dict[str, Any] = {
    "drill": "region-loss",
    "title": "Loss of a whole region",
    "experiment": "region-loss",
    "services": ["frontend"],
    "victims": ["primary"],
    "phases": {"baseline": "10s", "hold": "20s"},
    "steady": {"success": "99%", "window": "5s"},
    "probes": ["replicas"],
    "objectives": [
        {"kind": "rto", "service": "frontend", "objective": "15s"},
        {"kind": "failback", "service": "frontend", "objective": "30s"},
        {"kind": "availability", "service": "frontend", "objective": "90%"},
        {"kind": "completeness", "service": "frontend"},
        {"kind": "reading", "service": "frontend", "probe": "replicas", "bound": ">= 3"},
    ],
}

_CLUSTER = {"kubeconfig": "/etc/kube/{0}", "context": "{0}", "uid": "uid-{0}"}

FLEET: dict[str, Any] = {
    "fleet": "demo",
    "provider": "native",
    "regions": {
        r: {"cluster": {k: v.format(r) for k, v in _CLUSTER.items()}, "place": "outside"} for r in ("us", "eu")
    },
    "places": {"outside": {}},
    "services": {
        "user-service": {
            "tier": 0,
            "entry": {"url": "http://10.0.0.1:8080/", "place": "outside"},
            "workloads": {r: {"namespace": "demo", "deployment": "user-service"} for r in ("us", "eu")},
        }
    },
    "roles": {"primary": "us", "standby": "eu", "frontend": "user-service"},
}


def stream(name: str, interval: float = 0.05) -> Stream:
    """A stream by its name, as the runner names them: `user-service/entry/fresh`, `user-service/direct/eu`."""
    service, kind, last = name.split("/")
    direct = kind == "direct"
    return Stream(
        name=name,
        service=service,
        kind="direct" if direct else "entry",
        region=last if direct else None,
        connection="kept" if last == "kept" else "fresh",
        interval=interval,
        timeout=1.0,
    )


FRESH, KEPT, DIRECT_EU = "user-service/entry/fresh", "user-service/entry/kept", "user-service/direct/eu"


FORECAST = Forecast(
    by="the balancer's health checks",
    taken_out=Expected(low=1.5, high=2.0),
    recovered=Expected(low=1.5, high=2.0),
    failback=Expected(low=0.0, high=2.5),
    assumptions=["40 requests/s by the drill's own clients, timeout 1 s", "the balancer's cluster is user_service"],
    capacity=Capacity(clients=40, others=25, ready={"eu": 3}, per_pod=50),
)
"""By a balancer without retries; a scene has one only when it is told so."""


@dataclass(frozen=True)
class Scene:
    """What is to be seen. `bad`: intervals in which entries fail. `silent`: in which no sample was recorded.

    `home` serves before `t0` and from `back` on, `standby` in between.
    """

    interval: float = 0.05
    t0: tuple[float, float] = (T0, T0 + 0.02)
    outage: float = 1.2
    back: float = 38.0
    home: str = "us"
    standby: str = "eu"
    bad: Sequence[tuple[float, float]] = ()
    silent: Sequence[tuple[float, float]] = ()
    sick: Sequence[str] = ()
    answer: Callable[[str, float], Answer | None] | None = None
    drill: dict[str, Any] = field(default_factory=dict)
    fleet: dict[str, Any] = field(default_factory=dict)
    replicas: Callable[[float], float | Reason | None] = lambda t: 3.0
    how: str = "complete"
    phases: dict[Phase, float] = field(default_factory=lambda: dict(PHASES))
    end: float = END
    streams: Sequence[str] = (FRESH, KEPT, DIRECT_EU)
    forecast: Forecast | None = None

    def seen(self, name: str, t: float) -> Answer | None:
        """The answer to a request that was due at `t`; None: not recorded."""
        if self.answer is not None and (told := self.answer(name, t)) is not None:
            return told
        if "/direct/" in name:
            return (0.002, False, None, "503") if name in self.sick else (0.003, True, name.split("/")[2], None)
        if any(start <= t < end for start, end in self.silent):
            return None
        lost = self.t0[0] <= t < self.t0[0] + self.outage
        if lost or name in self.sick or any(start <= t < end for start, end in self.bad):
            return (1.0, False, None, "timeout")
        home = t < self.t0[0] or t >= self.back
        return (0.004, True, self.home if home else self.standby, None)

    def bodies(self) -> list[tuple[float, Body]]:
        """Everything recorded, with its time, in order."""
        found: list[tuple[float, Body]] = [(t, PhaseStart(phase=phase)) for phase, t in self.phases.items()]
        found += self._facts() + self._readings()
        if self.forecast:
            found.append((0.7, Foretold(services={"user-service": self.forecast})))
        for name in self.streams:
            found += self._samples(name)
        found.sort(key=lambda item: item[0])
        ended = (self.end, End.model_validate({"how": self.how}))
        return [(0.0, self.header()), *found, (self.end, Outstanding(faults=[])), ended]

    def lines(self) -> list[Line]:
        """The evidence."""
        return number(self.bodies())

    def header(self) -> Header:
        drill = Drill.model_validate({**DRILL, **self.drill})
        return Header(
            run_id="20261103-093000-region-loss",
            drill=drill.model_dump(mode="json"),
            fleet={**FLEET, **self.fleet},
            experiment={"title": "Loss of a region"},
            probes=[{"probe": "replicas", "kind": "kubernetes", "every": 1.0, "deadline": 2.0}],
            streams=[stream(name, self.interval) for name in self.streams],
            services={"frontend": "user-service"},
            victims=["us"],
            survivors=["eu"],
            versions={"blackstart": "0.1.0", "python": "3.13.0"},
            digests={"drill": "sha256:" + "ab" * 32, "fleet": "sha256:" + "cd" * 32},
            command=["blackstart", "run", "drills/region-loss.yaml", "--fleet", "fleet.yaml"],
            initiator="alice@example.org",
            monotonic=START,
            wall=WALL.isoformat(),
        )

    def _samples(self, name: str) -> list[tuple[float, Body]]:
        first, last = self.phases[Phase.BASELINE], self.phases.get(Phase.SETTLE, self.end)
        count = round((last - first) / self.interval)
        rows: list[tuple[float, Answer]] = []
        for index in range(count):
            due = first + index * self.interval
            if (answer := self.seen(name, due)) is not None:
                rows.append((due, answer))
        size = max(1, round(1 / self.interval))
        chunks = [rows[i : i + size] for i in range(0, len(rows), size)]
        return [(chunk[-1][0], _batch(name, chunk)) for chunk in chunks]

    def _readings(self) -> list[tuple[float, Body]]:
        found: list[tuple[float, Body]] = []
        for t in range(int(self.phases[Phase.BASELINE]), int(self.end)):
            value = self.replicas(float(t))
            if isinstance(value, Reason):
                reading = Reading(probe="replicas", key="eu", no_data=value, detail="connection refused")
            else:
                reading = Reading(probe="replicas", key="eu", value=value, age=0.4)
            found.append((t + 0.5, reading))
        return found

    def _facts(self) -> list[tuple[float, Body]]:
        proofs = {
            FaultState.CONFIRMED: "10.0.1.2:30080, 10.0.1.2:6443: open connection silent, fresh one times out",
            FaultState.CONFIRMED_REVERTED: "both paths answer; 3 of 3 pods ready, in new containers",
        }

        def fault(state: FaultState, t0: Interval | None = None) -> FaultEvent:
            detail = proofs.get(state, "")
            return FaultEvent(fault="f1", kind="kill", target=self.home, state=state, t0=t0, detail=detail)

        t0 = Interval(earliest=START + self.t0[0], latest=START + self.t0[1])
        found: list[tuple[float, Body]] = [
            (0.5, Check(name="preflight/identity/us", ok=True, detail="kube-system uid-us")),
            (0.6, Check(name="preflight/identity/eu", ok=True, detail="kube-system uid-eu")),
            (self.t0[0] - 0.1, fault(FaultState.ARMED)),
            (self.t0[0], fault(FaultState.APPLIED)),
            (self.t0[1] + 0.3, fault(FaultState.CONFIRMED, t0)),
            (self.t0[1] + 0.4, Activity(section="method", name="kill region", status="succeeded", injects=True)),
            (UNDONE - 1, fault(FaultState.REVERTED)),
            (UNDONE, fault(FaultState.CONFIRMED_REVERTED)),
            (self.end - 1, Check(name="completeness/user-service/us", ok=True, detail="3 of 3 pods ready")),
            (self.end - 1, Check(name="completeness/user-service/eu", ok=True, detail="3 of 3 pods ready")),
        ]
        return found


def _batch(name: str, rows: Sequence[tuple[float, Answer]]) -> Samples:
    return Samples(
        stream=name,
        due=[START + due for due, _ in rows],
        latency=[answer[0] for _, answer in rows],
        ok=[answer[1] for _, answer in rows],
        region=[answer[2] for _, answer in rows],
        error=[answer[3] for _, answer in rows],
    )


def number(bodies: Iterable[tuple[float, Body]]) -> list[Line]:
    """Lines of bodies, with times in seconds after the start of the run. The chain is not computed."""
    return [Line(n=n, prev="0" * 64, t=START + t, at=_wall(t), body=body) for n, (t, body) in enumerate(bodies)]


def _wall(t: float) -> str:
    return (WALL + timedelta(seconds=t)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without(lines: Iterable[Line], unwanted: Callable[[Body], bool]) -> list[Line]:
    """The lines but for some, numbered anew."""
    return [line.model_copy(update={"n": n}) for n, line in enumerate(x for x in lines if not unwanted(x.body))]


def with_body(lines: Iterable[Line], change: Callable[[Body], Body]) -> list[Line]:
    """The lines with each body changed."""
    return [line.model_copy(update={"body": change(line.body)}) for line in lines]


def adding(scene: Scene, *extra: tuple[float, Body]) -> list[Line]:
    """The lines of a scene with more of them, before the last two."""
    bodies = scene.bodies()
    middle = sorted([*bodies[1:-2], *extra], key=lambda item: item[0])
    return number([bodies[0], *middle, *bodies[-2:]])


def aborted(at: float, *, outage: float = 60.0, trip: bool = True, how: str = "aborted", **more: Any) -> list[Line]:
    """A run that a guard (or a signal) ended `at` seconds into the hold; everything was put back."""
    phases = {**PHASES, Phase.UNDO: 14.0 + at}
    scene = replace(Scene(outage=outage, phases=phases, how=how), **more)
    guard = GuardTrip(guard="survivors: eu", blind=False, detail="not at least 50% good for 5.0 s")
    note = Note(level="warning", text="SIGINT: undoing")
    return adding(scene, (14.0 + at, guard if trip else note))
