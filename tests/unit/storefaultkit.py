"""Real, replicated stores for faults: API servers that know their regions, an undo store, what was told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from faultkit import RUN, Told
from kubeapi import UID, KubeApi
from storekit import MariaDb, Pair, Redis, fleet_file, mariadb_pair, redis_pair

from blackstart.evidence.records import Body
from blackstart.evidence.undo import Entry
from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Fleet


@dataclass
class Stores(Told):
    """`orders` and `cache`, the ones that are there, in regions us and eu."""

    folder: Path
    file: Path
    maria: Pair[MariaDb] | None = None
    redis: Pair[Redis] | None = None
    events: list[Body] = field(default_factory=list)

    @property
    def fleet(self) -> Fleet:
        return load_fleet(self.file)

    @property
    def orders(self) -> Pair[MariaDb]:
        assert self.maria
        return self.maria

    @property
    def cache(self) -> Pair[Redis]:
        assert self.redis
        return self.redis

    def entry(self, run: str = RUN) -> Entry:
        (found,) = self.store.read(run).outstanding
        return found

    def change(self, name: str, **store: Any) -> None:
        """Change what fleet.yaml says of a store."""
        document = yaml.safe_load(self.file.read_text())
        document["stores"][name].update(store)
        self.file.write_text(yaml.safe_dump(document))

    def power(self, name: str, region: str, kill: str, restore: str, state: str) -> None:
        """Give a member a power switch, of shell commands."""
        document = yaml.safe_load(self.file.read_text())
        shell = {key: ["sh", "-c", text] for key, text in (("kill", kill), ("restore", restore), ("state", state))}
        document["stores"][name]["members"][region]["power"] = {**shell, "deadline": "60s"}
        self.file.write_text(yaml.safe_dump(document))


@contextmanager
def stores(folder: Path, *kinds: str) -> Iterator[Stores]:
    """`kinds`: mariadb, redis."""
    with ExitStack() as stack:
        maria = stack.enter_context(mariadb_pair(folder / "m")) if "mariadb" in kinds else None
        redis = stack.enter_context(redis_pair(folder / "r")) if "redis" in kinds else None
        api = stack.enter_context(KubeApi())
        cluster = {"kubeconfig": str(api.kubeconfig(folder)), "context": "here", "uid": UID}
        named: dict[str, Any] = {**({"orders": maria} if maria else {}), **({"cache": redis} if redis else {})}
        file = fleet_file(folder, {"us": cluster, "eu": cluster}, **named)
        yield Stores(folder, file, maria, redis)
