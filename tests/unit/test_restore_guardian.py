"""Who takes a restored namespace away when the runner is dead: the guardian, and `recover` without an undo store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from restorekit import VELERO
from restorerig import RUN, Rig, a_rig

from blackstart.evidence.undo import Store
from blackstart.faults.marks import LABEL, slip_of
from blackstart.fleet import lease as leases
from blackstart.fleet.kube import Kube
from blackstart.fleet.lease import run_lease
from blackstart.fleet.velero import RESTORES
from blackstart.plan.touched import touched
from blackstart.plan.ward import Ward, grants, ward_of
from blackstart.plan.wards import wards
from blackstart.safety.guardian import Guardian, Post
from blackstart.safety.recover import Recovery
from blackstart.schema.procedure import Step

STEP = Step.model_validate(
    {
        "name": "restore",
        "restore": {
            "backup": "nightly",
            "from": "primary",
            "to": "standby",
            "namespaces": {"production": "production-dr"},
        },
    }
)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with a_rig(tmp_path) as found:
        yield found


def ward(rig: Rig) -> Ward:
    (found,) = wards({}, rig.fleet, [STEP])
    return found


def test_the_guardian_may_do_exactly_what_it_takes(rig: Rig) -> None:
    found = ward(rig)
    assert (found.region, found.namespace, found.slips) == ("eu", VELERO, ("restored-1",))
    allowed = {(grant.ref.resource, grant.ref.namespace, grant.ref.name): grant.verbs for grant in grants(found, RUN)}
    name = slip_of(f"{RUN}/restored-1", VELERO).name
    assert allowed["v1/namespaces", "", "production-dr"] == ("get", "delete")
    assert allowed[RESTORES, VELERO, name] == ("get", "patch", "delete")
    assert allowed["v1/configmaps", VELERO, name] == ("get", "patch", "delete")
    options = found.options()
    targets = [options[n + 1] for n, option in enumerate(options) if option == "--target"]
    slips = [options[n + 1] for n, option in enumerate(options) if option == "--slip"]
    assert ward_of("eu", VELERO, targets, slips) == found


def test_the_region_that_is_restored_into_is_locked(rig: Rig) -> None:
    kill = {"module": "blackstart.activities.faults", "func": "kill", "arguments": {"region": "primary"}}
    experiment = {"method": [{"type": "action", "provider": kill}]}
    assert touched(experiment, rig.fleet, ("us",)) == ["us"]
    assert touched(experiment, rig.fleet, ("us",), [STEP]) == ["eu", "us"]


def test_a_guardian_takes_everything_away_when_nobody_renews(rig: Rig) -> None:
    rig.do()
    cluster = rig.fleet.regions["eu"].cluster
    lease = run_lease(VELERO, RUN)
    with Kube(cluster) as kube:
        leases.create(kube, lease, RUN, 15.0)
    now = [0.0]

    def pause(seconds: float) -> None:
        now[0] += seconds

    said: list[str] = []
    Guardian(Post(RUN, lease, cluster, ward(rig), "pod"), said.append, lambda: now[0], pause).watch()
    assert now[0] < 30
    assert [path for path in rig.left() if "/events/" not in path] == []
    assert any("namespace production-dr gone" in text for text in said), said
    assert rig.api.named("leases") == []


@pytest.mark.parametrize("stage", ["whole", "without a slip"])
def test_recover_finds_it_without_an_undo_store(rig: Rig, tmp_path: Path, stage: str) -> None:
    rig.do()
    if stage != "whole":
        (path,) = [path for path in rig.api.objects if "blackstart-undo" in path and "/configmaps/" in path]
        del rig.api.objects[path]
    file = tmp_path / "fleet.yaml"
    document = rig.document()
    del document["regions"]["us"]
    document["services"]["web"]["workloads"].pop("us")
    document["roles"] = {}
    file.write_text(json.dumps(document))
    said: list[str] = []
    done = Recovery(Store(tmp_path / "elsewhere"), said.append, lambda body: None, file, deadline=3.0).recover()
    if stage == "whole":
        assert done, said
        assert rig.left() == []
    else:
        assert not done
        assert any("production-dr" in text and "conflict" in text for text in said), said
        assert rig.api.objects["/api/v1/namespaces/production-dr"]["metadata"]["labels"][LABEL] == RUN
