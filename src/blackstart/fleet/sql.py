"""One connection to a MariaDB or MySQL server of a fleet, from its place; short timeouts, no retries."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import DictCursor, SSCursor

from blackstart.fleet.dial import dial, hide, secrets_of, tls_context
from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Fleet
from blackstart.fleet.stores import Login, Member, Store

_PAGE = 5000
_ACCESS_DENIED = {1044, 1045, 1142, 1143, 1227, 1698}


class SqlError(FleetError):
    """The server did not do what it was asked; `code` is its error number, 0 when none came.

    `kind` is `refused`, `timeout`, `unauthorised` or `malformed`, as for probes.
    """

    def __init__(self, message: str, code: int, kind: str) -> None:
        super().__init__(message)
        self.code, self.kind = code, kind


class Sql:
    """A session. Every statement ends within the deadline of the connection, or raises SqlError."""

    def __init__(self, connection: Connection[DictCursor], where: str, secrets: Sequence[str] = ()) -> None:
        self._connection, self._where, self._secrets = connection, where, secrets

    def rows(self, statement: str, arguments: Sequence[object] | None = None) -> list[dict[str, Any]]:
        """What a statement yields, a row as a dictionary by column name. `%` is literal without arguments."""
        try:
            with self._connection.cursor() as cursor:
                # None, not (): else a literal % in the statement is taken for a place of an argument.
                cursor.execute(statement, tuple(arguments) if arguments else None)
                return list(cursor.fetchall())
        except Exception as error:  # noqa: BLE001 - PyMySQL raises anything at bytes that it does not expect
            raise _error(error, self._where, self._secrets) from None

    def row(self, statement: str, arguments: Sequence[object] | None = None) -> dict[str, Any]:
        """The first row; empty when there is none."""
        return next(iter(self.rows(statement, arguments)), {})

    def pages(self, statement: str, arguments: Sequence[object] | None = None) -> Iterator[list[tuple[Any, ...]]]:
        """What a statement yields, as of one moment, page by page."""
        try:
            with self._connection.cursor(SSCursor) as cursor:
                cursor.execute(statement, tuple(arguments) if arguments else None)
                while rows := cursor.fetchmany(_PAGE):
                    yield list(rows)
        except Exception as error:  # noqa: BLE001 - PyMySQL raises anything at bytes that it does not expect
            raise _error(error, self._where, self._secrets) from None

    def run(self, statement: str, arguments: Sequence[object] | None = None) -> None:
        """A statement whose rows nobody needs."""
        self.rows(statement, arguments)


@contextmanager
def connect(fleet: Fleet, store: Store, member: Member, login: Login, deadline: float = 2.0) -> Iterator[Sql]:
    """A session with autocommit. `deadline` (seconds) bounds the connect and each statement.

    Raises SqlError; SecretError when the password cannot be read.
    """
    where = f"{store.kind} {member.address} from {member.place}"
    host, _, port = member.address.rpartition(":")
    secrets = secrets_of(store, login)
    try:
        connection: Connection[DictCursor] = pymysql.connect(
            # Only the name in the certificate: the socket is ours.
            host=(store.tls and store.tls.server_name) or host,
            port=int(port),
            user=login.user,
            # Bytes: PyMySQL takes text for Latin-1, and shows a letter that is none.
            password=login.password.reveal().encode() if login.password else "",
            cursorclass=DictCursor,
            autocommit=True,
            connect_timeout=deadline,
            read_timeout=deadline,
            write_timeout=deadline,
            ssl=tls_context(store.tls),
            defer_connect=True,
        )
        connection.connect(dial(fleet.places[member.place], host, int(port), deadline))
    except Exception as error:  # noqa: BLE001 - PyMySQL raises anything at bytes that it does not expect
        raise _error(error, where, secrets) from None
    with closing(connection):
        yield Sql(connection, where, secrets)


def _error(error: Exception, where: str, secrets: Sequence[str]) -> SqlError:
    cause = getattr(error, "original_exception", None) or error
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    said = str(error.args[1]) if len(error.args) > 1 else str(error)
    if isinstance(cause, TimeoutError) or "timed out" in said:
        kind = "timeout"
    elif isinstance(cause, ssl.SSLError):
        kind = "malformed"
    elif code in _ACCESS_DENIED:
        kind = "unauthorised"
    elif isinstance(error, OSError | pymysql.OperationalError | pymysql.InterfaceError):
        kind = "refused"
    else:
        kind = "malformed"
    message = hide(f"{where}: {said or type(error).__name__}", secrets)
    return SqlError(message, 0 if isinstance(error, OSError) else code, kind)
