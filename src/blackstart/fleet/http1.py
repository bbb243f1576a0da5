"""Where an HTTP/1.1 answer ends, and what it says (RFC 9112).

Small on purpose: a client that sends thousands of requests a second on time,
each once, beside everything else that a drill does, needs no more of HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_BODY = 64 * 1024
"""Bytes of an answer's body; a longer one is refused."""

_MAX_HEAD = 16 * 1024


class BadAnswer(ValueError):  # noqa: N818 - a property of the answer
    """What came is not HTTP/1.1, or is too long."""


@dataclass(frozen=True)
class Answer:
    """One answer. `keep`: the connection can be used again."""

    status: int
    body: bytes
    keep: bool

    @property
    def good(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


def parse(data: bytes, ended: bool = False, whole: bool = False) -> Answer | None:
    """The answer that `data` holds, None while it is incomplete; `ended`: the server sends no more. Raises BadAnswer.

    Of an answer other than 2xx the status is enough, unless it is wanted
    `whole`: when its body is not there yet the connection is not kept.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if not data.startswith(b"HTTP/1."[: len(data)]) or len(data) > _MAX_HEAD:
            raise BadAnswer(f"not an HTTP/1.1 answer: {data[:40]!r}")
        return None
    status, keep, headers = _head(data[:end])
    if status < 200:
        return parse(data[end + 4 :], ended, whole)
    whole = whole or 200 <= status < 300
    body, rest = _body(status, headers, data[end + 4 :], ended, whole)
    if body is not None:
        return Answer(status, body, keep and rest == b"")
    return None if whole else Answer(status, b"", keep=False)


def _head(head: bytes) -> tuple[int, bool, dict[bytes, bytes]]:
    """Status, whether the connection stays open, and the headers in lower case."""
    line, *lines = head.split(b"\r\n")
    version, _, status = line[:12].partition(b" ")
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or not status.isdigit():
        raise BadAnswer(f"not an HTTP/1.1 answer: {line[:40]!r}")
    fields = (field.partition(b":") for field in lines)
    headers = {name.strip().lower(): value.strip().lower() for name, _, value in fields}
    wanted = b"close" not in headers.get(b"connection", b"keep-alive" if version == b"HTTP/1.1" else b"close")
    framed = b"content-length" in headers or b"transfer-encoding" in headers or int(status) in (204, 304)
    return int(status), wanted and framed, headers


def _body(
    status: int, headers: dict[bytes, bytes], data: bytes, ended: bool, whole: bool
) -> tuple[bytes | None, bytes]:
    """The body, None while it is incomplete, and what follows it."""
    if status in (204, 304):
        return b"", data
    if b"transfer-encoding" in headers:
        return _chunks(data)
    if b"content-length" not in headers:
        _check(len(data))
        return (data if ended else None), b""
    size = _number(headers[b"content-length"], 10)
    if whole:
        _check(size)
    return (data[:size], data[size:]) if len(data) >= size else (None, b"")


def _chunks(data: bytes) -> tuple[bytes | None, bytes]:
    body = b""
    while True:
        line, found, data = data.partition(b"\r\n")
        if not found:
            return None, b""
        size = _number(line.partition(b";")[0].strip(), 16)
        _check(len(body) + size)
        if size == 0:
            return _trailer(body, data)
        if len(data) < size + 2:
            return None, b""
        body, data = body + data[:size], data[size + 2 :]


def _trailer(body: bytes, data: bytes) -> tuple[bytes | None, bytes]:
    if data.startswith(b"\r\n"):
        return body, data[2:]
    _, found, rest = data.partition(b"\r\n\r\n")
    return (body, rest) if found else (None, b"")


def _number(text: bytes, base: int) -> int:
    try:
        return int(text, base) if text[:1] not in (b"-", b"+") else _check(-1)
    except ValueError:
        raise BadAnswer(f"a length of {text[:40]!r}") from None


def _check(size: int) -> int:
    if not 0 <= size <= MAX_BODY:
        raise BadAnswer(f"longer than {MAX_BODY} bytes")
    return size
