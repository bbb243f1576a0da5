"""Chaos and disaster-recovery drills for multi-cluster Kubernetes."""

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("blackstart")

__all__ = ["__version__", "discover"]


def discover(discover_system: bool = True) -> dict[str, Any]:
    """The activities of this package, for `chaos discover --no-install blackstart`."""
    # Chaos Toolkit asks the top-level package; nobody else should pay for the import, nor depend on it.
    activities: dict[str, Any] = import_module("blackstart.activities.discovery").discover(discover_system)
    return activities
