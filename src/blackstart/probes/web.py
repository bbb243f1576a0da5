"""HTTP requests from a place: one attempt, no redirects, a bounded body."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

import aiohttp
from yarl import URL

from blackstart.fleet.model import Place
from blackstart.fleet.places import open_socket

MAX_BODY = 64 * 1024
"""Bytes of an answer that are read; a longer one is malformed."""

_HEADERS = {"User-Agent": "blackstart", "Accept-Encoding": "identity"}
_DNS_TTL = 1


class TooLong(aiohttp.ClientError):
    """The answer is longer than MAX_BODY."""


class _Lost(Exception):  # noqa: N818 - only carries an error past aiohttp
    def __init__(self, error: aiohttp.ClientError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class Answer:
    """A complete answer; the body is read only of a 2xx one."""

    status: int
    body: bytes

    @property
    def good(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


def check_host(url: str, place: Place) -> None:
    """Refuse a URL that cannot be asked from `place`: names would be resolved here, not there. Raises ValueError."""
    host = URL(url).host
    if host is None:
        raise ValueError(f"{url!r} is not a URL with a host; write it like http://198.18.0.1:80/")
    if place.netns is not None and not _is_address(host):
        raise ValueError(
            f"{url}: the name {host!r} would be resolved here, not inside {place.netns}; use its IP address"
        )


def session(place: Place, keep: bool) -> aiohttp.ClientSession:
    """A session whose sockets live in the place.

    `keep`: an idle connection is used again, otherwise each request opens one.
    The number of connections is not limited here: those who send limit it.
    """

    def factory(info: tuple[int, int, int, str, object]) -> socket.socket:
        return open_socket(place, info[0], info[1], info[2])

    connector = aiohttp.TCPConnector(
        force_close=not keep,
        limit=0,
        ttl_dns_cache=_DNS_TTL,
        socket_factory=factory,
    )
    return aiohttp.ClientSession(
        connector=connector,
        headers=_HEADERS,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        auto_decompress=False,
        middlewares=(_once,),
    )


async def get(client: aiohttp.ClientSession, url: str) -> Answer:
    """Ask once. Raises aiohttp.ClientError, OSError; the caller sets the deadline."""
    try:
        async with client.get(url, allow_redirects=False) as response:
            status = response.status
            return Answer(status, await _body(response) if 200 <= status < 300 else b"")
    except _Lost as lost:
        raise lost.error from None


async def _body(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            response.close()
            raise TooLong(f"the answer is longer than {MAX_BODY} bytes")
    return b"".join(parts)


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Hide a lost connection from aiohttp, which sends a GET again when a kept connection turns out to be closed."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Lost(error) from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
