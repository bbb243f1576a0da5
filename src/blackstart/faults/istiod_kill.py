"""Kills a region's istiod: proxies keep what they know, and learn nothing new."""

from blackstart.faults.part_kill import PartKill

FAULT = PartKill("istiod")
