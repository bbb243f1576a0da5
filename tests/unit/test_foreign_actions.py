"""Actions of chaosk8s under real Chaos Toolkit, against a cluster in memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chaoslib.exceptions import ActivityFailed
from faultkit import APP, Bench, bench
from hypothesis import given
from hypothesis import strategies as st
from kubeapi import NAMESPACE

from blackstart.activities import control
from blackstart.activities.session import context
from blackstart.evidence.records import FaultState
from blackstart.evidence.undo import Undo
from blackstart.faults import foreign
from blackstart.faults.base import Conflict
from blackstart.faults.foreign_create import same
from blackstart.faults.foreign_scale import ForeignScale
from blackstart.faults.marks import ANNOTATION, LABEL
from blackstart.faults.workloads import DEPLOYMENTS
from blackstart.fleet.environment import environment
from blackstart.fleet.objects import Ref
from blackstart.schema.errors import BlackstartError

CHAOS = Path(sys.executable).with_name("chaos")
CONTROL = {"name": "blackstart", "provider": {"type": "python", "module": "blackstart.activities.control"}}
SECRETS = {"k8s": {"KUBERNETES_CONTEXT": "here"}}


def action(module: str, func: str, **arguments: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": f"chaosk8s.{module}.actions", "func": func, "arguments": arguments}
    return {"type": "action", "name": func, "provider": {**provider, "secrets": ["k8s"]}}


def scale(replicas: Any) -> dict[str, Any]:
    return action("deployment", "scale_deployment", name=APP, ns=NAMESPACE, replicas=replicas)


def pause(seconds: float) -> dict[str, Any]:
    path = {"type": "process", "path": "sleep", "arguments": str(seconds), "timeout": 60}
    return {"type": "action", "name": "wait", "provider": path, "undo": "none", "reason": "it only waits"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path / "state"))
    context.cache_clear()
    with bench(tmp_path) as found:
        found.api.check_version = False  # chaosk8s names no version
        for key, value in environment(found.fleet, tmp_path).items():
            monkeypatch.setenv(key, value)
        # The client reads the variable once, when it is imported.
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", os.environ["KUBECONFIG"])
        yield found
    context.cache_clear()


def chaos_run(here: Bench, *method: dict[str, Any], **changes: Any) -> subprocess.Popen[str]:
    """Plain `chaos run` with the control; its journal is journal.json."""
    experiment = {
        "title": "t",
        "description": "d",
        "configuration": {"fleet": str(here.fleet_file)},
        "secrets": SECRETS,
        "controls": [CONTROL],
        "method": list(method),
        "rollbacks": [],
        **changes,
    }
    (here.folder / "experiment.json").write_text(json.dumps(experiment))
    argv = [str(CHAOS), "--no-version-check", "run", "experiment.json"]
    return subprocess.Popen(
        argv, cwd=here.folder, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(here: Bench, process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    output, _ = process.communicate(timeout=60)
    journal: dict[str, Any] = json.loads((here.folder / "journal.json").read_text())
    return journal, output


def clean(here: Bench) -> None:
    """Nothing of a run is left on the workload."""
    meta = here.api.deployments[APP]["metadata"]
    assert not meta.get("labels")
    assert not meta.get("annotations")
    assert here.store.read().outstanding == []
    assert here.api.named("configmaps") == []


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


# -- plain `chaos run`


def test_it_is_put_back_without_any_rollback(here: Bench) -> None:
    journal, output = finish(here, chaos_run(here, scale(0)))
    assert journal["status"] == "completed", output
    assert journal["run"][0]["status"] == "succeeded"
    assert here.replicas == 3
    clean(here)
    claim, theirs, back = here.api.patches
    assert list(claim) == ["metadata"]
    undo = Undo.model_validate_json(claim["metadata"]["annotations"][ANNOTATION])
    assert (undo.kind, undo.before["objects"][APP]["value"]) == ("foreign-scale", 3)
    assert theirs == {"spec": {"replicas": 0}}
    assert back["spec"] == {"replicas": 3}


def test_a_rollback_with_another_number_does_not_win(here: Bench) -> None:
    journal, output = finish(here, chaos_run(here, scale(0), rollbacks=[scale(7)], **ALWAYS))
    assert here.replicas == 3, output
    assert journal["rollbacks"][0]["output"] == "put back as it was before: foreign-scale-1"
    clean(here)


ALWAYS = {"runtime": {"rollbacks": {"strategy": "always"}}}


def test_two_actions_on_one_object_go_back_to_the_beginning(here: Bench) -> None:
    journal, output = finish(here, chaos_run(here, scale(1), scale(0)))
    assert [run["status"] for run in journal["run"]] == ["succeeded", "succeeded"], output
    assert here.replicas == 3
    clean(here)


def test_a_capture_that_fails_prevents_the_action(here: Bench) -> None:
    here.api.fail = lambda method, path: (403, "no") if method == "GET" and "deployments" in path else None
    journal, output = finish(here, chaos_run(here, scale(0)))
    assert journal["run"][0]["status"] == "failed", output
    assert here.api.patches == []
    assert here.replicas == 3


def test_a_full_disk_prevents_the_action(here: Bench) -> None:
    (here.folder / "state").mkdir()
    (here.folder / "state" / "undo").write_text("not a folder")
    journal, output = finish(here, chaos_run(here, scale(0)))
    assert journal["run"][0]["status"] == "failed", output
    assert here.api.patches == []


def test_a_control_that_cannot_work_ends_the_experiment(here: Bench) -> None:
    journal, output = finish(here, chaos_run(here, scale(0), configuration={}))
    assert journal["status"] == "interrupted"
    assert "cannot guard this experiment: the experiment does not say which fleet" in output
    assert here.api.patches == []


@pytest.mark.parametrize(
    ("unknown", "why"),
    [
        (action("pod", "exec_in_pods", cmd="true"), "nobody knows how to put this back"),
        ({**pause(0), "reason": " "}, "says `undo: none` without a `reason`"),
    ],
)
def test_an_action_nobody_knows_ends_the_experiment(here: Bench, unknown: dict[str, Any], why: str) -> None:
    journal, output = finish(here, chaos_run(here, scale(0), unknown))
    assert journal["status"] == "interrupted"
    assert why in output
    assert here.api.patches == []


def test_an_unknown_action_with_a_reason_runs(here: Bench) -> None:
    journal, output = finish(here, chaos_run(here, pause(0)))
    assert journal["run"][0]["status"] == "succeeded", output


def test_an_activity_with_controls_of_its_own_is_guarded_too(here: Bench) -> None:
    """Chaos Toolkit drops the experiment's controls for an activity that refers to one by name."""
    other = {"name": "other", "automatic": False, "provider": {"type": "python", "module": "blackstart.activities"}}
    journal, output = finish(
        here, chaos_run(here, {**scale(0), "controls": [{"ref": "other", **other}]}, controls=[CONTROL, other])
    )
    assert journal["run"][0]["status"] == "succeeded", output
    assert here.replicas == 3
    clean(here)


@pytest.mark.parametrize("background", [False, True])
def test_killed_in_the_middle_the_record_is_there(here: Bench, background: bool) -> None:
    process = chaos_run(here, {**scale(0), "background": background}, pause(30))
    wait_until(lambda: here.replicas == 0)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    (entry,) = here.store.read().outstanding
    assert entry.undo.kind == "foreign-scale"
    assert here.api.deployments[APP]["metadata"]["labels"][LABEL] == entry.undo.run
    assert recovered(here) == 0
    assert here.replicas == 3
    clean(here)


def test_interrupted_it_is_put_back(here: Bench) -> None:
    process = chaos_run(here, scale(0), pause(30))
    wait_until(lambda: here.replicas == 0)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    finish(here, process)
    assert here.replicas == 3
    clean(here)


def recovered(here: Bench) -> int:
    argv = [sys.executable, "-m", "blackstart", "recover"]
    return subprocess.run(argv, cwd=here.folder, env={**os.environ}, timeout=60, check=False).returncode


# -- the guard itself, without a process


def guarded(activity: dict[str, Any], here: Bench, section: str = "method") -> Any:
    return control.guarded(activity["provider"], section, {"fleet": str(here.fleet_file)}, SECRETS["k8s"])


def put_back(here: Bench) -> None:
    control.after_experiment_control({"fleet": str(here.fleet_file)})


def test_the_wrong_cluster_is_refused(here: Bench) -> None:
    here.api.uid = "someone-else"
    with pytest.raises(ActivityFailed, match="does not pin"):
        guarded(scale(0), here)
    assert here.api.patches == []


def test_no_context_is_refused(here: Bench) -> None:
    with pytest.raises(ActivityFailed, match="names no KUBERNETES_CONTEXT"):
        control.guarded(scale(0)["provider"], "method", {"fleet": str(here.fleet_file)}, {})


def test_someone_elses_change_is_left_alone(here: Bench) -> None:
    guarded(scale(0), here)
    here.api.deployments[APP]["spec"]["replicas"] = 2
    here.api.settle(APP)
    put_back(here)
    assert here.replicas == 2
    (entry,) = here.store.read().outstanding
    assert entry.state is FaultState.CONFLICT
    assert "replicas is 2; it was 3, the drill wrote 0" in entry.detail


def test_a_call_that_comes_after_the_undo_is_taken_back(here: Bench) -> None:
    """As when the process was stopped between claim and call, and a guardian restored meanwhile."""
    patches = []

    def guardian() -> None:
        patches.append(1)
        if len(patches) == 2:  # the action's own
            here.api.deployments[APP]["metadata"] |= {"labels": {}, "annotations": {}}

    here.api.before_patch = guardian
    with pytest.raises(ActivityFailed, match="put back by someone else while the action ran"):
        guarded(scale(0), here)
    assert here.replicas == 3


def test_an_action_that_fails_leaves_nothing(here: Bench) -> None:
    patches = []
    here.api.fail = lambda method, path: (
        (500, "boom") if method == "PATCH" and patches.append(1) is None and len(patches) == 2 else None  # type: ignore[func-returns-value]  # counts
    )
    with pytest.raises(ActivityFailed, match="scale_deployment failed"):
        guarded(scale(0), here)
    put_back(here)
    assert here.replicas == 3
    clean(here)


@pytest.mark.parametrize("replicas", [-1, "0", True, None])
def test_bad_arguments_are_refused(here: Bench, replicas: Any) -> None:
    with pytest.raises(ActivityFailed, match="whole number"):
        guarded(scale(replicas), here)
    assert here.api.patches == []


def node(here: Bench, name: str, cordoned: bool | None = None) -> dict[str, Any]:
    spec = {} if cordoned is None else {"unschedulable": cordoned}
    meta = {"name": name, "uid": f"uid-{name}", "resourceVersion": "1", "labels": {"pool": "a"}}
    found: dict[str, Any] = {"metadata": meta, "spec": spec, "status": {}}
    here.api.objects[f"/api/v1/nodes/{name}"] = found
    return found


def test_cordon_and_uncordon(here: Bench) -> None:
    one, two = node(here, "one"), node(here, "two", True)
    guarded(action("node", "cordon_node", label_selector="pool=a"), here)
    assert one["spec"]["unschedulable"] is True
    assert one["metadata"]["labels"][LABEL] == two["metadata"]["labels"][LABEL] == context().run
    put_back(here)
    assert (one["spec"]["unschedulable"], two["spec"]["unschedulable"]) == (False, True)
    assert LABEL not in one["metadata"]["labels"]
    assert LABEL not in two["metadata"]["labels"]


def test_nodes_taken_at_random_are_refused(here: Bench) -> None:
    node(here, "one")
    with pytest.raises(ActivityFailed, match="`count` leaves open which nodes"):
        guarded(action("node", "drain_nodes", count=1), here)


POLICIES = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"


@pytest.mark.parametrize("func", ["deny_all_ingress", "deny_all_egress", "allow_dns_access"])
def test_a_policy_is_removed(here: Bench, func: str) -> None:
    guarded(action("networking", func, ns=NAMESPACE, label_selectors={"app": "x"}), here)
    assert len(here.api.named("networkpolicies")) == 1
    (slip,) = here.api.named("configmaps")
    assert slip["metadata"]["labels"] == {LABEL: context().run}
    assert Undo.model_validate_json(slip["metadata"]["annotations"][ANNOTATION]).kind == "foreign-create"
    put_back(here)
    assert here.api.named("networkpolicies") == []
    clean(here)


def test_a_policy_that_someone_changed_is_left_alone(here: Bench) -> None:
    guarded(action("networking", "deny_all_ingress", ns=NAMESPACE), here)
    here.api.named("networkpolicies")[0]["spec"]["ingress"] = [{"from": []}]
    put_back(here)
    assert len(here.api.named("networkpolicies")) == 1
    assert here.store.read().outstanding[0].state is FaultState.CONFLICT


def test_a_policy_that_is_there_already_is_not_touched(here: Bench) -> None:
    here.api.objects[f"{POLICIES}/chaostoolkit-deny-all-ingress"] = {"metadata": {}, "spec": {}}
    with pytest.raises(ActivityFailed, match="there already"):
        guarded(action("networking", "deny_all_ingress", ns=NAMESPACE), here)
    assert len(here.api.named("networkpolicies")) == 1


def test_the_rollback_of_a_policy_is_the_undo(here: Bench) -> None:
    guarded(action("networking", "deny_all_ingress", ns=NAMESPACE), here)
    said = guarded(action("networking", "remove_deny_all_ingress", ns=NAMESPACE), here, "rollbacks")
    assert said == "put back as it was before: foreign-create-1"
    clean(here)


def service(here: Bench, name: str = "web", **spec: Any) -> str:
    path = f"/api/v1/namespaces/{NAMESPACE}/services/{name}"
    meta = {"name": name, "namespace": NAMESPACE, "uid": "u1", "resourceVersion": "1", "labels": {"a": "b"}}
    here.api.objects[path] = {"metadata": meta, "spec": {"clusterIP": "10.0.0.1", **spec}, "status": {}}
    return path


def test_what_was_deleted_is_made_again(here: Bench) -> None:
    path = service(here)
    guarded(action("service", "delete_service", name="web", ns=NAMESPACE), here)
    assert path not in here.api.objects
    put_back(here)
    made = here.api.objects[path]
    assert made["spec"] == {"clusterIP": "10.0.0.1"}
    assert made["metadata"]["labels"] == {"a": "b"}
    assert made["metadata"]["uid"] != "u1"
    clean(here)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ({"metadata": {"ownerReferences": [{"name": "op"}]}}, "belongs to op"),
        ({"metadata": {"finalizers": ["f"]}}, "finalizer f"),
        ({"spec": {"type": "LoadBalancer"}}, "another address"),
    ],
)
def test_what_cannot_be_made_again_is_not_deleted(here: Bench, spoil: dict[str, Any], why: str) -> None:
    path = service(here)
    for key, value in spoil.items():
        here.api.objects[path][key] |= value
    with pytest.raises(ActivityFailed, match=f"{why}.*write `undo: none`"):
        guarded(action("service", "delete_service", name="web", ns=NAMESPACE), here)
    assert path in here.api.objects


def test_what_someone_made_anew_is_left_alone(here: Bench) -> None:
    path = service(here)
    guarded(action("service", "delete_service", name="web", ns=NAMESPACE), here)
    service(here, clusterIP="10.0.0.9")
    here.api.objects[path]["metadata"]["uid"] = "u2"
    put_back(here)
    assert here.api.objects[path]["spec"]["clusterIP"] == "10.0.0.9"
    assert here.store.read().outstanding[0].state is FaultState.CONFLICT


def test_pods_come_back_by_themselves(here: Bench) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": APP, "uid": "u"}
    for pod in here.api.pods.values():
        pod["metadata"]["ownerReferences"] = [owner]
        del pod["status"]["containerStatuses"]  # chaosk8s wants them whole
    pods = action("pod", "terminate_pods", label_selector=f"app={APP}", ns=NAMESPACE, all=True, grace_period=0)
    guarded(pods, here)
    put_back(here)
    assert len(here.api.pods) == 3
    clean(here)


# -- tables


def test_every_known_action_exists() -> None:
    import importlib

    for name, known in foreign.KNOWN.items():
        module, _, func = f"chaosk8s.{name}".rpartition(".")
        assert callable(getattr(importlib.import_module(module), func))
        foreign.around(known, lambda: None)


def test_a_fault_around_no_action_is_refused() -> None:
    with pytest.raises(BlackstartError, match="made by its action only"):
        foreign.around(foreign.Known("foreign-scale"), lambda: None).__class__().call()


def test_guarding_twice_is_guarding_once() -> None:
    experiment = {"method": [scale(0), pause(1)], "rollbacks": [scale(3)]}
    foreign.guard(experiment)
    once = json.dumps(experiment)
    foreign.guard(experiment)
    assert json.dumps(experiment) == once
    assert [a["provider"].get("func") for a in experiment["method"]] == ["guarded", None]
    assert foreign.refused(experiment) == []


@pytest.mark.parametrize(
    ("found", "written", "alike"),
    [
        ({"podSelector": {}, "policyTypes": ["Ingress"]}, {"podSelector": {}, "ingress": []}, True),
        ({"podSelector": {"matchLabels": {"a": "b"}}}, {"podSelector": {}}, False),
        ({"ingress": [{"from": []}], "podSelector": {}}, {"ingress": [{}], "podSelector": {}}, False),
        ({"ingress": [1]}, {"ingress": [1, 2]}, False),
        ({"egress": [1], "podSelector": {}}, {"podSelector": {}}, False),
    ],
)
def test_an_object_is_compared_as_the_api_server_fills_it_in(found: Any, written: Any, alike: bool) -> None:
    assert same(found, written) is alike


VALUES = st.integers(0, 5)


@given(before=VALUES, written=st.lists(VALUES, min_size=1, max_size=4), found=VALUES, alone=st.booleans())
def test_only_what_the_run_wrote_is_put_back(before: int, written: list[int], found: int, alone: bool) -> None:
    """Whatever the run wrote, in whatever order its records are reverted: the value of before, or nothing."""
    fault, ref = ForeignScale(), Ref(DEPLOYMENTS, NAMESPACE, APP)
    records: list[Undo] = []
    for number, value in enumerate(written):
        held = {"uid": "u", "value": before, "earlier": written[:number]}
        data = {"region": "us", "run": "r", "resource": DEPLOYMENTS, "namespace": NAMESPACE, "names": [APP]}
        records.append(
            Undo(
                run="r",
                fault=f"foreign-scale-{number}",
                kind="foreign-scale",
                target=APP,
                fleet="",
                clusters={},
                data={**data, "value": value},
                before={"objects": {APP: held}},
                at="",
            )
        )
    meta = {"labels": {} if alone else {LABEL: "r"}, "annotations": {ANNOTATION: records[-1].model_dump_json()}}
    for record in records:
        here = {"metadata": meta, "spec": {"replicas": found}}
        if not alone and found not in (before, *written):
            with pytest.raises(Conflict, match=f"is {found}; it was {before}"):
                fault._decide(here, ref, record)
        else:
            patch = fault._decide(here, ref, record)
            assert patch is None if alone else patch["spec"]["replicas"] == before
