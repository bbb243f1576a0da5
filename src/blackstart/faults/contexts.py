"""Finds activities that would fall back to the current kube context: whatever that happens to be today."""

from __future__ import annotations

from typing import Any

_EXTENSIONS = ("chaosk8s", "chaosistio")
_KEY = "KUBERNETES_CONTEXT"


def unnamed_contexts(experiment: dict[str, Any]) -> list[str]:
    """What is wrong with each activity of a Kubernetes extension that does not name its cluster; empty is good."""
    declared = experiment.get("secrets") or {}
    hypothesis = experiment.get("steady-state-hypothesis") or {}
    activities = [
        *(hypothesis.get("probes") or []),
        *(experiment.get("method") or []),
        *(experiment.get("rollbacks") or []),
    ]
    return [found for activity in activities if (found := _problem(activity, declared))]


def _problem(activity: dict[str, Any], declared: dict[str, Any]) -> str | None:
    provider = activity.get("provider") or {}
    if str(provider.get("module", "")).partition(".")[0] not in _EXTENSIONS:
        return None
    name = activity.get("name", "?")
    groups = provider.get("secrets") or []
    if missing := [group for group in groups if group not in declared]:
        return f"activity {name!r}: no secrets {missing[0]!r} declared: it would use the current kube context"
    if not any(_KEY in (declared[group] or {}) for group in groups):
        return (
            f"activity {name!r} would use the current kube context; give it `secrets: [cluster]` and declare "
            f"`secrets: {{cluster: {{{_KEY}: {{type: env, key: BLACKSTART_CONTEXT_PRIMARY}}}}}}`"
        )
    return None
