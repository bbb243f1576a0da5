"""Actions of chaosk8s on real clusters: every kind is put back, whatever happens to the runner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from labdrill import content, kubectl, run_drill, settle
from machinekit import Machine, kill, left, workload

from blackstart.fleet.environment import environment
from blackstart.fleet.model import Fleet, Region
from blackstart.schema.result import Verdict

pytestmark = pytest.mark.full

NS = ["-n", "production"]
STATEFUL = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "stateful", "namespace": "production"},
    "spec": {"serviceName": "stateful", "replicas": 1, "selector": {"matchLabels": {"app": "stateful"}}},
}


@pytest.fixture
def here(lab: Fleet, tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "state", lab.source or Path())
    yield machine
    machine.run("recover", "--all")
    settle(lab)


@pytest.fixture
def stateful(lab: Fleet) -> Iterator[None]:
    """A StatefulSet of one pod in us, made of the service's own image."""
    template = workload(lab)["spec"]["template"]
    template["metadata"]["labels"] = {"app": "stateful"}
    manifest = {**STATEFUL, "spec": {**STATEFUL["spec"], "template": template}}  # type: ignore[dict-item]  # plain JSON
    us = lab.regions["us"]
    kubectl(us, "apply", "-f", "-", stdin=json.dumps(manifest))
    kubectl(us, *NS, "rollout", "status", "statefulset/stateful", "--timeout=60s")
    yield
    kubectl(us, *NS, "delete", "statefulset/stateful", "--ignore-not-found", "--wait=true")


def action(module: str, func: str, **arguments: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": f"chaosk8s.{module}.actions", "func": func, "arguments": arguments}
    return {"type": "action", "name": func, "provider": {**provider, "secrets": ["primary"]}}


def spec_of(region: Region, *what: str) -> Any:
    """What has to be as before."""
    found = json.loads(kubectl(region, *NS, "get", *what, "-o", "json"))
    return found["spec"] if "spec" in found else sorted(item["metadata"]["name"] for item in found["items"])


def node(region: Region, *_: str) -> Any:
    return json.loads(kubectl(region, "get", "nodes", "-o", "json"))["items"][0]["spec"].get("unschedulable", False)


SERVICE = {"name": "user-service", "ns": "production"}
CASES: dict[str, tuple[dict[str, Any], Callable[..., Any], tuple[str, ...]]] = {
    "scale a Deployment": (
        action("deployment", "scale_deployment", **SERVICE, replicas=0),
        spec_of,
        ("deployment/user-service",),
    ),
    "scale a StatefulSet": (
        action("statefulset", "scale_statefulset", name="stateful", ns="production", replicas=0),
        spec_of,
        ("statefulset/stateful",),
    ),
    "remove a StatefulSet": (
        action("statefulset", "remove_statefulset", name="stateful", ns="production"),
        spec_of,
        ("statefulset/stateful",),
    ),
    "delete a Service": (
        action("service", "delete_service", **SERVICE),
        spec_of,
        ("service/user-service",),
    ),
    "cordon": (action("node", "cordon_node"), node, ()),
    "deny ingress": (action("networking", "deny_all_ingress", ns="production"), spec_of, ("networkpolicies",)),
    "deny egress": (action("networking", "deny_all_egress", ns="production"), spec_of, ("networkpolicies",)),
}


def start(
    here: Machine, lab: Fleet, folder: Path, *method: dict[str, Any], **changes: Any
) -> subprocess.Popen[bytes]:
    """Plain `chaos run` with the control."""
    document = {
        "title": "t",
        "description": "d",
        "configuration": {"fleet": {"type": "env", "key": "BLACKSTART_FLEET"}},
        "secrets": {"primary": {"KUBERNETES_CONTEXT": {"type": "env", "key": "BLACKSTART_CONTEXT_PRIMARY"}}},
        "controls": [
            {"name": "blackstart", "provider": {"type": "python", "module": "blackstart.activities.control"}}
        ],
        "method": list(method),
        "rollbacks": [],
        **changes,
    }
    (folder / "experiment.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    argv = [str(Path(sys.executable).with_name("chaos")), "--no-version-check", "run", "experiment.yaml"]
    variables = {**here.environment, **environment(lab, folder)}
    with (folder / "chaos.log").open("wb") as log:
        return subprocess.Popen(argv, cwd=folder, env=variables, stdout=log, stderr=log, start_new_session=True)


def wait() -> dict[str, Any]:
    provider = {"type": "process", "path": "sleep", "arguments": "120", "timeout": 120}
    return {"type": "action", "name": "wait", "provider": provider, "undo": "none", "reason": "it only waits"}


@pytest.mark.usefixtures("stateful")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("killed", [False, True], ids=["to the end", "killed"])
def test_it_is_as_before(lab: Fleet, here: Machine, tmp_path: Path, case: str, killed: bool) -> None:
    activity, look, what = CASES[case]
    us = lab.regions["us"]
    before = look(us, *what)
    process = start(here, lab, tmp_path, activity, *([wait()] if killed else []))
    try:
        if killed:
            here.until_confirmed(1, process, tmp_path / "chaos.log")
            kill(process)
            assert here.run("status")[0] == 14
            dry = here.run("recover", "--dry-run")[1]
            assert "->" in dry
            code, text = here.run("recover")
            assert code == 0, text
        else:
            assert process.wait(120) == 0, (tmp_path / "chaos.log").read_text()
            journal = json.loads((tmp_path / "journal.json").read_text())
            assert journal["run"][0]["status"] == "succeeded", (tmp_path / "chaos.log").read_text()
    finally:
        kill(process)
    assert look(us, *what) == before
    assert left(lab) == []
    assert here.run("recover") == (0, "nothing to put back\n")


def test_another_machine_finds_what_was_deleted(lab: Fleet, here: Machine, tmp_path: Path) -> None:
    """The slip beside it carries the whole object."""
    us = lab.regions["us"]
    before = spec_of(us, "service/user-service")
    process = start(here, lab, tmp_path, action("service", "delete_service", **SERVICE), wait())
    here.until_confirmed(1, process, tmp_path / "chaos.log")
    kill(process)
    code, text = Machine(tmp_path / "other", here.fleet).run("recover")
    assert code == 0, text
    assert spec_of(us, "service/user-service") == before
    assert here.run("recover")[0] == 0
    assert left(lab) == []


def test_a_drill_with_chaosk8s_is_judged_like_any_other(lab: Fleet, tmp_path: Path) -> None:
    """Its effect is proven by the control probe, and the wrong number in its rollback does not win."""

    def seven(experiment: dict[str, Any]) -> None:
        experiment["rollbacks"][0]["provider"]["arguments"]["replicas"] = 7

    def by_chaosk8s(drill: dict[str, Any]) -> None:
        drill["experiment"] = "service-failover-chaosk8s"

    content("experiments", "service-failover-chaosk8s", tmp_path, seven)
    drill = content("drills", "service-failover", tmp_path, by_chaosk8s)
    ran = run_drill(drill, lab.source or Path(), tmp_path / "out")
    assert ran.result.verdict is Verdict.PASS, f"{ran.result.sentence}\n{ran.result.reasons}\n{ran.output}"
    assert {event.kind for event in ran.faults()} == {"foreign-scale"}
    assert workload(lab)["spec"]["replicas"] == 3
    assert left(lab) == []


def test_the_wrong_cluster_is_refused(lab: Fleet, here: Machine, tmp_path: Path) -> None:
    """The context's name is right, the kubeconfig leads elsewhere."""
    scale = action("deployment", "scale_deployment", **SERVICE, replicas=0)
    document = yaml.safe_load(here.fleet.read_text())
    document["regions"]["us"]["cluster"]["uid"] = "another"
    wrong = tmp_path / "fleet.yaml"
    wrong.write_text(yaml.safe_dump(document))
    process = start(Machine(here.state, wrong), lab, tmp_path, scale, configuration={"fleet": os.fspath(wrong)})
    assert process.wait(120) == 0
    journal = json.loads((tmp_path / "journal.json").read_text())
    assert journal["run"][0]["status"] == "failed"
    assert "does not pin" in (tmp_path / "chaos.log").read_text()
    assert workload(lab)["spec"]["replicas"] == 3
