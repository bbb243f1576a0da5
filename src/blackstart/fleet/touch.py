"""Giving an object a new version, so that a write based on an older one fails."""

from __future__ import annotations

from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.objects import Ref

FENCE = "blackstart.dev/fenced"
"""A label, there for a moment: annotations of a Deployment would be copied to its ReplicaSets and stay there."""


def touch(kube: Kube, ref: Ref) -> None:
    """Change an object and leave it as it was. Raises KubeError.

    Nothing happens where there is none, or where the user may not change it:
    then no write of the same user can succeed. A request whose sender has died may still be on its way: it names the
    version that it read, and is refused from now on.
    """
    try:
        for value in ("touched", None):
            kube.patch(ref, {"metadata": {"labels": {FENCE: value}}})
    except KubeError as error:
        if error.status not in (403, 404):
            raise
