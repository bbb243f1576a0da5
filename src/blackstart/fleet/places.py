"""Sockets opened inside a place: another network namespace of this machine.

A socket stays in the namespace in which it was created, so the calling thread
needs to be there only for the system call itself; no process is spawned.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blackstart.fleet.model import Place

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


def open_socket(
    place: Place,
    family: int = socket.AF_INET,
    kind: int = socket.SOCK_STREAM,
    proto: int = 0,
) -> socket.socket:
    """A socket that lives in the place; blocking, not connected."""
    with inside(place):
        return socket.socket(family, kind, proto)
