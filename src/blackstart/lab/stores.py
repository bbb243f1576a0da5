"""The stores of a lab across its regions: replication set up, and roles given back after a restore."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from blackstart.lab import data, logins, machine
from blackstart.lab.data import KINDS, Kind
from blackstart.lab.dataregion import RegionData, empty_database
from blackstart.lab.parts import Parts
from blackstart.lab.paths import LabPaths
from blackstart.lab.shell import LabError, wait_for


@dataclass(frozen=True)
class Stores:
    """MariaDB and Redis of two regions, the first one's first, which is the primary's where there is one."""

    paths: LabPaths
    regions: Sequence[RegionData]

    def create(self, parts: Parts, timeout: float) -> None:
        """New, empty stores that replicate; returns once the replicas have everything. Raises LabError."""
        first = self.regions[0]
        empty = empty_database(parts)
        self._each(lambda region: region.install(empty))
        self._each(lambda region: region.start(parts))
        self._each(lambda region: region.wait(timeout))
        passwords = logins.read(self.paths, "mariadb")
        for region in self.regions:
            if "mariadb" in region.site.replicates:
                region.sql(data.source(region.site, passwords[data.REPLICATION]))
        first.sql(data.schema(passwords))
        self.settle()
        for kind in KINDS:
            self.wait_until_following(kind, timeout)

    def start(self, parts: Parts, timeout: float) -> None:
        """Start what does not run, and settle. Raises LabError."""
        self._each(lambda region: region.start(parts))
        self._each(lambda region: region.wait(timeout))
        self.settle()

    def settle(self) -> None:
        """Give servers that came back their part in replication (`data.decide`). Idempotent. Raises LabError."""
        sites = {region.net.name: region.site for region in self.regions}
        with machine.lock(self.paths.root / "stores.lock"):
            for kind in KINDS:
                orders = data.decide([region.seen(kind) for region in self.regions], sites)
                # Who leads is told first: nobody can follow before.
                for name, order in sorted(orders.items(), key=lambda item: item[1] != "lead"):
                    region = next(r for r in self.regions if r.net.name == name)
                    region.lead(kind) if order == "lead" else region.follow(kind)

    def wait_until_following(self, kind: Kind, timeout: float) -> None:
        """Until who replicates does, and has what the other has now. Raises LabError."""
        first, second = self.regions
        for replica, source in ((second, first), (first, second)):
            if kind in replica.site.replicates:
                self._follows(kind, replica, source, timeout)

    def _follows(self, kind: Kind, replica: RegionData, source: RegionData, timeout: float) -> None:
        def follows() -> bool | None:
            return True if replica.follows(kind) else None

        wait_for(f"{kind} of {replica.net.name} replicates", follows, timeout, hint=f"see {replica.processes.logs}")
        if kind == "mariadb":
            position = source.sql("SELECT @@global.gtid_binlog_pos").strip()
            if replica.sql(f"SELECT MASTER_GTID_WAIT('{position}', {timeout:g})", timeout + 5.0).strip() != "0":
                raise LabError(f"mariadb of {replica.net.name} is not at {position} after {timeout:g} s")

    def _each(self, what: Callable[[RegionData], None]) -> None:
        with ThreadPoolExecutor(max_workers=len(self.regions)) as pool:
            list(pool.map(what, self.regions))
