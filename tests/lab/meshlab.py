"""A lab with a mesh: its gateway asked as clients do, its rules changed for a while."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from labdrill import kubectl, settle

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Fleet, Region
from blackstart.lab.api import Request, ask
from blackstart.lab.manifests import APP, NAMESPACE
from blackstart.probes import load_probe, read
from blackstart.probes.base import Scope
from blackstart.schema.content import content_dir

_PATIENCE = 40.0

Object = dict[str, Any]

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
    """What the first region's gateway answers. Raises OSError."""
    return _at_the_gateway(mesh)[0]


def settle_behind_the_gateway(mesh: Fleet) -> None:
    """Wait until all is complete and the gateway's clients are at home: hosts that were ejected come back late."""

    def home() -> bool:
        try:
            return all(json.loads(_at_the_gateway(mesh)[1])["region"] == "us" for _ in range(20))
        except (OSError, ValueError, KeyError):
            return False

    settle(mesh)
    until(home)


def _at_the_gateway(mesh: Fleet) -> tuple[int, bytes]:
    entry = mesh.services[mesh.resolve("mesh")].entry
    url = urlsplit(entry.url)
    return ask(mesh.places[entry.place], (str(url.hostname), int(url.port or 80)), Request("GET", "/"), 3.0)


def values(scope: Scope, probe: str) -> dict[str, float | Reason | None]:
    """One look of a shipped probe: region -> what its gateway or istiod says, or why nothing."""
    spec = load_probe(content_dir("probes") / f"{probe}.yaml")
    readings = asyncio.run(read(spec, scope))
    return {r.key: r.value if r.no_data is None else r.no_data for r in readings}


def until(so: Callable[[], bool]) -> None:
    """Wait until it is so."""
    end = time.monotonic() + _PATIENCE
    while not so():
        assert time.monotonic() < end
        time.sleep(0.3)


@contextmanager
def instead(mesh: Fleet, objects: Mapping[str, Sequence[Object]]) -> Iterator[None]:
    """Other rules of these kinds, by region, in the place of the lab's for the length of the block."""
    before = {name: _replaced(mesh.regions[name], found) for name, found in objects.items()}
    try:
        for name, found in objects.items():
            _delete(mesh.regions[name], before[name])
            for rule in found:
                _create(mesh.regions[name], rule)
                if [(r["kind"], _hosts(r)) for r in found].count((rule["kind"], _hosts(rule))) > 1:
                    # The order counts, and creation is dated to the second.
                    time.sleep(1.1)
        time.sleep(TAKES_UP)
        yield
    finally:
        for name, found in objects.items():
            _delete(mesh.regions[name], found)
            for rule in before[name]:
                _create(mesh.regions[name], rule)
        time.sleep(TAKES_UP)


def _replaced(region: Region, objects: Sequence[Object]) -> list[Object]:
    """The rules there that are of the same kind and for the same hosts."""
    found = []
    for kind in dict.fromkeys(rule["kind"] for rule in objects):
        hosts = {_hosts(rule) for rule in objects if rule["kind"] == kind}
        listed = json.loads(kubectl(region, "get", _resource(kind), "-n", NAMESPACE, "-o", "json"))["items"]
        found += [rule for rule in listed if _hosts(rule) in hosts]
    return found


def _hosts(rule: Object) -> str:
    return str(rule["spec"].get("host") or sorted(rule["spec"]["hosts"]))


def _create(region: Region, rule: Object) -> None:
    meta = {"name": rule["metadata"]["name"], "namespace": NAMESPACE}
    text = json.dumps({**rule, "metadata": meta})
    # What the API server does not know it drops, as it does for a controller that applies.
    kubectl(region, "create", "--validate=ignore", "-f", "-", stdin=text)


def _delete(region: Region, objects: Sequence[Object]) -> None:
    for rule in objects:
        names = (_resource(rule["kind"]), rule["metadata"]["name"])
        kubectl(region, "delete", *names, "-n", NAMESPACE, "--ignore-not-found")


def _resource(kind: str) -> str:
    return f"{kind.lower()}.networking.istio.io"


@contextmanager
def split(mesh: Fleet) -> Iterator[None]:
    """That VirtualService in the first region, for the length of the block."""
    region = next(iter(mesh.regions.values()))
    kubectl(region, "apply", "-f", "-", stdin=json.dumps(SPLIT))
    try:
        yield
    finally:
        kubectl(region, "delete", "-f", "-", stdin=json.dumps(SPLIT))
