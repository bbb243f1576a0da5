"""A VirtualService answers a share of requests itself, with an error."""

from __future__ import annotations

from typing import Any

from blackstart.faults.base import FaultError
from blackstart.faults.client_side import ClientSide, percentage
from blackstart.faults.paths import Answered
from blackstart.faults.routes import Route


class MeshAbort(ClientSide):
    """`spec.http[].fault.abort`."""

    kind = "mesh-abort"

    def args(self, args: dict[str, Any]) -> dict[str, Any]:
        """`percentage` (100) and `status` (503)."""
        status = args.get("status", 503)
        if isinstance(status, bool) or not isinstance(status, int) or not 400 <= status <= 599:
            raise FaultError(f"mesh-abort: `status` is an HTTP status from 400 to 599, not {status!r}")
        return {"percentage": percentage(args), "status": status}

    def change(self, route: Route, data: dict[str, Any]) -> None:
        """Abort on this route, whatever else its fault is."""
        abort = {"percentage": {"value": data["percentage"]}, "httpStatus": data["status"]}
        route["fault"] = {**(route.get("fault") or {}), "abort": abort}

    def felt(self, found: Answered, data: dict[str, Any]) -> bool:
        """The status is the fault's."""
        return bool(found.status == data["status"])


FAULT = MeshAbort()
