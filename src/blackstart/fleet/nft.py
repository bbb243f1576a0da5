"""Drops packets with nftables, silently, until healed or expired in the kernel.

A link is cut by dropping what comes in at both ends, before connection
tracking: the only form that is silent for every protocol and for local senders
too.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from blackstart.fleet.drops import (
    CUT,
    PREFIX,
    TRIED,
    TRIED_FOR,
    Drop,
    cut_script,
    heal_script,
    of_ends,
    renew_script,
    table_name,
)
from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Fleet, Link, LinkEnd, Place

Drops = Mapping[str, Sequence[Drop]]
"""Place -> what is dropped there."""

_DEADLINE = 10.0
_COUNT_DEADLINE = 3.0
"""Seconds to read counters: an undo waits for that."""
_GONE = ("No such file or directory", "element does not exist")


class NftError(FleetError):
    """nft refused, or could not be run in the place."""


class Expired(NftError):  # noqa: N818 - a state of the world
    """The cut has healed by itself before it was renewed."""


def cut(fleet: Fleet, where: Drops, fault_id: str, ttl: float) -> None:
    """Drop for at most `ttl` seconds. Raises NftError; some places may drop by then."""
    table = table_name(fault_id)
    for place, found in where.items():
        try:
            _apply(fleet.places[place], cut_script(table, found, ttl))
        except NftError:
            # A kernel that cannot count cuts all the same; `tried` says so.
            _apply(fleet.places[place], cut_script(table, found, ttl, counting=False))


def renew(fleet: Fleet, where: Drops, fault_id: str, ttl: float) -> None:
    """Let it last `ttl` seconds from now. Raises Expired when it has healed already."""
    for place, found in where.items():
        try:
            _apply(fleet.places[place], renew_script(table_name(fault_id), found, ttl))
        except NftError as error:
            if not any(words in str(error) for words in _GONE):
                raise
            raise Expired(f"the cut {fault_id} has expired at {place}; it is not renewed") from error


def heal(fleet: Fleet, places: Iterable[str], fault_id: str) -> None:
    """Take the drops away; nothing happens where there are none. Raises NftError after trying all places."""
    failures = []
    for place in places:
        netns = fleet.places[place].netns
        if netns is not None and not netns.exists():
            continue  # The drops are gone with the namespace.
        try:
            _apply(fleet.places[place], heal_script(table_name(fault_id)))
        except NftError as error:
            failures.append(str(error))
    if failures:
        raise NftError("; ".join(failures))


def of_links(links: Iterable[Link]) -> dict[str, list[Drop]]:
    """What cuts some links at both ends: a fault has one table in each place."""
    ends: dict[str, list[LinkEnd]] = {}
    for link in links:
        for end in link.ends:
            ends.setdefault(end.place, []).append(end)
    return {place: of_ends(found) for place, found in ends.items()}


def is_cut(place: Place, fault_id: str) -> bool:
    """Whether the fault drops there and no part of it has expired."""
    name = table_name(fault_id)
    return name in tables(place) and drops(place, name)


def drops(place: Place, table: str) -> bool:
    """Whether a table drops, and no part of it has expired. One that goes while it is looked at does not."""
    try:
        # Without elements: those of the counters may be many.
        names = [item["set"]["name"] for item in _listing(place, "table", "inet", table, terse=True) if "set" in item]
        cuts = [name for name in names if name.startswith(CUT)]
        return bool(cuts) and all(_set(place, table, name).get("elem") for name in cuts)
    except NftError as error:
        if not any(words in str(error) for words in _GONE):
            raise
        return False


class Tried(NamedTuple):
    """Connections that somebody began to open: from an address to `host:port`; `idle` seconds ago the last time."""

    source: str
    destination: str
    attempts: int
    idle: float


def tried(place: Place, fault_id: str) -> list[Tried]:
    """Who tried to get through what a fault drops in a place, the most eager first. Raises NftError."""
    elements = _set(place, table_name(fault_id), TRIED, _COUNT_DEADLINE).get("elem", [])
    try:
        found = [_tried(element["elem"]) for element in elements]
    except (KeyError, TypeError, ValueError) as error:
        raise NftError(f"nft -j list set: no counters: {error!r}") from error
    return sorted(found, key=lambda row: (-row.attempts, row))


def _tried(element: dict[str, Any]) -> Tried:
    source, destination, port = element["val"]["concat"]
    idle = TRIED_FOR - float(element["expires"])
    return Tried(str(source), f"{destination}:{int(port)}", int(element["counter"]["packets"]), max(0.0, idle))


def remove(place: Place, table: str) -> None:
    """Take a fault's table away, there or not. Raises NftError."""
    _apply(place, heal_script(table))


def tables(place: Place) -> list[str]:
    """The names of all tables that faults left in a place."""
    listed = [item["table"] for item in _listing(place, "tables", "inet") if "table" in item]
    return sorted(table["name"] for table in listed if table["name"].startswith(PREFIX))


def _set(place: Place, table: str, name: str, deadline: float = _DEADLINE) -> dict[str, Any]:
    listed = _listing(place, "set", "inet", table, name, deadline=deadline)
    sets = {item["set"]["name"]: item["set"] for item in listed if "set" in item}
    if name not in sets:
        raise NftError(f"nft -j list set inet {table} {name}: the answer has no such set")
    found: dict[str, Any] = sets[name]
    return found


def _listing(place: Place, *what: str, terse: bool = False, deadline: float = _DEADLINE) -> list[dict[str, Any]]:
    # As arguments: nft 1.0.6 prints nothing at all for a `list` read from a file in JSON.
    # By numbers: names of ports would come from this machine's /etc/services.
    printed = _nft(place, "-jnt" if terse else "-jn", "list", *what, deadline=deadline)
    try:
        found: list[dict[str, Any]] = json.loads(printed)["nftables"]
    except (ValueError, KeyError) as error:
        raise NftError(f"nft -j list {' '.join(what)}: the answer is no listing: {printed[:200]!r}") from error
    return found


def _apply(place: Place, script: str) -> None:
    _nft(place, "-f", "-", script=script)


def _nft(place: Place, *arguments: str, script: str = "", deadline: float = _DEADLINE) -> str:
    where = "on this machine" if place.netns is None else f"in {place.netns}"
    enter = [] if place.netns is None else ["nsenter", f"--net={place.netns}"]
    # /usr/sbin is not in everyone's PATH.
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [*enter, "nft", *arguments],
            input=script,
            capture_output=True,
            text=True,
            timeout=deadline,
            env=environment,
            check=False,
        )
    except FileNotFoundError as error:
        raise NftError(f"nft {where}: {error.filename} is not installed; install nftables and util-linux") from error
    except subprocess.TimeoutExpired as error:
        raise NftError(f"nft {where}: no end after {deadline:g} s") from error
    if done.returncode:
        raise NftError(
            f"nft {where}: exit {done.returncode}: {done.stderr.strip()}; is the lab up, and are you root?"
        )
    return done.stdout
