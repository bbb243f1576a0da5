"""Which regions an experiment touches, for the locks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from blackstart.fleet.model import Fleet
from blackstart.schema.procedure import Step

_OURS = ("blackstart.activities.faults", "blackstart.activities.backups")


def touched(
    experiment: Mapping[str, Any], fleet: Fleet, victims: tuple[str, ...], steps: Iterable[Step] = ()
) -> list[str]:
    """The regions that its actions name, the drill's victims, those that are restored into.

    Every region where an action does not say.
    """
    found: set[str] = set(victims)
    found.update(fleet.roles.get(step.restore.target, step.restore.target) for step in steps if step.restore)
    for activity in experiment.get("method") or []:
        if activity.get("type") != "action":
            continue
        provider = activity.get("provider") or {}
        if provider.get("module") not in _OURS:
            return sorted(fleet.regions)
        found.update(_named(provider.get("arguments") or {}, fleet))
    return sorted(found or fleet.regions)


def _named(arguments: Mapping[str, Any], fleet: Fleet) -> Iterator[str]:
    ends = arguments.get("link")
    for role in [arguments.get("region"), *(ends if isinstance(ends, list) else [])]:
        name = fleet.roles.get(str(role), str(role))
        if name in fleet.regions:
            yield name
    store = fleet.roles.get(str(arguments.get("store")), str(arguments.get("store")))
    if store in fleet.stores:
        # Who replicates with whom is known only when it is looked at.
        yield from fleet.stores[store].members
