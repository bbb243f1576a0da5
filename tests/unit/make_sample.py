"""Writes reports/sample: a drill made up for the manual. `python tests/unit/make_sample.py reports/sample`."""

from __future__ import annotations

import random
import shutil
import sys
from datetime import timedelta
from pathlib import Path

from evidence_builder import FORECAST, START, T0, WALL, Answer, Scene

from blackstart.evidence.reader import EVIDENCE, read
from blackstart.evidence.writer import Writer
from blackstart.judge import judge
from blackstart.run.publish import publish

NOTE = """# A sample report
Open `report.html`. It is what `blackstart run` writes for a drill that took region `us` away from under
`user-service`; the evidence behind it was made up by `tests/unit/make_sample.py`, not measured.
`blackstart judge reports/sample` judges it again, `blackstart verify reports/sample` proves that nobody changed it.
"""


def lively(seed: int) -> Scene:
    """A failover with the ragged edges of a real one: half the requests time out, then some fail fast."""
    dice = random.Random(seed)  # noqa: S311 - a sample, not a secret

    def answer(name: str, t: float) -> Answer | None:
        latency = max(0.0015, dice.lognormvariate(-5.6, 0.35))
        if "/direct/" in name:
            return (latency, True, name.rpartition("/")[2], None)
        if t < T0:
            return (latency, True, "us", None)
        if t < T0 + 1.0:
            return (1.0, False, None, "timeout") if dice.random() < 0.5 else (0.01, False, None, "503")
        if t < T0 + 1.6:
            return (latency * 4, True, "eu", None) if dice.random() < 0.6 else (0.01, False, None, "503")
        if t < 38:
            return (latency * 1.6, True, "eu", None)
        return (latency, True, dice.choice(["us", "eu"]) if t < 39.2 else "us", None)

    return Scene(answer=answer, forecast=FORECAST)


def main(folder: Path) -> None:
    """Write the folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    now = 0.0
    with Writer(folder / EVIDENCE, wall=lambda: WALL + timedelta(seconds=now)) as writer:
        for t, body in lively(7).bodies():
            now = t
            writer.write(body, START + t)
    lines = list(read(folder / EVIDENCE))
    (folder / "README.md").write_text(NOTE)
    publish(folder, judge(lines), lines)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
