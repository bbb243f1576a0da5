"""One connection to a Redis server of a fleet, from its place; short timeouts, no retries."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from blackstart.fleet.dial import dial, hide, secrets_of, tls_context
from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Fleet, Place
from blackstart.fleet.stores import Login, Member, Store


class RedisError(FleetError):
    """The server did not do what it was asked.

    `kind` is `refused`, `timeout`, `unauthorised` or `malformed`, as for probes.
    """

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class _BadTls(redis.RedisError):
    """Not a server with the certificate that was asked for."""


class _Placed(redis.Connection):
    """A connection whose socket lives in a place."""

    def __init__(self, place: Place, tls: ssl.SSLContext | None, server_name: str | None, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._place, self._tls, self._server_name = place, tls, server_name

    def _connect(self) -> socket.socket:
        deadline = float(self.socket_timeout or 2.0)
        sock = dial(self._place, self.host, int(self.port), deadline)
        try:
            return self._tls.wrap_socket(sock, server_hostname=self._server_name) if self._tls else sock
        except ssl.SSLError as error:
            raise _BadTls(f"TLS: {error.reason or error}") from None
        finally:
            # Wrapped, it has handed its descriptor on; else it is not needed any more.
            if self._tls:
                sock.close()


@contextmanager
def connect(fleet: Fleet, store: Store, member: Member, login: Login, deadline: float = 2.0) -> Iterator[redis.Redis]:
    """A client of one server; answers are text. `deadline` (seconds) bounds the connect and each command.

    What goes wrong with the server inside the block raises RedisError; a
    password that cannot be read, SecretError.
    """
    host, _, port = member.address.rpartition(":")
    where = f"redis {member.address} from {member.place}"
    secrets = secrets_of(store, login)
    try:
        tls = tls_context(store.tls)
    except OSError as error:
        raise RedisError(f"{where}: {error.strerror}", "malformed") from None
    pool = redis.ConnectionPool(
        connection_class=_Placed,
        place=fleet.places[member.place],
        tls=tls,
        server_name=store.tls.server_name if store.tls else None,
        host=host,
        port=int(port),
        username=login.user or None,
        password=login.password.reveal() if login.password else None,
        # A server that answers 3 differently from what is written down here is not asked for it.
        protocol=2,
        socket_timeout=deadline,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
    )
    client = redis.Redis(connection_pool=pool)
    try:
        yield client
    except redis.RedisError as error:
        raise _error(error, where, secrets) from None
    finally:
        pool.disconnect()


def _error(error: redis.RedisError, where: str, secrets: Sequence[str]) -> RedisError:
    said = str(error)
    if isinstance(error, redis.TimeoutError):
        kind = "timeout"
    elif isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
        kind = "unauthorised"
    elif isinstance(error, redis.ConnectionError):
        kind = "refused"
    else:
        kind = "malformed"
    return RedisError(hide(f"{where}: {said or type(error).__name__}", secrets), kind)
