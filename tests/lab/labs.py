"""The labs of a session, one after the other: plain, with a mesh and stores, with all that sees and saves.

A lab takes seconds to start, so each is started once.
"""

from __future__ import annotations

from pathlib import Path

from blackstart.lab.paths import LabPaths

PATHS = LabPaths(Path(__file__).resolve().parents[2] / ".blackstart/lab")
REGIONS = ("us", "eu")
MESH = {"mesh": True, "data": True}
VIEWS = {"data": True, "backup": True, "global_metrics": True}
