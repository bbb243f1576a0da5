"""A VirtualService holds a share of requests up."""

from __future__ import annotations

from typing import Any

from blackstart.faults.base import FaultError
from blackstart.faults.client_side import ClientSide, percentage
from blackstart.faults.paths import Answered
from blackstart.faults.routes import Route


class MeshDelay(ClientSide):
    """`spec.http[].fault.delay`."""

    kind = "mesh-delay"

    def args(self, args: dict[str, Any]) -> dict[str, Any]:
        """`delay` in seconds, and `percentage` (100)."""
        delay = args.get("delay")
        if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0.001 <= delay <= 10:
            raise FaultError(f"mesh-delay: `delay` is a number of seconds from 0.001 to 10, not {delay!r}")
        return {"percentage": percentage(args), "delay": float(delay)}

    def change(self, route: Route, data: dict[str, Any]) -> None:
        """Delay on this route, whatever else its fault is."""
        delay = {"percentage": {"value": data["percentage"]}, "fixedDelay": f"{data['delay']:g}s"}
        route["fault"] = {**(route.get("fault") or {}), "delay": delay}

    def felt(self, found: Answered, data: dict[str, Any]) -> bool:
        """It took at least as long; how the answer ends does not matter."""
        return bool(found.took >= data["delay"])


FAULT = MeshDelay()
