"""Real Prometheus servers and Thanos parts on loopback, each in a folder of its own, gone with the block."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loopback import free_address

Process = subprocess.Popen[bytes]


def counting(_: str) -> bytes:
    body = f"# TYPE n_total counter\nn_total {int(time.monotonic() * 100)}\n".encode()
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )


@contextmanager
def started(folder: Path, name: str, command: Sequence[str]) -> Iterator[Process]:
    """A process that is killed with the block."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(list(command), stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def running(folder: Path, jobs: list[dict[str, Any]], **external: str) -> Iterator[tuple[str, Process]]:
    """A Prometheus, which takes up the data that another one left in the folder."""
    folder.mkdir(exist_ok=True)
    every = {"scrape_interval": "1s", "scrape_timeout": "1s", "external_labels": external}
    (folder / "p.yml").write_text(json.dumps({"global": every, "scrape_configs": jobs}))
    address = free_address()
    command = ["prometheus", f"--config.file={folder}/p.yml", f"--storage.tsdb.path={folder}/data"]
    with started(folder, "prometheus", [*command, f"--web.listen-address={address}"]) as process:
        yield address, process
