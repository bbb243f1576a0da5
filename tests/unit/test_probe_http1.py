"""Where an HTTP answer ends, in whatever pieces it comes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackstart.fleet.http1 import MAX_BODY, Answer, BadAnswer, parse

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
TRAILER = CHUNKS[:-2] + b"X-Sum: 1\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@given(st.sampled_from([LENGTH, CHUNKS, TRAILER, CONTINUE + LENGTH]), st.data())
def test_no_piece_of_an_answer_is_taken_for_all_of_it(whole: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert parse(whole[:cut]) is None
    assert parse(whole[:cut], ended=True) is None
    assert parse(whole) == Answer(200, b"hello", keep=True)


@pytest.mark.parametrize(
    ("answer", "keep"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nnoise", False),
    ],
)
def test_whether_the_connection_can_be_used_again(answer: bytes, keep: bool) -> None:
    found = parse(answer)
    assert found is not None
    assert (found.body, found.keep) == (b"", keep)


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    assert parse(b"HTTP/1.1 200 OK\r\n\r\nhel") is None
    assert parse(b"HTTP/1.1 200 OK\r\n\r\nhello", ended=True) == Answer(200, b"hello", keep=False)


def test_of_a_bad_status_the_body_is_not_waited_for() -> None:
    assert parse(b"HTTP/1.1 503 Busy\r\nContent-Length: 999999\r\n\r\n") == Answer(503, b"", keep=False)
    assert parse(b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno") == Answer(503, b"no", keep=True)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000,
    ],
)
def test_what_is_no_answer(answer: bytes) -> None:
    with pytest.raises(BadAnswer):
        parse(answer)


@given(st.binary(max_size=200), st.booleans())
def test_noise_never_crashes_it(noise: bytes, ended: bool) -> None:
    for data in (noise, b"HTTP/1.1 200 OK\r\n" + noise, CHUNKS[:46] + noise):
        with suppress(BadAnswer):
            assert isinstance(parse(data, ended), Answer | None)
