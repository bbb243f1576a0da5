"""What a fault drops in a place, and the nft transactions that make it so, prolong it and end it. Pure.

A drop hangs on set elements with a timeout, so it ends even if nobody is left
to end it. Renewing deletes and adds the elements in one transaction: once they
have expired the delete fails, and a late runner cannot revive a healed fault.

Before it drops, a table counts who tries: TCP connections that somebody begins
to open, by source, destination and port. A SYN that is sent again counts once:
its source port is remembered for longer than a sender waits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from blackstart.fleet.model import LinkEnd

PREFIX = "bs_fault_"
CUT = "cut_"
"""What the names of the sets begin with that a drop hangs on."""
TRIED = "tried"
"""The set with a counter for each source, destination and port."""
TRIED_FOR = 86_400
"""Seconds after its last attempt for which the kernel keeps a counter."""

_SEEN = "seen"
_SEEN_FOR = 120
_MOST = 65_535


@dataclass(frozen=True)
class Drop:
    """Packets at `hook` that `match` finds among the elements of a set (`@set` in it) are dropped without a word.

    `answers`: they are what a server sends, so who tries is the receiver.
    `user`: whose sockets alone they come from.
    """

    set: str
    type: str
    match: str
    elements: tuple[str, ...]
    hook: Literal["prerouting", "input", "output"] = "prerouting"
    answers: bool = False
    user: int | None = None

    @property
    def flags(self) -> str:
        """Of the set: networks need intervals."""
        return "interval,timeout" if any("/" in element for element in self.elements) else "timeout"


def of_ends(ends: Sequence[LinkEnd]) -> list[Drop]:
    """Everything that comes in at some ends of links, all in one place."""
    names = tuple(f'"{end.interface}"' for end in ends if end.interface)
    sources = tuple(source for end in ends for source in end.sources)
    found = [
        Drop("cut_interfaces", "ifname", "iifname @cut_interfaces", names),
        Drop("cut_sources", "ipv4_addr", "ip saddr @cut_sources", sources),
    ]
    return [drop for drop in found if drop.elements]


def to_networks(networks: Sequence[str], uid: int) -> Drop:
    """What one user's sockets send to some networks: other users, such as a kubelet that probes, notice nothing."""
    return Drop(
        "cut_networks", "ipv4_addr", f"meta skuid {uid} ip daddr @cut_networks", tuple(networks), "output", user=uid
    )


def from_server(address: str) -> Drop:
    """What one TCP server (host:port) sends; nothing else on the way to it is touched."""
    host, _, port = address.rpartition(":")
    elements = (f"{host} . {port}",)
    return Drop(
        "cut_servers", "ipv4_addr . inet_service", "ip saddr . tcp sport @cut_servers", elements, answers=True
    )


def to_processes(addresses: Sequence[str]) -> Drop:
    """What some TCP servers (host:port) send to the processes of a place; what it only passes on goes through."""
    elements = tuple(" . ".join(address.rpartition(":")[::2]) for address in addresses)
    return Drop("cut_servers", "ipv4_addr . inet_service", "ip saddr . tcp sport @cut_servers", elements, "input")


def table_name(fault_id: str) -> str:
    """The table of a fault; nft takes letters, digits and underscores."""
    return PREFIX + re.sub(r"[^A-Za-z0-9]", "_", fault_id)


def cut_script(table: str, drops: Sequence[Drop], ttl: float, *, counting: bool = True) -> str:
    """The transaction that drops for `ttl` seconds, and counts, from whatever state the table was in."""
    # One statement a line: nft 1.0.6 refuses `} }`.
    declared = "".join(f"  set {drop.set} {{\n    type {drop.type}\n    flags {drop.flags}\n  }}\n" for drop in drops)
    if counting:
        # Plain types: nft 1.0.6 dies of listing a set with a TCP sequence number in it.
        declared += _counter(TRIED, "ipv4_addr . ipv4_addr . inet_service", TRIED_FOR, "    counter\n")
        declared += _counter(_SEEN, "ipv4_addr . inet_service . ipv4_addr . inet_service", _SEEN_FOR)
    chains = "".join(_chain(hook, drops, counting) for hook in dict.fromkeys(drop.hook for drop in drops))
    return heal_script(table) + f"table inet {table} {{\n{declared}{chains}}}\n" + _add(table, drops, ttl)


def renew_script(table: str, drops: Sequence[Drop], ttl: float) -> str:
    """The transaction that gives drops another `ttl` seconds; it fails as a whole once they have expired."""
    delete = "".join(f"delete element inet {table} {drop.set} {{ {', '.join(drop.elements)} }}\n" for drop in drops)
    return delete + _add(table, drops, ttl)


def heal_script(table: str) -> str:
    """The transaction that removes a fault's table, there or not."""
    return f"table inet {table} {{\n}}\ndelete table inet {table}\n"


def _counter(name: str, keys: str, timeout: int, more: str = "") -> str:
    rules = f"    type {keys}\n    size {_MOST}\n    flags dynamic,timeout\n    timeout {timeout}s\n{more}"
    return f"  set {name} {{\n{rules}  }}\n"


def _count(drop: Drop) -> str:
    """The rules that count and let the packet go on, to be dropped. What is full only counts worse."""
    if drop.answers:
        # The server's half of a handshake: only there can it be seen that somebody tries.
        flags, client, port, server = "syn | ack", "ip daddr", "tcp dport", "ip saddr . tcp sport"
    else:
        flags, client, port, server = "syn", "ip saddr", "tcp sport", "ip daddr . tcp dport"
    whole, pair = f"{client} . {port} . {server}", f"{client} . {server}"
    opens = f"    {drop.match} tcp flags & (fin | syn | rst | ack) == {flags}"
    return f"{opens} {whole} != @{_SEEN} update @{TRIED} {{ {pair} }}\n{opens} update @{_SEEN} {{ {whole} }}\n"


def _chain(hook: str, drops: Sequence[Drop], counting: bool) -> str:
    name = {"prerouting": "drop_in", "input": "drop_local", "output": "drop_out"}[hook]
    rules = "".join(
        f"{_count(drop) if counting else ''}    {drop.match} counter drop\n" for drop in drops if drop.hook == hook
    )
    return f"  chain {name} {{\n    type filter hook {hook} priority -400; policy accept;\n{rules}  }}\n"


def _add(table: str, drops: Sequence[Drop], ttl: float) -> str:
    timeout = f"timeout {max(1, round(ttl * 1000))}ms"
    scripts = []
    for drop in drops:
        elements = ", ".join(f"{element} {timeout}" for element in drop.elements)
        scripts.append(f"add element inet {table} {drop.set} {{ {elements} }}\n")
    return "".join(scripts)
