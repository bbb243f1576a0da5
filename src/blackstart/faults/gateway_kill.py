"""Kills a region's ingress gateway: its clients find nobody, the region's pods go on."""

from blackstart.faults.part_kill import PartKill

FAULT = PartKill("gateway")
