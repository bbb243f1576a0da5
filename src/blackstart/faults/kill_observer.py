"""Kills a region's Prometheus or its Thanos sidecar: who watches the region is gone, its services go on."""

from blackstart.faults.observer_power import ObserverPower

FAULT = ObserverPower("kill")
