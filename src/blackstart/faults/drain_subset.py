"""A VirtualService sends nothing to one subset any more; the others take its share."""

from __future__ import annotations

from typing import Any

from blackstart.faults.base import FaultError
from blackstart.faults.routes import Route, Routes


class DrainSubset(Routes):
    """`spec.http[].route[].weight`."""

    kind = "drain-subset"

    def args(self, args: dict[str, Any]) -> dict[str, Any]:
        """`subset` by name."""
        subset = args.get("subset")
        if not isinstance(subset, str) or not subset:
            raise FaultError(f"drain-subset: `subset` is the name of a subset, not {subset!r}")
        return {"subset": subset}

    def change(self, route: Route, data: dict[str, Any]) -> None:
        """Weight 0 for the subset, its weight to the others by theirs; nothing where there are no others."""
        all_ = route["route"]
        drained = [to for to in all_ if (to.get("destination") or {}).get("subset") == data["subset"]]
        others = [to for to in all_ if to not in drained]
        weight = sum(to.get("weight", 0) for to in drained)
        if not others or not weight:
            return
        for to in drained:
            to["weight"] = 0
        for to, more in zip(others, shares(weight, [to.get("weight", 0) for to in others]), strict=True):
            to["weight"] = to.get("weight", 0) + more


def shares(weight: int, of: list[int]) -> list[int]:
    """`weight` in whole parts, as nearly as can be in the proportions of some numbers; evenly when all are 0."""
    base = of if sum(of) else [1] * len(of)
    parts = [weight * number // sum(base) for number in base]
    parts[base.index(max(base))] += weight - sum(parts)
    return parts


FAULT = DrainSubset()
