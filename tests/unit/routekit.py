"""A VirtualService on the bench of faultkit, and what a gateway makes of it: nothing, unless a test says so."""

from __future__ import annotations

from typing import Any

from faultkit import APP, Bench
from kubeapi import NAMESPACE

from blackstart.fleet.objects import Ref

REF = Ref("networking.istio.io/v1/virtualservices", NAMESPACE, APP)
DEFAULT = {"route": [{"destination": {"host": APP}}], "timeout": "1s"}


def add(here: Bench, *routes: dict[str, Any]) -> dict[str, Any]:
    """Put it into the API; a reference to it, as it is there."""
    spec = {"hosts": ["*"], "http": list(routes or (DEFAULT,))}
    meta = {"name": APP, "namespace": NAMESPACE, "uid": "uid-vs", "resourceVersion": "1", "labels": {"team": "a"}}
    found: dict[str, Any] = {"metadata": meta, "spec": spec}
    here.api.objects[REF.path] = found
    return found
