"""Makes the replica of a region the primary; the old one may be dead, and is fenced where it answers."""

from __future__ import annotations

from blackstart.procedures.base import Kind
from blackstart.procedures.moves import promote
from blackstart.procedures.onstore import OnStore

STEP: Kind = OnStore("promote", lambda site, region, _: promote(site, region))
