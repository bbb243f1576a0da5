"""`blackstart plan`: what a run would do, told without a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import contentkit
import pytest
import yaml
from faultkit import Bench, bench
from kubeapi import NAMESPACE

from blackstart.cli import invoke
from blackstart.lab.data import sites
from blackstart.lab.fleetfile import fleet_document, write_fleet
from blackstart.lab.paths import LabPaths
from blackstart.lab.topology import topology
from blackstart.schema.content import content_dir

DRILLS = sorted(file.stem for file in content_dir("drills").glob("*.yaml"))
GUARDIAN = {"guardian": {"image": "registry/blackstart:1"}}
BY_EXPERIMENT = {
    "link-loss": ("kernel", ["sever us-eu"]),
    "region-isolation": ("kernel", ["isolate us"]),
    "region-loss": ("watchdog", ["kill us"]),
    "service-failover": ("guardian", ["scale us/production/user-service"]),
    "service-failover-chaosk8s": ("guardian", ["foreign-scale us/production/user-service"]),
    "metrics-region-loss": ("watchdog", ["kill-observer eu/sidecar"]),
    "metrics-sidecar-freeze": ("watchdog", ["freeze-observer eu/sidecar"]),
    "metrics-store-blackhole": ("kernel", ["block-store-api eu/store"]),
    "metrics-prometheus-kill": ("watchdog", ["kill-observer eu/prometheus"]),
    "pods-deleted": ("nobody", ["delete-pods us/production/user-service"]),
}


ACTIVE = [drill for drill in DRILLS if contentkit.needs_multi_active(content_dir("drills") / f"{drill}.yaml")]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lab's fleet, which is not there."""
    return a_lab(tmp_path, monkeypatch)


def a_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, multi_active: bool = False) -> Path:
    file = tmp_path / "fleet.yaml"
    uids = {"us": "uid-us", "eu": "uid-eu"}
    net = topology(("us", "eu"), backup=True)
    stores = sites(net, multi_active=multi_active)
    document = fleet_document(net, LabPaths(tmp_path), uids, mesh=True, sites=stores, global_metrics=True)
    write_fleet(document, file)
    monkeypatch.setenv("BLACKSTART_FLEET", str(file))
    return file


def plan(*arguments: str, code: int = 0) -> None:
    assert invoke(["plan", *arguments]) == code


def plain(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    plan(*arguments, "-o", "json", code=code)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def the_action(found: dict[str, Any]) -> dict[str, Any]:
    (step,) = the_actions(found)
    return dict(step)


def the_actions(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for step in found["steps"] if (step["section"], step["type"]) == ("method", "action")]


@pytest.mark.parametrize("experiment", BY_EXPERIMENT)
def test_what_each_shipped_experiment_breaks_and_who_puts_it_back(
    experiment: str, lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = plain(capsys, "service-failover", "--set", f"experiment={experiment}")
    step = the_action(found)
    assert (step["back"], step["breaks"]) == BY_EXPERIMENT[experiment]
    assert step["why"]
    assert [watch["namespace"] for watch in found["guardians"]] == ["production"] * (step["back"] == "guardian")
    assert found["problems"] == []


@pytest.mark.parametrize("drill", DRILLS)
def test_shipped_drills_as_text(
    drill: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a_lab(tmp_path, monkeypatch, multi_active=drill in ACTIVE)
    plan(drill)
    out = capsys.readouterr().out
    found = plain(capsys, drill)
    assert out.startswith(f"Drill {drill}:\n  title  ")
    # Its stores may lose nothing, so that they are asked whether they could.
    notes = found["notes"]
    assert (len(notes), all("cannot be read" in note for note in notes)) == (2 if "semisync" in drill else 0, True)
    assert out.endswith("Refused, or not known: none\n")
    told = [text for step in the_actions(found) for text in (*step["breaks"], step["why"])]
    for said in (*found["digests"].values(), *told):
        assert said in out
    assert "\x1b" not in out


def test_the_rights_of_a_guardian_are_yaml_to_be_read_by_others(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan("service-failover")
    out = capsys.readouterr().out
    printed = out.partition("may do in its cluster:\n")[2].partition("\n\n")[0]
    (watch,) = plain(capsys, "service-failover")["guardians"]
    assert list(yaml.safe_load_all(printed)) == watch["roles"]
    (role,) = watch["roles"]
    assert (role["kind"], role["metadata"]["namespace"]) == ("Role", "production")
    assert {
        "apiGroups": ["apps"],
        "resources": ["deployments"],
        "resourceNames": ["user-service"],
        "verbs": ["get", "patch"],
    } in role["rules"]


def test_the_plan_as_json(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = plain(capsys, "service-failover", "--set", "phases.hold=25s")
    assert (found["victims"], found["survivors"]) == (["us"], ["eu"])
    assert found["locks"]["regions"] == ["us"]
    assert [home["name"] for home in found["locks"]["homes"]] == ["eu"]
    assert found["phases"]["hold"] == 25.0
    assert (found["least"], found["most"]) == (35.0, 260.0)
    assert [probe["probe"] for probe in found["probes"]] == ["ready-pods", "entry-latency"]
    rights = {
        (need["cluster"], need["namespace"], right["verb"], right["resource"])
        for need in found["permissions"]
        for right in need["rights"]
    }
    assert {
        ("us", "production", "patch", "deployments"),
        ("us", "production", "create", "roles"),
        ("eu", "default", "create", "leases"),
        ("us", "kube-system", "get", "namespaces"),
    } <= rights
    assert ("eu", "production", "patch", "deployments") not in rights


def test_it_is_the_plan_that_is_run(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from blackstart.plan.resolve import make_plan

    assert plain(capsys, "region-loss")["digests"] == make_plan("region-loss", lab).digests


@pytest.mark.parametrize("there", [True, False])
def test_no_drill_of_that_name(there: bool, lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not there:
        lab.unlink()
    plan("region-los", code=2)
    err = capsys.readouterr().err
    assert 'did you mean "region-loss"?' in err
    assert "Traceback" not in err


def test_a_rollback_that_is_not_called_says_what_happens_instead(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan("service-failover", "--set", "experiment=service-failover-chaosk8s")
    assert "not called where the run holds a record of the same object" in capsys.readouterr().out


def test_a_fleet_without_an_image_for_a_guardian(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = yaml.safe_load(lab.read_text())
    del document["guardian"]
    lab.write_text(yaml.safe_dump(document))
    assert "no `guardian.image`" in plain(capsys, "service-failover", code=12)["problems"][0]
    assert plain(capsys, "region-loss")["problems"] == []


def test_where_the_ledger_writes_and_what_is_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    member = {"address": "10.0.0.1:6379", "place": "operator"}
    store = {"kind": "redis", "members": {"us": member, "eu": member}, "primary": "us"}
    file = contentkit.write(
        tmp_path,
        drill={
            "ledger": {"service": "frontend", "writers": 7},
            "objectives.2": {"kind": "lost-writes", "service": "frontend", "objective": 3},
            "objectives.3": {"kind": "order", "service": "frontend"},
            "objectives.4": {"kind": "rpo", "service": "frontend", "objective": "2s"},
        },
        fleet={
            "stores": {"cache": {**store, "records": {"orders": {"ids": "order:*"}}}},
            "services.users.stores": ["cache"],
            "services.users.writes": {"url": "http://10.0.0.1/orders", "place": "operator"},
        },
    )
    plan(str(file), "--fleet", str(tmp_path / "fleet.yaml"), "--offline", code=0)
    out = capsys.readouterr().out
    for said in (
        "7 writers: POST http://10.0.0.1/orders from operator",
        "read back from cache (us, eu): orders",
        "frontend: at most 3 acknowledged writes lost",
        "frontend: no write twice",
        "frontend: rpo at most 2 s",
    ):
        assert said in out


def test_an_action_that_says_undo_none_and_a_note_of_lint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = contentkit.write(tmp_path, drill={"objectives.1": None})
    plan(str(file), "--fleet", str(tmp_path / "fleet.yaml"))
    out = capsys.readouterr().out
    assert "by nobody: undo: none, because it breaks nothing" in out
    assert "[BS107]" in out
    assert "regions eu, us" in out
    assert "kept in eu (context eu), namespace default" in out


def test_a_region_that_cannot_be_killed_is_said_before_anything_is_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = {"type": "python", "module": "blackstart.activities.faults", "func": "kill"}
    kill = {"type": "action", "name": "kill", "provider": {**provider, "arguments": {"region": "primary"}}}
    undo = {"type": "action", "name": "undo", "provider": {**provider, "func": "undo"}}
    file = contentkit.write(tmp_path, experiment={"method.0": kill, "rollbacks.0": undo})
    found = plain(capsys, str(file), "--fleet", str(tmp_path / "fleet.yaml"), code=12)
    assert found["problems"] == [f"kill: {the_action(found)['problem']}"]
    assert "region 'us' has no `power`" in found["problems"][0]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        document = yaml.safe_load(found.fleet_file.read_text())
        found.fleet_file.write_text(yaml.safe_dump({**document, **GUARDIAN}))
        yield found


def cordon(here: Bench) -> str:
    """A drill that scales, then cordons the nodes with a label."""
    chaosk8s = {"type": "python", "secrets": ["k8s"]}
    select = {**chaosk8s, "module": "chaosk8s.node.actions", "func": "cordon_node"}
    scale = {**chaosk8s, "module": "chaosk8s.deployment.actions", "func": "scale_deployment"}
    zero = {"name": "user-service", "ns": NAMESPACE, "replicas": 0}
    file = contentkit.write(
        here.folder / "content",
        drill={"victims": []},
        experiment={
            "secrets": {"k8s": {"KUBERNETES_CONTEXT": "here"}},
            "method.0": {"type": "action", "name": "scale", "provider": {**scale, "arguments": zero}},
            "method.1": {
                "type": "action",
                "name": "cordon",
                "provider": {**select, "arguments": {"label_selector": "rack=7"}},
            },
        },
    )
    return str(file)


def node(here: Bench, name: str) -> None:
    here.api.objects[f"/api/v1/nodes/{name}"] = {"metadata": {"name": name, "labels": {"rack": "7"}}, "spec": {}}


def test_what_an_action_chooses_is_asked_of_the_cluster(here: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    node(here, "n1")
    node(here, "n2")
    before = json.dumps(here.api.objects, sort_keys=True)
    found = plain(capsys, cordon(here), "--fleet", str(here.fleet_file))
    scaled, cordoned = found["steps"][:2]
    assert scaled["back"] == "guardian"
    assert cordoned["breaks"] == ["foreign-cordon us/n1,n2"]
    assert cordoned["back"] in ("watchdog", "guardian")
    assert json.dumps(here.api.objects, sort_keys=True) == before


def test_a_cluster_that_does_not_answer_is_said_and_the_rest_is_told(
    here: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    here.api.fail = lambda method, path: (503, "away")
    file = cordon(here)
    found = plain(capsys, file, "--fleet", str(here.fleet_file), code=12)
    assert [watch["namespace"] for watch in found["guardians"]] == [NAMESPACE]
    assert len(found["problems"]) == 1
    assert found["problems"][0].startswith("cordon: ")
    plan(file, "--fleet", str(here.fleet_file), code=12)
    captured = capsys.readouterr()
    assert "refused, or not known:" in captured.out
    assert "Traceback" not in captured.out + captured.err


def test_what_must_be_proven_of_a_restore_is_a_share(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan("backup-restore")
    assert "frontend: restored at least 100%\n" in capsys.readouterr().out
