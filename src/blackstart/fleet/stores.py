"""Replicated stores of a fleet: where each region's server is, who may ask it, where clients learn the primary.

A *store* is one data set with a server in several regions, of which one, the
primary, takes the writes; or, where it is multi-active, all do.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from blackstart.fleet.switch import Power
from blackstart.schema.base import LocalPath, Model
from blackstart.schema.secret import Secret


class Login(Model):
    """A user of a store and its password; a Redis without ACLs needs no user, one without a password neither."""

    user: str = ""
    password: Secret | None = None


class Tls(Model):
    """TLS towards a store: checked against `ca` (PEM) and, with `server_name`, that name."""

    ca: LocalPath
    server_name: str | None = None
    cert: LocalPath | None = None
    key: LocalPath | None = None

    @model_validator(mode="after")
    def _pair(self) -> Tls:
        if (self.cert is None) != (self.key is None):
            raise ValueError("`cert` and `key` go together")
        return self


class Address(Model):
    """One address of the primary, kept in a ConfigMap that clients read: key `key` of `configmap` in `namespace`."""

    namespace: str
    configmap: str
    key: str


class Member(Model):
    """A region's server: `address` (host:port) asked from `place`; `serves`, what clients and replicas connect to.

    `power`: how it is killed by itself.
    """

    address: str = Field(pattern=r"^[^\s:]+:\d+$")
    place: str
    serves: str | None = Field(default=None, pattern=r"^[^\s:]+:\d+$")
    power: Power | None = None

    @property
    def client_address(self) -> str:
        """host:port that clients and replicas connect to."""
        return self.serves or self.address


class Records(Model):
    """What an acknowledged write must leave behind in a store, by its id.

    MariaDB, MySQL: `ids` is a SELECT whose first column is the id, with one
    `%s` for a LIKE pattern of ids, in the order of commit where `ordered`.
    Further columns are its content, which members of a multi-active store are
    compared by. Redis: `ids` is a key with `*` where the id stands, `order:*`.
    """

    ids: str
    ordered: bool = False


class Store(Model):
    """A replicated store.

    `primary` is the region that has it in normal times; with `pattern:
    multi-active` every member takes writes and follows the others, and
    `primary` is only home. `reader` may SELECT and see replication; `admin` may also change it, for faults and
    procedures. `replication` is what replicas log in with. `clients` says
    where clients learn the primary's address, in every member's cluster.
    """

    kind: Literal["mariadb", "mysql", "redis"]
    members: dict[str, Member] = Field(min_length=1)
    primary: str
    pattern: Literal["primary", "multi-active"] = "primary"
    reader: Login = Login()
    admin: Login | None = None
    replication: Login | None = None
    tls: Tls | None = None
    clients: Address | None = None
    records: dict[str, Records] = {}

    @model_validator(mode="after")
    def _primary_is_a_member(self) -> Store:
        if self.primary not in self.members:
            raise ValueError(f"`primary` {self.primary!r} is none of its members: {', '.join(self.members)}")
        return self

    @property
    def multi_active(self) -> bool:
        """Whether every member takes writes."""
        return self.pattern == "multi-active"

    @property
    def followers(self) -> list[str]:
        """The regions whose servers follow another one in normal times."""
        return [region for region in self.members if self.multi_active or region != self.primary]


class Writes(Model):
    """Where the ledger's writers come in: POST `url` from `place` with a JSON body `{"id": ..}`.

    `urls` in its place, by region: the writers are shared out among these
    entries, in turn, and each stays with its own.

    The id is also the header Idempotency-Key. 2xx is an acknowledgement; an
    answer `{"committed": false}` of any other status says that nothing was
    written; everything else leaves the write indeterminate.
    """

    place: str
    url: str | None = None
    urls: dict[str, str] = {}

    @model_validator(mode="after")
    def _one_of_them(self) -> Writes:
        if (self.url is None) == (not self.urls):
            raise ValueError("writes need either `url` or `urls`")
        return self

    @property
    def entries(self) -> dict[str, str]:
        """URL by region; one without a region where there is one for all."""
        return self.urls or {"": self.url or ""}
