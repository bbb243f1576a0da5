"""Sockets opened inside a place: another network namespace of this machine.

A socket stays in the namespace in which it was created, so the calling thread
needs to be there only for the system call itself; no process is spawned. The same goes for
the user that a socket belongs to.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blackstart.fleet.model import ControlPath, Fleet, Place

_SELF = Path("/proc/thread-self/ns/net")


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
