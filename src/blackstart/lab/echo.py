"""The instant at which an address falls silent, to a millisecond: echo requests at a high rate while it happens."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from types import TracebackType

_INTERVAL = 0.0005
_REQUEST, _ANSWER = 8, 0


class Echo:
    """Sends ICMP echo requests to `host` while the block runs. Needs root.

    Afterwards `bounds` are the times (seconds of time.monotonic()) at which
    the last request that was answered and the one after it were sent; None
    when there was no answer at all, or no request after the last answer.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._id = os.getpid() & 0xFFFF
        self._sent: list[float] = []
        self._last = -1
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Echo:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def bounds(self) -> tuple[float, float] | None:
        if not 0 <= self._last < len(self._sent) - 1:
            return None
        return self._sent[self._last], self._sent[self._last + 1]

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
            sock.setblocking(False)
            sock.connect((self._host, 0))
            while not self._stop.is_set() and len(self._sent) < 0xFFFF:
                self._sent.append(time.monotonic())
                sock.send(request(self._id, len(self._sent) - 1))
                self._stop.wait(_INTERVAL)
                self._read(sock)

    def _read(self, sock: socket.socket) -> None:
        while True:
            try:
                packet = sock.recv(256)
            except BlockingIOError:
                return
            kind, _, _, sender, number = struct.unpack("!BBHHH", packet[20:28])
            if (kind, sender) == (_ANSWER, self._id):
                self._last = max(self._last, number)


def request(sender: int, number: int) -> bytes:
    """An ICMP echo request (RFC 792)."""
    bare = struct.pack("!BBHHH", _REQUEST, 0, 0, sender, number)
    return struct.pack("!BBHHH", _REQUEST, 0, checksum(bare), sender, number)


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071) of an even number of bytes."""
    words: tuple[int, ...] = struct.unpack(f"!{len(data) // 2}H", data)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
