"""Moves the primary as planned, writers on, without loss; who was it follows."""

from __future__ import annotations

from blackstart.procedures.base import Kind
from blackstart.procedures.moves import switch_back
from blackstart.procedures.onstore import OnStore

STEP: Kind = OnStore("switch_back", lambda site, region, _: switch_back(site, region))
