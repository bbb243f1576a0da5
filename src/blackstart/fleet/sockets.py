"""Plain TCP from a place."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from blackstart.fleet.model import Place
from blackstart.fleet.places import open_socket


def parse_address(address: str) -> tuple[str, int, socket.AddressFamily]:
    """Host, port and family of `10.0.0.1:80` or `[::1]:80`. Raises ValueError; names are refused."""
    host, _, port = address.rpartition(":")
    try:
        ip = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port)
    except ValueError:
        raise ValueError(f"{address!r} is not an IP address and a port; write it like 198.18.0.11:80") from None
    return str(ip), number, socket.AF_INET if ip.version == 4 else socket.AF_INET6


async def connect(place: Place, address: str) -> socket.socket:
    """A connected, non-blocking socket that lives in the place. Raises OSError, ValueError."""
    host, port, family = parse_address(address)
    return await connect_to(place, family, host, port)


async def connect_to(place: Place, family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    """The same for an IP address of which the family is known. Raises OSError."""
    sock = open_socket(place, family)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except BaseException:
        sock.close()
        raise
    return sock
