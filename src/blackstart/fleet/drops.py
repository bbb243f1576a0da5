"""What a fault drops in a place, and the nft transactions that make it so, prolong it and end it. Pure.

A drop hangs on set elements with a timeout, so it ends even if nobody is left
to end it. Renewing deletes and adds the elements in one transaction: once they
have expired the delete fails, and a late runner cannot revive a healed fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from blackstart.fleet.model import LinkEnd

PREFIX = "bs_fault_"


@dataclass(frozen=True)
class Drop:
    """Packets at `hook` that `match` finds among the elements of a set (`@set` in it) are dropped without a word."""

    set: str
    type: str
    match: str
    elements: tuple[str, ...]
    hook: Literal["prerouting", "input", "output"] = "prerouting"

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
    return Drop("cut_networks", "ipv4_addr", f"meta skuid {uid} ip daddr @cut_networks", tuple(networks), "output")


def from_server(address: str) -> Drop:
    """What one TCP server (host:port) sends; nothing else on the way to it is touched."""
    host, _, port = address.rpartition(":")
    return Drop("cut_servers", "ipv4_addr . inet_service", "ip saddr . tcp sport @cut_servers", (f"{host} . {port}",))


def to_processes(addresses: Sequence[str]) -> Drop:
    """What some TCP servers (host:port) send to the processes of a place; what it only passes on goes through."""
    elements = tuple(" . ".join(address.rpartition(":")[::2]) for address in addresses)
    return Drop("cut_servers", "ipv4_addr . inet_service", "ip saddr . tcp sport @cut_servers", elements, "input")


def table_name(fault_id: str) -> str:
    """The table of a fault; nft takes letters, digits and underscores."""
    return PREFIX + re.sub(r"[^A-Za-z0-9]", "_", fault_id)


def cut_script(table: str, drops: Sequence[Drop], ttl: float) -> str:
    """The transaction that drops for `ttl` seconds, from whatever state the table was in."""
    # One statement a line: nft 1.0.6 refuses `} }`.
    declared = "".join(f"  set {drop.set} {{\n    type {drop.type}\n    flags {drop.flags}\n  }}\n" for drop in drops)
    chains = "".join(_chain(hook, drops) for hook in dict.fromkeys(drop.hook for drop in drops))
    return heal_script(table) + f"table inet {table} {{\n{declared}{chains}}}\n" + _add(table, drops, ttl)


def renew_script(table: str, drops: Sequence[Drop], ttl: float) -> str:
    """The transaction that gives drops another `ttl` seconds; it fails as a whole once they have expired."""
    delete = "".join(f"delete element inet {table} {drop.set} {{ {', '.join(drop.elements)} }}\n" for drop in drops)
    return delete + _add(table, drops, ttl)


def heal_script(table: str) -> str:
    """The transaction that removes a fault's table, there or not."""
    return f"table inet {table} {{\n}}\ndelete table inet {table}\n"


def _chain(hook: str, drops: Sequence[Drop]) -> str:
    name = {"prerouting": "drop_in", "input": "drop_local", "output": "drop_out"}[hook]
    rules = "".join(f"    {drop.match} counter drop\n" for drop in drops if drop.hook == hook)
    return f"  chain {name} {{\n    type filter hook {hook} priority -400; policy accept;\n{rules}  }}\n"


def _add(table: str, drops: Sequence[Drop], ttl: float) -> str:
    timeout = f"timeout {max(1, round(ttl * 1000))}ms"
    scripts = []
    for drop in drops:
        elements = ", ".join(f"{element} {timeout}" for element in drop.elements)
        scripts.append(f"add element inet {table} {drop.set} {{ {elements} }}\n")
    return "".join(scripts)
