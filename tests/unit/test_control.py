"""The control probe: it proves a cut, dates it, and believes nothing else."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Server, black_hole, fleet, free_address, http

from blackstart.fleet.model import ControlPath
from blackstart.probes.control import ControlError, ControlProbe, Track, effect


def path(address: str) -> ControlPath:
    return ControlPath(place="here", address=address)


def ok(_: str) -> bytes:
    return http({"status": "ok"})


def track(cut: float, rtt: float, offset: float) -> Track:
    """What a way shows that is used every 10 ms, takes `rtt` to answer and is cut at `cut`."""
    found = Track("fresh")
    for k in range(120):
        at = offset + k * 0.01
        found.sent(at)
        if at + rtt <= cut:
            found.answered(at, rtt)
    return found


@settings(max_examples=50)
@given(
    cut=st.floats(0.5, 1.0),
    rtt=st.floats(0.0001, 0.2),
    offset=st.floats(0, 0.01),
)
def test_t0_contains_the_cut_and_is_as_fine_as_the_interval(cut: float, rtt: float, offset: float) -> None:
    found = effect({"a": [track(cut, rtt, offset), track(cut, rtt / 2, offset / 2)]}, apply_started=0.3)
    assert found.t0.earliest <= cut <= found.t0.latest + 1e-9
    assert found.t0.latest - found.t0.earliest <= 0.01 + rtt + 1e-9


def test_the_effect_spans_from_the_first_path_to_the_last() -> None:
    found = effect({"a": [track(0.5, 0.001, 0)], "b": [track(0.9, 0.001, 0)]}, apply_started=None)
    assert found.paths["a"].latest < found.paths["b"].earliest
    assert (found.t0.earliest, found.t0.latest) == (found.paths["a"].earliest, found.paths["b"].latest)


def test_t0_is_not_before_the_change() -> None:
    assert effect({"a": [track(0.5, 0.001, 0)]}, apply_started=0.505).t0.earliest == 0.505


def test_a_path_lost_before_the_fault_proves_nothing() -> None:
    with pytest.raises(ControlError, match=r"a \(fresh\) stopped answering 1\.5 s before"):
        effect({"a": [track(0.5, 0.001, 0)]}, apply_started=2.0)


def test_a_late_answer_takes_lost_attempts_back() -> None:
    found = Track("established")
    for at in (1.0, 1.1, 1.2):
        found.sent(at)
    found.answered(1.1, 0.3)
    assert found.silent(2.0) == pytest.approx(0.8)
    found.answered(1.0, 0.9)
    assert found.good == 1.1


def test_a_killed_server_is_dated_to_about_the_interval() -> None:
    with Server(ok) as server, ControlProbe(fleet(), [path(server.address)]) as probe:
        time.sleep(0.1)
        before = time.monotonic()
        server.shut()
        after = time.monotonic()
        found = probe.wait_effective(5, apply_started=before)
    assert before <= found.t0.earliest <= after + 0.05
    assert found.t0.latest >= before
    assert found.t0.latest - found.t0.earliest < 0.4, "a busy machine is late, but far from any time-out"
    assert "refused" in found.detail


def test_silence_counts_as_cut() -> None:
    silent = threading.Event()
    with (
        Server(lambda _: None if silent.is_set() else http({})) as server,
        ControlProbe(fleet(), [path(server.address)]) as probe,
    ):
        silent.set()
        # New connections still open, so it is not cut; the established one shows that it is silent.
        with pytest.raises(ControlError, match=r"after 0\.8 s still working: here -> .* \(fresh\)$"):
            probe.wait_effective(0.8)


def test_nothing_was_cut() -> None:
    with Server(ok) as server, ControlProbe(fleet(), [path(server.address)]) as probe:
        with pytest.raises(ControlError, match=r"\(established\), .* \(fresh\)"):
            probe.wait_effective(0.1)
        assert len(server.heads) > 3


def test_one_path_of_two_still_works() -> None:
    with (
        Server(ok) as cut,
        Server(ok) as open_,
        ControlProbe(fleet(), [path(cut.address), path(open_.address)]) as probe,
    ):
        cut.shut()
        with pytest.raises(ControlError, match=open_.address) as caught:
            probe.wait_effective(1.0)
    assert cut.address not in str(caught.value)


def test_a_path_that_flaps_back_is_not_cut() -> None:
    with Server(ok) as server, ControlProbe(fleet(), [path(server.address)]) as probe:
        server.shut()
        threading.Timer(0.2, server.again).start()
        with pytest.raises(ControlError, match="still working"):
            probe.wait_effective(1.0)


def test_a_server_that_ends_connections_now_and_then_is_no_cut() -> None:
    with Server(ok) as server, ControlProbe(fleet(), [path(server.address)]) as probe:
        for _ in range(3):
            server.drop()
            time.sleep(0.05)
        with pytest.raises(ControlError, match="established"):
            probe.wait_effective(0.1)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda _: None, "no answer"),
        (lambda _: b"SSH-2.0-x\r\n\r\n", "not an HTTP/1.1 answer"),
        (lambda _: b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "does not keep connections"),
        (lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", "longer than"),
    ],
)
def test_a_path_that_does_not_answer_before_the_fault_is_void(
    answer: object, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blackstart.probes.control.OPEN_WITHIN", 0.3)
    with Server(answer) as server, pytest.raises(ControlError, match=says):  # type: ignore[arg-type]
        ControlProbe(fleet(), [path(server.address)]).__enter__()


def test_a_server_that_closes_after_each_answer_is_void() -> None:
    with Server(ok, close=True) as server, pytest.raises(ControlError, match="proves nothing"):
        ControlProbe(fleet(), [path(server.address)]).__enter__()


def test_void_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackstart.probes.control.OPEN_WITHIN", 0.3)
    with black_hole() as hole:
        for address, says in [(hole, "no answer"), (free_address(), "refused"), ("example.org:80", "IP address")]:
            with pytest.raises(ControlError, match=says):
                ControlProbe(fleet(), [path(address)]).__enter__()
    with pytest.raises(ControlError, match="no control path"):
        ControlProbe(fleet(), []).__enter__()


def test_chunked_answers_are_followed() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    with Server(lambda _: chunked) as server, ControlProbe(fleet(), [path(server.address)]):
        time.sleep(0.1)
        assert len(server.heads) > 3
