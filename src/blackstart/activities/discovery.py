"""What `chaos discover --no-install blackstart` lists."""

from __future__ import annotations

from typing import Any

from chaoslib.discovery.discover import discover_actions, discover_probes, initialize_discovery_result

from blackstart import __version__


def discover(discover_system: bool = True) -> dict[str, Any]:
    """Every activity of this package, with its arguments and help."""
    discovery: dict[str, Any] = initialize_discovery_result("blackstart", __version__, "blackstart")
    discovery["activities"] += discover_actions("blackstart.activities.faults")
    discovery["activities"] += discover_actions("blackstart.activities.backups")
    discovery["activities"] += discover_probes("blackstart.activities.probes")
    return discovery
