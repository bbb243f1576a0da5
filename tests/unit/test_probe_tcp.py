"""`tcp` probes."""

from __future__ import annotations

import asyncio
import time

import pytest
from loopback import Server, black_hole, fleet, free_address

from blackstart.evidence.records import Reading, Reason
from blackstart.probes import read
from blackstart.probes.base import Scope
from blackstart.probes.tcp import Spec


def look(address: str) -> Reading:
    (found,) = asyncio.run(read(Spec(probe="p", address=address, place="here", deadline=1.0), Scope(fleet())))
    return found


def test_an_open_port() -> None:
    with Server(lambda _: None) as server:
        found = look(server.address)
    assert found.key == f"here->{server.address}"
    assert 0 < (found.value or 0) < 1


def test_no_data_has_a_reason() -> None:
    assert look(free_address()).no_data is Reason.REFUSED
    assert look("shop.example:80").no_data is Reason.MALFORMED
    with black_hole() as hole:
        started = time.monotonic()
        assert look(hole).no_data is Reason.TIMEOUT
        assert time.monotonic() - started < 3


def test_every_path_of_a_link() -> None:
    (found,) = asyncio.run(read(Spec(probe="p", link="us-eu"), Scope(fleet())))
    assert (found.key, found.no_data) == ("here->127.0.0.1:1", Reason.REFUSED)
    (found,) = asyncio.run(read(Spec(probe="p", link="us-as"), Scope(fleet())))
    assert found.no_data is Reason.MALFORMED
    assert "us-eu" in found.detail


@pytest.mark.parametrize("keys", [{}, {"address": "127.0.0.1:1"}, {"place": "here", "link": "us-eu"}])
def test_specs_that_contradict_themselves(keys: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"needs|go together"):
        Spec(probe="p", **keys)  # type: ignore[arg-type]  # texts, all of them
