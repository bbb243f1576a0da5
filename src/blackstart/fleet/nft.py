"""Cuts links with nftables: silent drops at both ends that expire by themselves in the kernel.

What comes in is dropped at both ends, before connection tracking: the only
form that is silent for every protocol and for local senders too. The drop
hangs on a set element with a timeout, so a cut heals even if nobody is left
to heal it. Renewing deletes and adds the element in one transaction: once it
has expired the delete fails, and a late runner cannot revive a healed cut.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Fleet, Link, LinkEnd, Place

PREFIX = "bs_fault_"
_DEADLINE = 10.0
_GONE = ("No such file or directory", "element does not exist")


class NftError(FleetError):
    """nft refused, or could not be run in the place."""


class Expired(NftError):  # noqa: N818 - a state of the world
    """The cut has healed by itself before it was renewed."""


def table_name(fault_id: str) -> str:
    """The table of a fault; nft takes letters, digits and underscores."""
    return PREFIX + re.sub(r"[^A-Za-z0-9]", "_", fault_id)


def cut_script(table: str, ends: Sequence[LinkEnd], ttl: float) -> str:
    """The transaction that cuts all `ends` of one place for `ttl` seconds, from whatever state the table was in."""
    sets = _sets(ends)
    # One statement a line: nft 1.0.6 refuses `} }`.
    declared = "".join(
        f"  set {name} {{\n    type {kind.type}\n    flags {kind.flags}\n  }}\n" for name, kind in sets.items()
    )
    drops = "".join(f"    {kind.match} @{name} counter drop\n" for name, kind in sets.items())
    chain = f"  chain drop_in {{\n    type filter hook prerouting priority -400; policy accept;\n{drops}  }}\n"
    return heal_script(table) + f"table inet {table} {{\n{declared}{chain}}}\n" + _add(table, sets, ttl)


def renew_script(table: str, ends: Sequence[LinkEnd], ttl: float) -> str:
    """The transaction that gives a cut another `ttl` seconds; it fails as a whole once the cut has expired."""
    sets = _sets(ends)
    delete = "".join(
        f"delete element inet {table} {name} {{ {', '.join(kind.elements)} }}\n" for name, kind in sets.items()
    )
    return delete + _add(table, sets, ttl)


def heal_script(table: str) -> str:
    """The transaction that removes a fault's table, there or not."""
    return f"table inet {table} {{\n}}\ndelete table inet {table}\n"


def cut(fleet: Fleet, links: Iterable[Link], fault_id: str, ttl: float) -> None:
    """Cut links at both ends for at most `ttl` seconds. Raises NftError; some ends may be cut by then."""
    for place, ends in ends_by_place(links).items():
        _apply(fleet.places[place], cut_script(table_name(fault_id), ends, ttl))


def renew(fleet: Fleet, links: Iterable[Link], fault_id: str, ttl: float) -> None:
    """Let a cut last `ttl` seconds from now. Raises Expired when it has healed already."""
    for place, ends in ends_by_place(links).items():
        try:
            _apply(fleet.places[place], renew_script(table_name(fault_id), ends, ttl))
        except NftError as error:
            if not any(words in str(error) for words in _GONE):
                raise
            raise Expired(f"the cut {fault_id} has expired at {place}; it is not renewed") from error


def heal(fleet: Fleet, links: Iterable[Link], fault_id: str) -> None:
    """Take the cut away at both ends; nothing happens where there is none. Raises NftError after trying all ends."""
    failures = []
    for place in ends_by_place(links):
        netns = fleet.places[place].netns
        if netns is not None and not netns.exists():
            continue  # The drops are gone with the namespace.
        try:
            _apply(fleet.places[place], heal_script(table_name(fault_id)))
        except NftError as error:
            failures.append(str(error))
    if failures:
        raise NftError("; ".join(failures))


def ends_by_place(links: Iterable[Link]) -> dict[str, list[LinkEnd]]:
    """The ends of some links, by the place that holds them: a fault has one table in each place."""
    found: dict[str, list[LinkEnd]] = {}
    for link in links:
        for end in link.ends:
            found.setdefault(end.place, []).append(end)
    return found


def is_cut(place: Place, fault_id: str) -> bool:
    """Whether the fault drops there and no part of it has expired."""
    name = table_name(fault_id)
    return name in tables(place) and drops(place, name)


def drops(place: Place, table: str) -> bool:
    """Whether a table that is there drops, and no part of it has expired."""
    sets = [item["set"] for item in _listing(place, "table", "inet", table) if "set" in item]
    return bool(sets) and all(found.get("elem") for found in sets)


def remove(place: Place, table: str) -> None:
    """Take a fault's table away, there or not. Raises NftError."""
    _apply(place, heal_script(table))


def tables(place: Place) -> list[str]:
    """The names of all tables that faults left in a place."""
    listed = [item["table"] for item in _listing(place, "tables", "inet") if "table" in item]
    return sorted(table["name"] for table in listed if table["name"].startswith(PREFIX))


@dataclass(frozen=True)
class _Set:
    type: str
    match: str
    flags: str
    elements: list[str]


def _sets(ends: Sequence[LinkEnd]) -> dict[str, _Set]:
    names = [f'"{end.interface}"' for end in ends if end.interface]
    sources = [source for end in ends for source in end.sources]
    flags = "interval,timeout" if any("/" in source for source in sources) else "timeout"
    sets = {
        "cut_interfaces": _Set("ifname", "iifname", "timeout", names),
        "cut_sources": _Set("ipv4_addr", "ip saddr", flags, sources),
    }
    return {name: found for name, found in sets.items() if found.elements}


def _add(table: str, sets: dict[str, _Set], ttl: float) -> str:
    timeout = f"timeout {max(1, round(ttl * 1000))}ms"
    return "".join(
        f"add element inet {table} {name} {{ {', '.join(f'{element} {timeout}' for element in kind.elements)} }}\n"
        for name, kind in sets.items()
    )


def _listing(place: Place, *what: str) -> list[dict[str, Any]]:
    # As arguments: nft 1.0.6 prints nothing at all for a `list` read from a file in JSON.
    printed = _nft(place, "-j", "list", *what)
    try:
        found: list[dict[str, Any]] = json.loads(printed)["nftables"]
    except (ValueError, KeyError) as error:
        raise NftError(f"nft -j list {' '.join(what)}: the answer is no listing: {printed[:200]!r}") from error
    return found


def _apply(place: Place, script: str) -> None:
    _nft(place, "-f", "-", script=script)


def _nft(place: Place, *arguments: str, script: str = "") -> str:
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
            timeout=_DEADLINE,
            env=environment,
            check=False,
        )
    except FileNotFoundError as error:
        raise NftError(f"nft {where}: {error.filename} is not installed; install nftables and util-linux") from error
    except subprocess.TimeoutExpired as error:
        raise NftError(f"nft {where}: no end after {_DEADLINE:g} s") from error
    if done.returncode:
        raise NftError(
            f"nft {where}: exit {done.returncode}: {done.stderr.strip()}; is the lab up, and are you root?"
        )
    return done.stdout
