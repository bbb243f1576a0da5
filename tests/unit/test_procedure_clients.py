"""Clients are told where the primary is: everywhere at once, never over somebody else's change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from kubeapi import NAMESPACE, UID, KubeApi
from loopback import fleet

from blackstart.fleet.model import Fleet
from blackstart.procedures.base import StepError
from blackstart.procedures.clients import knocking, point

PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps/stores"
US, EU = "10.0.0.1:3306", "10.0.0.2:3306"


class Both:
    """Regions us and eu with a ConfigMap each."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.apis = {region: stack.enter_context(KubeApi()) for region in ("us", "eu")}
        self.files = {region: api.kubeconfig(folder, region) for region, api in self.apis.items()}
        for api in self.apis.values():
            api.objects[PATH] = {"metadata": {"resourceVersion": "1"}, "data": {"orders": US, "other": "x"}}

    def told(self, region: str) -> str:
        found: str = self.apis[region].objects[PATH]["data"]["orders"]
        return found

    def fleet(self, dead: str | None = None) -> Fleet:
        def region(name: str) -> dict[str, Any]:
            file = "/nowhere" if name == dead else str(self.files[name])
            return {"cluster": {"kubeconfig": file, "context": name, "uid": UID}, "place": "here"}

        store = {
            "kind": "mariadb",
            "members": {r: {"address": a, "place": "here"} for r, a in (("us", US), ("eu", EU))},
            "primary": "us",
            "clients": {"namespace": NAMESPACE, "configmap": "stores", "key": "orders"},
        }
        return fleet(regions={name: region(name) for name in ("us", "eu")}, stores={"orders": store})

    def point(self, dead: str | None = None) -> str:
        found = self.fleet(dead)
        return point(found, found.stores["orders"], EU)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    with ExitStack() as stack:
        yield Both(tmp_path, stack)


def test_everybody_is_told_and_twice_changes_nothing(both: Both) -> None:
    assert both.point() == "clients told in us, eu"
    assert (both.told("us"), both.told("eu")) == (EU, EU)
    assert both.apis["us"].objects[PATH]["data"]["other"] == "x"
    version = both.apis["us"].objects[PATH]["metadata"]["resourceVersion"]
    both.point()
    assert both.apis["us"].objects[PATH]["metadata"]["resourceVersion"] == version


def test_a_dead_region_is_listed_and_the_others_are_told(both: Both) -> None:
    assert "clients told in eu; not told: us (" in both.point(dead="us")
    assert (both.told("us"), both.told("eu")) == (US, EU)


def test_a_cluster_that_did_not_answer_to_the_knock_is_not_asked_again(both: Both) -> None:
    """It had its time while the store was promoted."""
    found = both.fleet()
    store = found.stores["orders"]
    with knocking(both.fleet(dead="us"), store) as knocks:
        said = point(found, store, EU, knocks)
    assert said.startswith("clients told in eu; not told: us (")
    assert (both.told("us"), both.told("eu")) == (US, EU)
    with knocking(found, store) as knocks:
        assert point(found, store, EU, knocks) == "clients told in us, eu"


def test_what_somebody_else_wrote_is_left_alone(both: Both) -> None:
    both.apis["us"].objects[PATH]["data"]["orders"] = "10.9.9.9:3306"
    with pytest.raises(StepError, match=r"has orders='10\.9\.9\.9:3306', which is no server of the store"):
        both.point()
    assert both.told("us") == "10.9.9.9:3306"
    assert both.told("eu") == EU


def test_a_change_in_between_is_read_again(both: Both) -> None:
    api, tries = both.apis["us"], []

    def fail(method: str, path: str) -> tuple[int, str] | None:
        if method == "PATCH" and not tries:
            tries.append(path)
            return 409, "the object has been modified"
        return None

    api.fail = fail
    both.point()
    assert tries
    assert both.told("us") == EU


def test_nobody_told_is_a_failure(both: Both) -> None:
    for api in both.apis.values():
        api.uid = "another"
    with pytest.raises(StepError, match=r"clients told in no region; not told: us .*; eu "):
        both.point()
    assert both.told("us") == US
