"""Salvages what only one server has, and fills it anew from the primary."""

from __future__ import annotations

from blackstart.procedures.base import Kind
from blackstart.procedures.moves import rebuild
from blackstart.procedures.onstore import OnStore

STEP: Kind = OnStore("rebuild", lambda site, region, _: rebuild(site, region))
