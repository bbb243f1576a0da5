"""Sockets opened inside a place: another network namespace of this machine.

A socket stays in the namespace in which it was created, so the calling thread
needs to be there only for the system call itself; no process is spawned. The same goes for
the user that a socket belongs to.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blackstart.fleet.model import ControlPath, Fleet, Place

_SELF = Path("/proc/thread-self/ns/net")
_SIOCGIFCONF = 0x8912
_IFREQ = 40
_MOST_ADDRESSES = 1024


@contextmanager
def inside(place: Place) -> Iterator[None]:
    """Put the calling thread into the place's network namespace for the length of the block.

    Nothing in the block may await or hand work to other threads. Raises
    OSError when the namespace is not there or the caller is not root.
    """
    if place.netns is None:
        yield
        return
    home = os.open(_SELF, os.O_RDONLY)
    try:
        there = os.open(place.netns, os.O_RDONLY)
        try:
            os.setns(there, os.CLONE_NEWNET)
        finally:
            os.close(there)
        try:
            yield
        finally:
            os.setns(home, os.CLONE_NEWNET)
    finally:
        os.close(home)


def place_of(fleet: Fleet, path: ControlPath) -> Place:
    """Where, and as which user, a control path begins."""
    place = fleet.places[path.place]
    return place if path.uid is None else place.model_copy(update={"uid": path.uid})


@contextmanager
def as_user(uid: int | None) -> Iterator[None]:
    """Let what the calling thread opens in the block belong to a user. Raises OSError unless the caller is root."""
    if uid is None:
        yield
        return
    # Of this thread only, unlike setuid; its answer is the user before, never an error.
    libc = ctypes.CDLL(None)
    before = libc.setfsuid(uid)
    try:
        if libc.setfsuid(-1) != uid:
            raise PermissionError(errno.EPERM, f"sockets of user {uid} need root")
        yield
    finally:
        libc.setfsuid(before)


def open_socket(
    place: Place,
    family: int = socket.AF_INET,
    kind: int = socket.SOCK_STREAM,
    proto: int = 0,
) -> socket.socket:
    """A socket that lives in the place; blocking, not connected."""
    with inside(place), as_user(place.uid):
        return socket.socket(family, kind, proto)


def addresses(place: Place) -> list[str]:
    """The IPv4 addresses of the place's interfaces, loopback left out. Raises OSError."""
    buffer = array.array("B", bytes(_MOST_ADDRESSES * _IFREQ))
    where, length = buffer.buffer_info()
    with open_socket(place, kind=socket.SOCK_DGRAM) as sock:
        # struct ifconf: how long the buffer is, and where.
        used, _ = struct.unpack("iP", fcntl.ioctl(sock, _SIOCGIFCONF, struct.pack("iP", length, where)))
    found = [socket.inet_ntoa(buffer[at + 20 : at + 24].tobytes()) for at in range(0, used, _IFREQ)]
    return [address for address in dict.fromkeys(found) if not address.startswith("127.")]


def source_of(place: Place, host: str, port: int) -> str:
    """The address from which the place reaches an IPv4 address; nothing is sent. Raises OSError."""
    with open_socket(place, kind=socket.SOCK_DGRAM) as sock:
        sock.connect((host, port))
        return str(sock.getsockname()[0])
