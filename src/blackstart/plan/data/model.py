"""What is known of database servers and of how they replicate, from files or from the servers themselves. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from blackstart.schema.errors import Finding, Place

Dialect = Literal["mysql", "mariadb", "unknown", "redis"]
_ON = {"1", "on", "true", "yes", ""}
_MARIADB_ONLY = {"gtid_strict_mode", "gtid_domain_id", "wsrep_on", "slave_parallel_threads"}
_MYSQL_ONLY = {"gtid_mode", "enforce_gtid_consistency", "super_read_only", "log_replica_updates"}


@dataclass(frozen=True)
class Setting:
    """One value, and where it stands."""

    value: str
    place: Place

    @property
    def on(self) -> bool:
        """Whether it is switched on; a bare option is."""
        return self.value.strip().lower() in _ON


@dataclass(frozen=True)
class Server:
    """One server. `live`: its settings are all those in effect; `replica`: whether it follows another, if it says.

    `active`: the store that it is a member of, where fleet.yaml says that every member takes writes.
    """

    name: str
    place: Place
    dialect: Dialect
    settings: Mapping[str, tuple[Setting, ...]] = field(default_factory=dict)
    live: bool = False
    replica: bool | None = None
    active: str | None = None

    def get(self, *names: str) -> Setting | None:
        """The last value of the first of these names that is set."""
        return next((self.settings[name][-1] for name in names if name in self.settings), None)

    def on(self, *names: str, default: bool = False) -> bool:
        """Whether one of these names is switched on."""
        found = self.get(*names)
        return default if found is None else found.on

    def number(self, *names: str, default: int) -> int:
        """A whole number; the default where it is none."""
        found = self.get(*names)
        return int(found.value) if found and re.fullmatch(r"\d+", found.value.strip()) else default

    def finding(self, message: str, *names: str) -> Finding:
        """About one of its settings, or about the server where none of them is set."""
        found = self.get(*names)
        return Finding(found.place if found else self.place, (), f"{self.name}: {message}")


@dataclass(frozen=True)
class Statement:
    """A statement or command that sets replication up: `words` is its text on one line."""

    kind: Literal["change", "rladmin"]
    words: str
    place: Place


@dataclass(frozen=True)
class Said:
    """What the caller says: `rpo`, seconds of acknowledged writes that a loss may cost; None: not said."""

    rpo: float | None = None

    @property
    def nothing_lost(self) -> bool:
        """Whether not one acknowledged write may be lost."""
        return self.rpo == 0


@dataclass(frozen=True)
class Secret:
    """A password in plain text; what it is is not kept."""

    what: str
    place: Place


@dataclass(frozen=True)
class DataConfig:
    """Everything that was read."""

    servers: tuple[Server, ...]
    statements: tuple[Statement, ...] = ()
    secrets: tuple[Secret, ...] = ()
    said: Said = Said()

    def sql(self) -> Iterator[Server]:
        """MariaDB and MySQL servers."""
        return (server for server in self.servers if server.dialect != "redis")

    def redis(self) -> Iterator[Server]:
        """Redis servers."""
        return (server for server in self.servers if server.dialect == "redis")


def dialect_of(sections: set[str], settings: set[str]) -> Dialect:
    """Whose configuration it is, by what only one of the two has."""
    if any(section.startswith("mariadb") for section in sections) or settings & _MARIADB_ONLY:
        return "mariadb"
    return "mysql" if settings & _MYSQL_ONLY else "unknown"
