"""The kernel's own word on cuts: what is listed is there, what has expired is not."""

from __future__ import annotations

import time

import pytest

from blackstart.fleet import nft
from blackstart.fleet.model import Fleet


def test_a_cut_is_listed_renewed_and_expires(lab: Fleet) -> None:
    link, us = lab.links["us-eu"], lab.places["us"]
    nft.cut(lab, nft.of_links([link]), "t-1", 2.0)
    try:
        assert nft.tables(us) == ["bs_fault_t_1"]
        assert nft.is_cut(us, "t-1")
        time.sleep(1.2)
        nft.renew(lab, nft.of_links([link]), "t-1", 2.0)
        time.sleep(1.2)
        assert nft.is_cut(us, "t-1")
        time.sleep(1.2)
        assert not nft.is_cut(us, "t-1")
        with pytest.raises(nft.Expired):
            nft.renew(lab, nft.of_links([link]), "t-1", 2.0)
    finally:
        nft.heal(lab, nft.of_links([link]), "t-1")
    assert nft.tables(us) == []
