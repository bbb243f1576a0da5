"""The session's one lab.

`lab` brings it up where the command line would (`.blackstart/lab` here), or
finds it there. Who started a lab ends it: one that ran before the tests still
runs after them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Fleet
from blackstart.lab import native
from blackstart.lab.paths import LabPaths

ROOT = Path(__file__).resolve().parents[2]
PATHS = LabPaths(ROOT / ".blackstart/lab")
REGIONS = ("us", "eu")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.lab)
    # Tests of the lab's own life, and of one with everything, end the session's lab: they come last.
    items.sort(
        key=lambda item: (
            "lifecycle" in item.path.name,
            item.path.name.startswith(("test_mesh", "test_data", "test_backup", "test_restore")),
        )
    )


class SessionLab:
    """Starts the lab when it is first asked for, and ends it if it did."""

    def __init__(self) -> None:
        self._ours = False

    def up(self) -> Fleet:
        self._ours = self._ours or not PATHS.fleet.exists()
        return native.up(REGIONS, PATHS, print)

    def down(self) -> None:
        if self._ours:
            native.down(PATHS, print)
        elif PATHS.fleet.exists():
            pytest.skip(f"a lab that these tests did not start runs in {PATHS.root}")

    def mesh(self) -> Fleet:
        """Another lab, with everything, in the place of the plain one. Skips when that one is not ours."""
        self.down()
        self._ours = True
        return native.up(REGIONS, PATHS, print, mesh=True, data=True, backup=True)

    def backups(self) -> Fleet:
        """The lab that runs, where it has backups."""
        if not self._ours and PATHS.fleet.exists() and (fleet := load_fleet(PATHS.fleet)).backups:
            return fleet
        return self.mesh()


@pytest.fixture(scope="session")
def session_lab() -> Iterator[SessionLab]:
    lab = SessionLab()
    yield lab
    if lab._ours:
        lab.down()


@pytest.fixture(scope="session")
def lab(session_lab: SessionLab) -> Fleet:
    """The fleet of a lab that runs, two regions, everything Ready."""
    return session_lab.up()


@pytest.fixture(scope="session")
def mesh(session_lab: SessionLab) -> Fleet:
    """The fleet of a lab with a mesh (stores, and backups), which takes the place of the other one."""
    return session_lab.mesh()


@pytest.fixture(scope="session")
def data(mesh: Fleet) -> Fleet:
    """The fleet of a lab with stores: the same one."""
    return mesh


@pytest.fixture(scope="session")
def backups(session_lab: SessionLab) -> Fleet:
    """The fleet of a lab with backups: one that runs already, or the one with everything."""
    return session_lab.backups()


@pytest.fixture
def paths(lab: Fleet) -> LabPaths:
    """The lab's folder."""
    return PATHS
