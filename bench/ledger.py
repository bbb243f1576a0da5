"""The ledger at work: writes/s of its writers against a bare client's, to one server, in one run.

Both have the same number of writers, one write in flight each, no rest in
between, a connection for each write, and run one after the other in a process
alike; the bare client writes nothing down. Then the ledger once more with an
fsync that does nothing: what the disk costs. Last the checker, over a million
writes (made up; half of a percent lost). Exit code 1 when that takes more than
two seconds.

    python bench/ledger.py [--seconds 5] [--writers 20] [--writes 1000000]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from pathlib import Path

from kit.server import in_process, serve

from blackstart.evidence.written import Writes
from blackstart.fleet.model import Place
from blackstart.fleet.web import Session, post
from blackstart.ledger import ids, writers
from blackstart.ledger.book import LEDGER, Book
from blackstart.ledger.checker import check
from blackstart.ledger.records import Write, read
from blackstart.ledger.writers import Job, Writers

RUN = "20260101-000000-abcd"
ANSWER = b'{"committed": true, "region": "us", "pod": "order-service-0"}'
LIMIT = 2.0


def bare(url: str, count: int, seconds: float, out: Connection) -> None:
    """As many clients that send the same and keep nothing; sends writes/s."""

    async def write(writer: int, session: Session, end: float) -> int:
        for number in itertools.count(1):
            if time.monotonic() >= end:
                return number - 1
            name = ids.make(RUN, writer, number)
            await session.ask(post(url, json.dumps({"id": name}).encode(), (("Idempotency-Key", name),)))
        return 0

    async def main() -> float:
        began = time.monotonic()
        async with Session(Place(), keep=False) as session:
            done = await asyncio.gather(*(write(w, session, began + seconds) for w in range(count)))
        return sum(done) / (time.monotonic() - began)

    out.send(asyncio.run(main()))


def ledger(url: str, count: int, seconds: float, durable: bool, folder: Path, out: Connection) -> None:
    """The ledger's writers; sends writes/s, and milliseconds from intent to send (median, 99 %)."""
    if not durable:
        writers.Book = lambda path, run: Book(path, run, lambda fd: None)  # type: ignore[assignment,attr-defined,misc]
    job = Job(
        service="s",
        run=RUN,
        urls={"": url},
        place=Place(),
        writers=count,
        interval=1e-6,
        timeout=5.0,
        path=folder / LEDGER,
    )
    told: list[Writes] = []

    async def later() -> AsyncIterator[str]:
        await asyncio.sleep(seconds)
        yield "stop"

    async def main() -> float:
        work, began = Writers(job, told.append), time.monotonic()
        await asyncio.gather(work.obey(later()), work.run())
        return time.monotonic() - began

    took = asyncio.run(main())
    out.send((sum(w.ok for w in told) / took, waits(job.path)))


def waits(path: Path) -> tuple[float, float]:
    """Milliseconds between an intent and its send: median and 99 %."""
    meant: dict[str, float] = {}
    found = []
    for line in path.read_text().splitlines()[1:]:
        body = json.loads(line)
        if "intent" in body:
            meant[body["intent"]] = body["t"]
        else:
            found.append(1000 * (body["sent"] - meant[body["outcome"]]))
    found.sort()
    return found[len(found) // 2], found[len(found) * 99 // 100]


def checker(count: int) -> tuple[float, float, int]:
    """Seconds of CPU of one check of `count` writes, without and with order; how many it found lost."""
    writes = [
        Write(ids.make(RUN, i % 20, i // 20 + 1), i % 20, i // 20 + 1, "ok", float(i), i + 0.5) for i in range(count)
    ]
    survivors = [w.id for w in writes if w.number % 200]
    times = []
    for ordered in (False, True):
        began = time.process_time()
        found = check(writes, survivors, ordered=ordered)
        times.append(time.process_time() - began)
    return times[0], times[1], len(found.lost)


def reading(folder: Path) -> str:
    """How long it takes to read a ledger back."""
    began = time.perf_counter()
    writes = read(folder / LEDGER, RUN)
    return f"{1e6 * (time.perf_counter() - began) / max(1, len(writes)):.1f} us a write ({len(writes)} writes)"


def main() -> None:
    """Print the figures; exit 1 if the checker is too slow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--writers", type=int, default=20)
    parser.add_argument("--writes", type=int, default=1_000_000)
    args = parser.parse_args()
    server, ready = in_process(serve, ANSWER)
    url = f"http://127.0.0.1:{ready.recv()}/orders"
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        plain = in_process(bare, url, args.writers, args.seconds)[1].recv()
        lax, _ = in_process(ledger, url, args.writers, args.seconds, False, Path(one))[1].recv()
        real, (median, late) = in_process(ledger, url, args.writers, args.seconds, True, Path(two))[1].recv()
        server.kill()
        print(f"{args.writers} writers, {args.seconds:g} s each, no rest between writes")
        print(f"bare client            {plain:8.0f} writes/s")
        print(f"ledger without fsync   {lax:8.0f} writes/s  x {lax / plain:.2f}")
        print(f"ledger                 {real:8.0f} writes/s  x {real / plain:.2f}")
        print(f"intent durable after   {median:8.2f} ms p50, {late:.2f} ms p99")
        print(f"reading it back        {reading(Path(two))}")
    unordered, ordered, lost = checker(args.writes)
    print(
        f"checker, {args.writes} writes  {unordered:.2f} s, in order {ordered:.2f} s; {lost} lost; limit {LIMIT:g} s"
    )
    raise SystemExit(max(unordered, ordered) > LIMIT)


if __name__ == "__main__":
    main()
