"""The lab's own record of what it did to a region, by the monotonic clock: benches compare measurements to it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Events:
    """Appends to events.ndjson: {"t": seconds of time.monotonic(), "event", "step", "region"}."""

    path: Path
    region: str

    def write(self, event: str, step: str, at: float | None = None) -> None:
        """Record that `step` of `event` is over now, or was `at`."""
        line = {"t": time.monotonic() if at is None else at, "event": event, "step": step, "region": self.region}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
