"""A TCP connection opened inside a place, for client libraries that take a socket, and what they may say of it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

from blackstart.fleet.model import Place
from blackstart.fleet.places import open_socket
from blackstart.fleet.stores import Login, Store, Tls
from blackstart.schema.secret import SecretError


def dial(place: Place, host: str, port: int, deadline: float) -> socket.socket:
    """A connected socket whose every operation ends within `deadline` seconds.

    Raises OSError. `host` is an address or a name that this machine resolves.
    """
    family, kind, proto, _, address = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0]
    sock = open_socket(place, family, kind, proto)
    try:
        sock.settimeout(deadline)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def tls_context(tls: Tls | None) -> ssl.SSLContext | None:
    """What to wrap such a socket in. Raises OSError, which names the file, when one cannot be used."""
    if tls is None:
        return None
    try:
        context = ssl.create_default_context(cafile=str(tls.ca))
        # The authorities that MySQL makes for itself lack what Python 3.13 asks for beyond the standard checks.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.check_hostname = tls.server_name is not None
        if tls.cert and tls.key:
            context.load_cert_chain(tls.cert, tls.key)
    except OSError as error:
        files = ", ".join(str(file) for file in (tls.ca, tls.cert, tls.key) if file)
        raise OSError(error.errno, f"cannot use the files of `tls` ({files}): {error.strerror or error}") from None
    return context


def secrets_of(store: Store, login: Login) -> tuple[str, ...]:
    """What no message may hold: the login's password and, since statements may hold it, the replicas'."""
    secrets = [login.password.reveal()] if login.password else []
    if store.replication and store.replication.password:
        # One that cannot be read is in no statement either.
        with suppress(SecretError):
            secrets.append(store.replication.password.reveal())
    return tuple(secrets)


def hide(text: str, secrets: Sequence[str]) -> str:
    """The text without the secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
