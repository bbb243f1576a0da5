"""A region that answers nothing and sends nothing: as its links look after a real loss.

Both directions are dropped, so that the last words of dying processes (FIN,
RST) do not get out; nobody is left inside whom a local drop could tell.
"""

from __future__ import annotations

from blackstart.fleet.model import Place
from blackstart.fleet.places import inside
from blackstart.lab.shell import LabError, run
from blackstart.lab.topology import RegionNet

_TABLE = "bs_power"
_RULES = f"""
table inet {_TABLE} {{
  chain in {{
    type filter hook prerouting priority -500;
    iifname != "lo" drop
  }}
  chain out {{
    type filter hook postrouting priority 500;
    oifname != "lo" drop
  }}
}}
"""


def silence(region: RegionNet) -> None:
    """Drop whatever comes in or goes out. Idempotent."""
    # Declared before it is deleted, so that the deletion finds it: one transaction either way.
    _nft(region, "-f", "-", stdin=f"table inet {_TABLE}\ndelete table inet {_TABLE}\n{_RULES}")


def unsilence(region: RegionNet) -> None:
    """Undo `silence`. Idempotent."""
    _nft(region, "-f", "-", stdin=f"table inet {_TABLE}\ndelete table inet {_TABLE}\n")


def is_silent(region: RegionNet) -> bool:
    """Whether `silence` holds. Raises LabError when the region is not there at all."""
    return f"table inet {_TABLE}" in _nft(region, "list", "tables").splitlines()


def _nft(region: RegionNet, *args: str, stdin: str = "") -> str:
    try:
        with inside(Place(netns=region.netns)):
            return run(["nft", *args], stdin=stdin)
    except FileNotFoundError:
        raise LabError(f"region {region.name} is not there: no {region.netns}") from None
