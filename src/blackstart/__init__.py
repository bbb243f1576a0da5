"""Chaos and disaster-recovery drills for multi-cluster Kubernetes."""

from importlib import import_module
from typing import Any

__version__: str

__all__ = ["__version__", "discover"]


def __getattr__(name: str) -> str:
    """`__version__`, when somebody asks for it: finding it costs more than the rest of the help."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    version: str = import_module("importlib.metadata").version("blackstart")
    return version


def discover(discover_system: bool = True) -> dict[str, Any]:
    """The activities of this package, for `chaos discover --no-install blackstart`."""
    # Chaos Toolkit asks the top-level package; nobody else should pay for the import, nor depend on it.
    activities: dict[str, Any] = import_module("blackstart.activities.discovery").discover(discover_system)
    return activities
