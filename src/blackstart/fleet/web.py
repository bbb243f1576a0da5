"""HTTP from a place: one attempt, no redirects, a bounded answer.

Not one of the usual clients: they send a GET again when a kept connection
turns out to be closed, and cost so much that the schedule of a fast stream
suffers.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, lru_cache
from types import TracebackType
from urllib.parse import urlsplit

from blackstart.fleet.headers import Pairs
from blackstart.fleet.http1 import Answer, BadAnswer, parse
from blackstart.fleet.model import Place
from blackstart.fleet.sockets import connect_to

_IDLE = 8
_DNS_TTL = 1.0

Address = tuple[socket.AddressFamily, str]

Endpoint = tuple[str, int, bool]
"""Host, port, whether TLS."""


@dataclass(frozen=True)
class Request:
    """A request, ready to be sent; it may hold secrets. `whole`: of an error, too, the body matters."""

    endpoint: Endpoint
    data: bytes = field(repr=False)
    whole: bool = False


@lru_cache(maxsize=1024)
def request_of(url: str, keep: bool = True, headers: Pairs = ()) -> Request:
    """The GET for a URL, with headers beside the client's own, or in their place. Raises ValueError."""
    endpoint, target, host = _parts(url)
    return Request(endpoint, get_head(target, host, keep, headers))


def post(url: str, body: bytes, headers: Pairs) -> Request:
    """A POST of JSON for a connection of its own, its answer wanted whole. Raises ValueError."""
    endpoint, target, host = _parts(url)
    framing = (("Content-Type", "application/json"), ("Content-Length", str(len(body))))
    return Request(endpoint, _head("POST", target, host, keep=False, headers=(*framing, *headers)) + body, whole=True)


def _parts(url: str) -> tuple[Endpoint, str, str]:
    """Where a URL leads, what is asked there, and the header Host."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or any(c <= " " for c in url):
        raise ValueError(f"{url!r} is not a URL with a host; write it like http://198.18.0.1:80/")
    tls = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    endpoint = (parts.hostname, parts.port or (443 if tls else 80), tls)
    return endpoint, target, parts.netloc.rpartition("@")[2]


def get_head(target: str, host: str, keep: bool, headers: Pairs = ()) -> bytes:
    """The whole of a GET."""
    return _head("GET", target, host, keep, headers)


def _head(method: str, target: str, host: str, keep: bool, headers: Pairs) -> bytes:
    own = {"Host": host, "User-Agent": "blackstart", "Accept-Encoding": "identity"}
    said = {name.lower() for name, _ in headers}
    fields = [(name, value) for name, value in own.items() if name.lower() not in said] + list(headers)
    lines = [f"{name}: {value}" for name, value in fields]
    end = [] if keep else ["Connection: close"]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, *end, "\r\n"]).encode()


def check_host(url: str, place: Place) -> None:
    """Refuse a URL that cannot be asked from `place`: names would be resolved here, not there. Raises ValueError."""
    host = request_of(url).endpoint[0]
    if place.netns is not None and _ip(host) is None:
        raise ValueError(
            f"{url}: the name {host!r} would be resolved here, not inside {place.netns}; use its IP address"
        )


class Connection(asyncio.Protocol):
    """One connection; one request at a time. `open` is false once either side has closed it."""

    def __init__(self) -> None:
        self.open = False
        self._data = b""
        self._whole = False
        self._answer: asyncio.Future[Answer] | None = None

    async def ask(self, request: Request) -> Answer:
        """Send the request, wait for the whole answer. Raises OSError, BadAnswer; the caller sets the deadline."""
        self._answer = asyncio.get_running_loop().create_future()
        if not self.open:
            raise _reset()
        self._whole = request.whole
        self._transport.write(request.data)
        try:
            return await self._answer
        finally:
            self._data, self._answer = b"", None

    def close(self) -> None:
        """Close at once."""
        self.open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A transport of this connection is ready."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of create_connection
        self._transport = transport
        self.open = True

    def data_received(self, data: bytes) -> None:
        """A part of the answer, or noise nobody asked for."""
        if self._answer is None:
            self.close()
            return
        self._data += data
        self._parse(ended=False)

    def eof_received(self) -> None:
        """The server sends no more, which ends an answer without a length."""
        self.open = False
        self._parse(ended=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.open = False
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or _reset())

    def _parse(self, ended: bool) -> None:
        if self._answer is None or self._answer.done():
            return
        try:
            answer = parse(self._data, ended, self._whole) if self._data else None
        except BadAnswer as error:
            self._answer.set_exception(error)
        else:
            if answer:
                self._answer.set_result(answer)
            elif ended:
                self._answer.set_exception(_reset())


@dataclass
class Session:
    """Connections from one place. `keep`: an idle one is used again; otherwise each request opens its own.

    The number in use is not limited here: those who send limit it.
    """

    place: Place
    keep: bool
    _idle: dict[Endpoint, list[Connection]] = field(default_factory=dict)
    _resolver: _Resolver = field(default_factory=lambda: _Resolver())  # noqa: PLW0108 - defined below

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        # Transports tell of their end in the next turn of the loop.
        await asyncio.sleep(0)

    async def get(self, url: str, headers: Pairs = ()) -> Answer:
        """Ask once. Raises OSError, BadAnswer, ValueError; the caller sets the deadline."""
        return await self.ask(request_of(url, self.keep, headers))

    async def ask(self, request: Request) -> Answer:
        """The same for any request."""
        idle = self._idle.setdefault(request.endpoint, [])
        while idle:
            if (connection := idle.pop()).open:
                break
        else:
            connection = await open_connection(self.place, request.endpoint, self._resolver)
        kept = False
        try:
            answer = await connection.ask(request)
            kept = self.keep and answer.keep and connection.open and len(idle) < _IDLE
        finally:
            idle.append(connection) if kept else connection.close()
        return answer


def session(place: Place, keep: bool) -> Session:
    """A session, to be used in an `async with`."""
    return Session(place, keep)


async def get(client: Session, url: str, headers: Pairs = ()) -> Answer:
    """Ask once: see Session.get."""
    return await client.get(url, headers)


async def open_connection(
    place: Place, endpoint: Endpoint, resolver: _Resolver | None = None, trusting: bool = False
) -> Connection:
    """Connect from the place; the addresses of a name are tried in turn. Raises OSError, ValueError.

    `trusting`: whoever answers over TLS will do.
    """
    host, port, tls = endpoint
    ip = _ip(host)
    if ip is None and place.netns is not None:
        raise ValueError(f"the name {host!r} cannot be resolved inside {place.netns}; use its IP address")
    addresses = [ip] if ip else await (resolver or _Resolver()).addresses(host)
    sock = await _connect_any(place, addresses, port)
    loop = asyncio.get_running_loop()
    if not tls:
        _, connection = await loop.create_connection(Connection, sock=sock)
    else:
        context = anyone() if trusting else _tls()
        _, connection = await loop.create_connection(Connection, sock=sock, ssl=context, server_hostname=host)
    return connection


async def _connect_any(place: Place, addresses: Sequence[Address], port: int) -> socket.socket:
    for family, address in addresses[:-1]:
        with suppress(OSError):
            return await connect_to(place, family, address, port)
    return await connect_to(place, *addresses[-1], port)


class _Resolver:
    """Looks names up, at most once a second each."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, asyncio.Task[list[Address]]]] = {}

    async def addresses(self, host: str) -> list[Address]:
        looked, task = self._known.get(host, (0.0, None))
        if task is None or time.monotonic() - looked > _DNS_TTL:
            task = asyncio.create_task(self._look_up(host))
            self._known[host] = (time.monotonic(), task)
        # One who gives up must not end the look-up for the others.
        return await asyncio.shield(task)

    @staticmethod
    async def _look_up(host: str) -> list[Address]:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return [(info[0], str(info[4][0])) for info in found]


def _reset() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "closed before the answer was complete")


@lru_cache(maxsize=1024)
def _ip(host: str) -> Address | None:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    return (socket.AF_INET if ip.version == 4 else socket.AF_INET6), host


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@cache
def anyone() -> ssl.SSLContext:
    """TLS with whoever answers: for proof that packets get through, not for secrets."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


__all__ = [
    "Answer",
    "BadAnswer",
    "Connection",
    "Request",
    "Session",
    "check_host",
    "get",
    "open_connection",
    "post",
    "request_of",
    "session",
]
