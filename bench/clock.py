"""How far the drill's clock is from what really happened: T0 and recovery (goal: 10 ms at 100 Hz).

Real drills of region-loss on the lab. The lab writes its own monotonic record
of each kill, by a stream of echo requests that knows nothing of the drill.
Clients ask a stand-in for the edge, so that the moment of recovery is known
too: it fails from the kill on, and at a chosen moment serves from `eu`.
`python bench/clock.py [DRILLS]`, 20 by default, about 30 s each.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from blackstart.fleet.model import Fleet, Place
from blackstart.fleet.places import inside
from blackstart.lab import native
from blackstart.lab.paths import LabPaths
from blackstart.lab.toolchain import NATIVE, build
from blackstart.schema.result import Result

OUTAGE = 2.0
"""Seconds from the kill until the stand-in serves from the other region."""

PORT = 18077
SETTINGS = {
    "client.interval": "10ms",
    "steady.window": "2s",
    "phases.baseline": "3s",
    "phases.hold": "8s",
    "phases.settle": "0s",
    "probes": "[]",
    "guards": "[]",
    "objectives": "[{kind: rto, service: frontend, objective: 5s}]",
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # The default of 5 drops connects at 100 Hz.
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up resets its connection; that is no news."""


class Edge:
    """Answers as a global load balancer would, and keeps its own record of when it moved."""

    def __init__(self, events: Path, place: Place) -> None:
        self._events, self._seen = events, 0
        self.region: str | None = "us"
        self.moved = 0.0
        edge = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                region = edge.region
                body = json.dumps({"region": region, "pod": "bench", "version": "1"}).encode()
                self.send_response(200 if region else 503)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        with inside(place):
            self.server = _Server(("127.0.0.1", PORT), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        self._seen = len(self._lines())
        while True:
            for line in self._lines()[self._seen :]:
                self._seen += 1
                match json.loads(line):
                    case {"event": "kill", "step": "silenced"}:
                        self.region = None
                        time.sleep(OUTAGE)
                        self.region, self.moved = "eu", time.monotonic()
                    case {"event": "restore", "step": "ready"}:
                        self.region = "us"
            time.sleep(0.002)

    def _lines(self) -> list[str]:
        return self._events.read_text().splitlines() if self._events.exists() else []


def main() -> None:
    drills = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    build(NATIVE, lambda _: None)
    paths = LabPaths(Path(".blackstart/lab").absolute())
    ours = not paths.fleet.exists()
    fleet = native.up(["us", "eu"], paths, lambda _: None)
    try:
        edge = Edge(paths.root / "events.ndjson", fleet.places["observer"])
        with tempfile.TemporaryDirectory(prefix="blackstart-bench-") as folder:
            rows = [_drill(n, Path(folder), fleet, paths, edge) for n in range(drills)]
    finally:
        if ours:
            native.down(paths, lambda _: None)
    print(f"{drills} drills, clients and control probe at 100 Hz; milliseconds")
    for name, column in zip(
        ("T0 interval, width", "truth outside of it", "T0 error, its middle", "recovery error"),
        zip(*rows, strict=True),
        strict=True,
    ):
        ms = sorted(1000 * value for value in column)
        print(
            f"  {name:22} median {statistics.median(ms):6.1f}   p95 {ms[int(0.95 * (len(ms) - 1))]:6.1f}"
            f"   max {ms[-1]:6.1f}   goal / median {10 / max(statistics.median(ms), 0.001):5.1f}"
        )


def _drill(n: int, folder: Path, fleet: Fleet, paths: LabPaths, edge: Edge) -> tuple[float, float, float, float]:
    """T0's width, how far the truth lies outside it and from its middle, and the recovery's error, seconds."""
    document = yaml.safe_load((fleet.source or Path()).read_text())
    document["services"]["user-service"]["entry"]["url"] = f"http://127.0.0.1:{PORT}/"
    file = folder / "fleet.yaml"
    file.write_text(yaml.safe_dump(document))
    out = folder / str(n)
    argv = [sys.executable, "-m", "blackstart", "run", "region-loss", "--fleet", str(file), "--out", str(out)]
    for key, value in SETTINGS.items():
        argv += ["--set", f"{key}={value}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    (result_file,) = out.glob("*/result.json")
    clock = Result.model_validate_json(result_file.read_text()).clock["user-service"]
    if clock.t0 is None or clock.recovered_s is None:
        raise SystemExit(f"drill {n} measured nothing:\n{done.stdout}{done.stderr}")
    answered, silent = _truth(paths.root / "events.ndjson")
    outside = max(0.0, clock.t0.earliest - silent, answered - clock.t0.latest)
    recovered = clock.t0.earliest + clock.recovered_s
    print(
        f"  drill {n}: T0 known to {1000 * (clock.t0.latest - clock.t0.earliest):.1f} ms, "
        f"recovery off by {1000 * (recovered - edge.moved):+.1f} ms",
        flush=True,
    )
    middle = abs(clock.t0.earliest + clock.t0.latest - answered - silent) / 2
    return clock.t0.latest - clock.t0.earliest, outside, middle, abs(recovered - edge.moved)


def _truth(events: Path) -> tuple[float, float]:
    """The lab's record of the last kill: the last echo that was answered, the first that was not."""
    steps = {e["step"]: e["t"] for e in map(json.loads, events.read_text().splitlines()) if e["event"] == "kill"}
    return steps["last-answer"], steps["first-silence"]


if __name__ == "__main__":
    main()
