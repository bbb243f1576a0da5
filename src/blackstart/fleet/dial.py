"""A TCP connection opened inside a place, for client libraries that take a socket."""

from __future__ import annotations

import socket
import ssl

from blackstart.fleet.model import Place
from blackstart.fleet.places import open_socket
from blackstart.fleet.stores import Tls


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
    """What to wrap such a socket in. Raises OSError when a file cannot be read, ssl.SSLError when it is none."""
    if tls is None:
        return None
    context = ssl.create_default_context(cafile=str(tls.ca))
    context.check_hostname = tls.server_name is not None
    if tls.cert and tls.key:
        context.load_cert_chain(tls.cert, tls.key)
    return context
