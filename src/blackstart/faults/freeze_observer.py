"""Lets a region's Prometheus or its Thanos sidecar stand still: it takes connections, and never answers."""

from blackstart.faults.observer_power import ObserverPower

FAULT = ObserverPower("freeze")
