"""A lab with a mesh: its gateway asked as clients do, its rules changed for a while."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from labdrill import kubectl

from blackstart.fleet.model import Fleet
from blackstart.lab.api import Request, ask
from blackstart.lab.manifests import APP, NAMESPACE

RULE = ("destinationrules.networking.istio.io", APP, "-n", NAMESPACE)
SPLIT = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "split", "namespace": NAMESPACE},
    "spec": {
        "hosts": ["split.example.com"],
        "http": [
            {"route": [{"destination": {"host": APP, "subset": name}, "weight": 50} for name in ("blue", "green")]}
        ],
    },
}
"""A VirtualService whose routes share by weight; nobody asks for its host."""

TAKES_UP = 2.0
"""Seconds in which istiod sends a new rule to its gateway."""


def status_at_the_gateway(mesh: Fleet) -> int:
    """What the first region's gateway answers. Raises OSError or http.client.HTTPException."""
    entry = mesh.services[mesh.resolve("mesh")].entry
    url = urlsplit(entry.url)
    return ask(mesh.places[entry.place], (str(url.hostname), int(url.port or 80)), Request("GET", "/"), 3.0)[0]


@contextmanager
def rules(mesh: Fleet, patch: dict[str, Any]) -> Iterator[None]:
    """Another DestinationRule in every region for the length of the block."""
    before = {name: kubectl(region, "get", *RULE, "-o", "json") for name, region in mesh.regions.items()}
    for region in mesh.regions.values():
        kubectl(region, "patch", *RULE, "--type", "merge", "-p", json.dumps(patch))
    time.sleep(TAKES_UP)
    try:
        yield
    finally:
        for name, region in mesh.regions.items():
            spec = json.loads(before[name])["spec"]
            kubectl(region, "patch", *RULE, "--type", "merge", "-p", json.dumps({"spec": spec}))
        time.sleep(TAKES_UP)


@contextmanager
def split(mesh: Fleet) -> Iterator[None]:
    """That VirtualService in the first region, for the length of the block."""
    region = next(iter(mesh.regions.values()))
    kubectl(region, "apply", "-f", "-", stdin=json.dumps(SPLIT))
    try:
        yield
    finally:
        kubectl(region, "delete", "-f", "-", stdin=json.dumps(SPLIT))
