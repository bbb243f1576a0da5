"""The sampler at work: 20 targets at 100 Hz each, half of them black holes, for ten seconds.

Prints how late samples were sent, how many were lost (must be none), CPU and
memory, next to a bare asyncio timer at the same rate in a process alike. The
servers run in a process of their own. Black holes are listening sockets whose
backlog is full: connections to them stay half open, as over a dead link.

    python bench/sampler.py [--seconds 10] [--targets 20] [--hertz 100]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import socket
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection

from kit.server import in_process, serve

from blackstart.evidence.records import Samples, Stream
from blackstart.fleet.model import Entry, Place
from blackstart.probes.sampler import Sampler, Target
from blackstart.probes.threads import prefer_this_thread

ANSWER = b'{"region": "us", "pod": "user-service-0", "version": "1"}'


@dataclass(frozen=True)
class Load:
    """What is asked of the sampler."""

    targets: int
    hertz: float
    seconds: float

    @property
    def interval(self) -> float:
        return 1 / self.hertz


@dataclass(frozen=True)
class Figures:
    """What one run came to. Milliseconds; CPU as a share of one core; MiB."""

    due: int
    lost: int
    failed: int
    late_p50: float
    late_p99: float
    late_max: float
    answer_p50: float
    cpu: float
    memory: float


def black_hole(stack: ExitStack) -> int:
    """A port on which connections neither open nor fail."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(4):
        filler = stack.enter_context(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
    return int(listener.getsockname()[1])


def sampler(load: Load, ports: list[int]) -> tuple[list[float], list[Samples]]:
    """Lateness of every sample sent, and all batches."""
    lateness: list[float] = []
    batches: list[Samples] = []
    targets = [
        Target(
            Stream(
                name=f"{i}",
                service="user-service",
                kind="entry",
                region=None,
                connection="fresh" if i % 4 < 2 else "kept",
                interval=load.interval,
                timeout=1.0,
            ),
            Entry(url=f"http://127.0.0.1:{port}/", place="here"),
            Place(),
        )
        for i, port in enumerate(ports)
    ]
    work = Sampler(targets, batches.append, lateness.append)

    async def main() -> None:
        asyncio.get_running_loop().call_later(load.seconds, work.stop)
        await work.run()

    asyncio.run(main())
    return lateness, batches


def timer(load: Load) -> list[float]:
    """Lateness of bare asyncio sleeps at the same rate."""
    lateness: list[float] = []

    async def lane(start: float) -> None:
        k = 0
        while (due := start + k * load.interval) < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            lateness.append(time.monotonic() - due)
            k += 1

    async def main() -> None:
        start = time.monotonic()
        await asyncio.gather(*(lane(start + load.interval * i / load.targets) for i in range(load.targets)))

    end = time.monotonic() + load.seconds
    asyncio.run(main())
    return lateness


def figures(lateness: list[float], batches: list[Samples], load: Load, before: float) -> Figures:
    """The figures of this process, which did nothing else since CPU time `before`."""
    dues = {(b.stream, due) for b in batches for due in b.due}
    rows = sum(len(b.due) for b in batches)
    expected = len(lateness) if not batches else max(len(lateness), _due_count(batches, load))
    answers = sorted(x for b in batches for x, ok in zip(b.latency, b.ok, strict=True) if ok)
    late = sorted(lateness)
    return Figures(
        due=expected,
        lost=expected - len(dues) + (rows - len(dues)) if batches else 0,
        failed=sum(not ok for b in batches for ok in b.ok),
        late_p50=1000 * late[len(late) // 2],
        late_p99=1000 * late[len(late) * 99 // 100],
        late_max=1000 * late[-1],
        answer_p50=1000 * answers[len(answers) // 2] if answers else float("nan"),
        cpu=(time.process_time() - before) / load.seconds,
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def _due_count(batches: list[Samples], load: Load) -> int:
    """How many samples were due between each stream's first and last: a gap is a loss."""
    ends: dict[str, list[float]] = {}
    for batch in batches:
        ends.setdefault(batch.stream, []).extend((batch.due[0], batch.due[-1]))
    return sum(round((max(e) - min(e)) / load.interval) + 1 for e in ends.values())


def measure(load: Load, ports: list[int], out: Connection) -> None:
    """Run in a process of its own: the sampler if there are ports, else the bare timer."""
    prefer_this_thread()
    before = time.process_time()
    lateness, batches = sampler(load, ports) if ports else (timer(load), [])
    out.send(asdict(figures(lateness, batches, load, before)))


def table(load: Load, bare: Figures, real: Figures) -> str:
    """Both side by side."""
    rows = [
        ("samples due", f"{bare.due}", f"{real.due}", ""),
        ("samples lost or doubled", "", f"{real.lost}", "must be 0"),
        ("samples failed", "", f"{real.failed}", "black holes"),
        *(
            (f"{name}", f"{a:.2f}", f"{b:.2f}", f"x {b / a:.1f}")
            for name, a, b in [
                ("sent late, p50 ms", bare.late_p50, real.late_p50),
                ("sent late, p99 ms", bare.late_p99, real.late_p99),
                ("sent late, max ms", bare.late_max, real.late_max),
                ("CPU, cores", bare.cpu, real.cpu),
                ("peak memory, MiB", bare.memory, real.memory),
            ]
        ),
        ("answer from due, p50 ms", "", f"{real.answer_p50:.2f}", ""),
    ]
    head = f"{load.targets} targets at {load.hertz:g} Hz, {load.targets // 2} of them black holes, {load.seconds:g} s"
    lines = [f"{'':28}{'bare timer':>12}{'sampler':>12}"]
    lines += [f"{name:28}{a:>12}{b:>12}  {note}" for name, a, b, note in rows]
    return "\n".join([head, *lines])


def main() -> None:
    """Print the table; exit 1 if a sample was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--hertz", type=float, default=100)
    parser.add_argument("--json", action="store_true", help="the figures as JSON, for comparing runs")
    args = parser.parse_args()
    load = Load(args.targets, args.hertz, args.seconds)
    with ExitStack() as stack:
        server, ready = in_process(serve, ANSWER)
        stack.callback(server.kill)
        port = ready.recv()
        ports = [black_hole(stack) if i % 2 else port for i in range(load.targets)]
        results = [Figures(**in_process(measure, load, p)[1].recv()) for p in ([], ports)]
    bare, real = results
    print(json.dumps({"bare": asdict(bare), "sampler": asdict(real)}) if args.json else table(load, bare, real))
    raise SystemExit(real.lost != 0)


if __name__ == "__main__":
    main()
