"""Who is where: namespaces, addresses and links of a lab, computed from the names of its regions.

All addresses lie in 198.18.0.0/15, the range set aside for benchmarks (RFC 2544).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from blackstart.lab.shell import LabError

NETWORK = "198.18.0.0/15"
BRIDGE = "bs-mgmt"
BRIDGE_ADDRESS = "198.18.0.1"
MGMT = "mgmt0"
PREFIX = "bs-"
EDGE = "edge"
OBSERVER = "observer"
STORE = "store"
MAX_REGIONS = 8

_RESERVED = {EDGE, OBSERVER, STORE, "obs", "operator", "mgmt"}
_NAME = re.compile(r"[a-z][a-z0-9]{0,9}")


@dataclass(frozen=True)
class Member:
    """A network namespace of the lab: a region, the edge, the observer, or the bucket of backups."""

    name: str
    namespace: str
    address: str
    """On the management network."""

    @property
    def netns(self) -> Path:
        """The file that stands for the namespace."""
        return Path("/run/netns") / self.namespace

    @property
    def port(self) -> str:
        """The bridge's end of the member's management interface."""
        return f"mg-{self.name}"


@dataclass(frozen=True)
class RegionNet(Member):
    """A region, with the networks of its pods and services."""

    number: int

    @property
    def pods(self) -> str:
        return f"198.19.{self.number}.0/24"

    @property
    def services(self) -> str:
        return f"198.18.{100 + self.number}.0/24"

    @property
    def api_service(self) -> str:
        """The in-cluster address of the API server: the first of the services."""
        return f"198.18.{100 + self.number}.1"


@dataclass(frozen=True)
class LinkEnd:
    """One end of a veth pair: `interface` of `member`, with an address of the link's /30."""

    member: Member
    interface: str
    address: str


@dataclass(frozen=True)
class Wire:
    """A link between two members."""

    name: str
    ends: tuple[LinkEnd, LinkEnd]

    def end_of(self, member: str) -> LinkEnd:
        """The end at `member`. Raises KeyError."""
        return {end.member.name: end for end in self.ends}[member]


@dataclass(frozen=True)
class Topology:
    """A whole lab."""

    regions: tuple[RegionNet, ...]
    edge: Member
    observer: Member
    wires: dict[str, Wire]
    store: Member | None = None
    """Where the bucket of backups is, in a lab with backups."""

    @property
    def members(self) -> tuple[Member, ...]:
        return (*self.regions, self.edge, self.observer, *([self.store] if self.store else []))

    def meeting(self) -> dict[str, str]:
        """The ends of the link between the first two regions, which both of these reach; nothing with one region."""
        wire = self.wires.get("-".join(region.name for region in self.regions[:2]))
        return {end.member.name: end.address for end in wire.ends} if wire else {}

    def region(self, name: str) -> RegionNet:
        """Raises KeyError with the known names."""
        for region in self.regions:
            if region.name == name:
                return region
        raise KeyError(f"no region {name!r} in this lab; known: {', '.join(r.name for r in self.regions)}")


def topology(regions: Sequence[str], backup: bool = False) -> Topology:
    """The lab with these regions, in the order of preference. Raises LabError for impossible names.

    `backup`: with a bucket, which each region has a link to.
    """
    _check(regions)
    nets = tuple(RegionNet(name, PREFIX + name, f"198.18.0.{10 + n}", n) for n, name in enumerate(regions, start=1))
    edge = Member(EDGE, PREFIX + EDGE, "198.18.0.20")
    observer = Member(OBSERVER, PREFIX + "obs", "198.18.0.21")
    store = Member(STORE, PREFIX + STORE, "198.18.0.22") if backup else None
    pairs: list[tuple[Member, Member]] = [
        *combinations(nets, 2),
        *((edge, region) for region in nets),
        *((observer, region) for region in nets),
        (observer, edge),
        *((store, region) for region in nets if store),
    ]
    wires = [_wire(k, a, b) for k, (a, b) in enumerate(pairs)]
    return Topology(nets, edge, observer, {wire.name: wire for wire in wires}, store)


def _wire(number: int, a: Member, b: Member) -> Wire:
    base = f"198.18.{16 + number // 64}.{{}}".format
    first = number % 64 * 4 + 1
    ends = LinkEnd(a, f"to-{b.name}", base(first)), LinkEnd(b, f"to-{a.name}", base(first + 1))
    return Wire(f"{a.name}-{b.name}", ends)


def _check(regions: Sequence[str]) -> None:
    if not 1 <= len(regions) <= MAX_REGIONS:
        raise LabError(f"a lab has 1 to {MAX_REGIONS} regions, not {len(regions)}")
    if len(set(regions)) < len(regions):
        raise LabError(f"a region is named twice: {', '.join(regions)}")
    for name in regions:
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise LabError(
                f"{name!r} cannot be a region: up to 10 small letters and digits, "
                f"beginning with a letter, and none of {', '.join(sorted(_RESERVED))}"
            )
