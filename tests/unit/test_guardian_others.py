"""Guardians of what is not a Deployment: nodes, and what actions of chaosk8s make or delete."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from faultkit import RUN
from guardkit import SCALE, Place, guarded_place
from kubeapi import NAMESPACE

from blackstart.cli import cli
from blackstart.evidence.undo import Undo
from blackstart.faults import foreign, marks
from blackstart.faults.base import FaultError
from blackstart.faults.inject import inject
from blackstart.faults.marks import LABEL
from blackstart.fleet import lease as leases
from blackstart.fleet.clusterroles import discard, run_role
from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.lease import check_fence, run_lease
from blackstart.fleet.objects import Ref
from blackstart.plan.rights import needed, needed_for_nodes
from blackstart.plan.ward import Charge, Ward, ward_of
from blackstart.plan.wards import wards
from blackstart.safety.guardian import Guardian, Post
from blackstart.safety.guardians import GuardianError
from blackstart.safety.leash import Leash
from blackstart.safety.watched import Job, Tenure

NODES, POLICIES, SERVICES = "v1/nodes", "networking.k8s.io/v1/networkpolicies", "v1/services"
DENY = "chaostoolkit-deny-all-ingress"
NODE, POLICY, SERVICE = Ref(NODES, "", "one"), Ref(POLICIES, NAMESPACE, DENY), Ref(SERVICES, NAMESPACE, "web")
NAME = run_lease("", RUN).name


def action(module: str, func: str, **arguments: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": f"chaosk8s.{module}.actions", "func": func, "arguments": arguments}
    return {"type": "action", "name": func, "provider": {**provider, "secrets": ["k8s"]}}


CORDON = action("node", "cordon_node", label_selector="pool=a")
POLICE = action("networking", "deny_all_ingress", ns=NAMESPACE)
DELETE = action("service", "delete_service", name="web", ns=NAMESPACE)


def experiment(*method: dict[str, Any]) -> dict[str, Any]:
    return {"secrets": {"k8s": {"KUBERNETES_CONTEXT": "here"}}, "method": list(method)}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("BLACKSTART_FLEET", str(tmp_path / "fleet.yaml"))
    with guarded_place(tmp_path) as found:
        meta = {"uid": "u1", "resourceVersion": "1"}
        objects = found.here.api.objects
        objects[NODE.path] = {"metadata": {**meta, "name": "one", "labels": {"pool": "a"}}, "spec": {}}
        service = {**meta, "name": "web", "namespace": NAMESPACE}
        objects[SERVICE.path] = {"metadata": service, "spec": {"clusterIP": "10.0.0.1"}}
        yield found


def do(place: Place, activity: dict[str, Any], call: Callable[[Kube], object]) -> None:
    """An action of chaosk8s, as the guard makes it; `call` in the place of its own request."""
    provider = activity["provider"]
    known = foreign.known(provider)
    assert known
    with Kube(place.fleet.regions["us"].cluster) as kube:
        fault = foreign.around(known, lambda: call(kube))
        arguments = {**provider["arguments"], **known.fixed, "region": "us", "run": RUN}
        inject(fault, place.fleet, arguments, place.here.context())


def cordon(place: Place) -> None:
    do(place, CORDON, lambda kube: kube.patch(NODE, {"spec": {"unschedulable": True}}))


def police(place: Place) -> None:
    spec = {"podSelector": {}, "policyTypes": ["Ingress"]}
    manifest = {"kind": "NetworkPolicy", "metadata": {"name": DENY}, "spec": spec}
    do(place, POLICE, lambda kube: kube.create(POLICY, manifest))


def delete(place: Place) -> None:
    do(place, DELETE, lambda kube: kube.delete(SERVICE))


BREAKS = [(CORDON, cordon), (POLICE, police), (DELETE, delete)]


def as_before(place: Place) -> bool:
    """Whether node, policy and service are as they were, and nothing of the run is on them."""
    objects = place.here.api.objects
    node, service = objects[NODE.path], objects.get(SERVICE.path, {"spec": None})
    whole = not node["spec"].get("unschedulable") and LABEL not in node["metadata"]["labels"]
    return whole and POLICY.path not in objects and service["spec"] == {"clusterIP": "10.0.0.1"}


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.05)


def record(fault: str) -> Undo:
    return Undo(run=RUN, fault=fault, kind="", target="", fleet="", clusters={}, data={}, before={}, at="")


# -- the plan


def test_nodes_are_looked_after_from_a_namespace_of_the_region(place: Place) -> None:
    node = Charge(NODE)
    assert wards(experiment(CORDON), place.fleet) == [Ward("us", NAMESPACE, (node,))]
    other = action("statefulset", "scale_statefulset", name="db", ns="data", replicas=0)
    database = Charge(Ref("apps/v1/statefulsets", "data", "db"))
    assert wards(experiment(CORDON, other), place.fleet) == [Ward("us", "data", (node, database))]
    homeless = place.fleet.model_copy(update={"services": {}})
    with pytest.raises(FaultError, match=r"no service of fleet 'fake' has a workload in region 'us'.* `undo: none`"):
        wards(experiment(CORDON), homeless)


def test_what_is_made_or_deleted_has_its_slips(place: Place) -> None:
    policy, service = Charge(POLICY, ("get", "delete")), Charge(SERVICE, ("get", "create"))
    (ward,) = wards(experiment(POLICE, DELETE, POLICE), place.fleet)
    assert ward == Ward(
        "us", NAMESPACE, (policy, service), ("foreign-create-1", "foreign-create-2", "foreign-delete-1")
    )
    undo = record("foreign-create-2")
    assert marks.slip(undo, NAMESPACE) == ward.slip_refs(RUN)[1]
    assert ward.bearers(RUN) == ward.slip_refs(RUN)
    remove = action("networking", "remove_deny_all_ingress", ns=NAMESPACE)
    place.here.api.objects[POLICY.path] = {"metadata": {"name": DENY}, "spec": {}}
    (both,) = wards(experiment(POLICE, remove), place.fleet)
    assert both.charges == (Charge(POLICY, ("get", "delete", "create")),)


def test_an_action_that_nobody_puts_back_has_no_guardian(place: Place) -> None:
    at_random = action("node", "drain_nodes", count=1)
    with pytest.raises(FaultError, match="`count` leaves open"):
        wards(experiment(at_random), place.fleet)
    assert wards(experiment({**at_random, "undo": "none", "reason": "it may"}), place.fleet) == []


def test_a_cluster_that_does_not_answer_is_told(place: Place) -> None:
    place.here.api.fail = lambda method, path: (503, "starting")
    with pytest.raises(
        FaultError, match=r"foreign-cordon: which objects it changes cannot be known, .* 503 starting"
    ):
        wards(experiment(CORDON), place.fleet)


def test_it_survives_the_command_line(place: Place) -> None:
    (ward,) = wards(experiment(CORDON, POLICE, DELETE), place.fleet)
    pairs = list(zip(ward.options()[::2], ward.options()[1::2], strict=True))
    targets, slips = [v for o, v in pairs if o == "--target"], [v for o, v in pairs if o == "--slip"]
    assert ward_of("us", NAMESPACE, targets, slips) == ward
    with pytest.raises(ValueError, match="is not API/NAME=VERBS"):
        ward_of("us", NAMESPACE, ["v1/nodes/one"], [])


# -- permissions


def test_it_may_do_only_what_it_must(place: Place) -> None:
    protected = place.protected(experiment=experiment(CORDON, POLICE, DELETE))
    protected.start()
    (role,), (cluster_role,) = place.here.api.named("roles"), place.here.api.named("clusterroles")
    slips = sorted(
        ref.name for ref in place.protected(experiment=experiment(POLICE, DELETE))._wards[0].slip_refs(RUN)
    )
    whole = ["get", "patch", "delete"]
    lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": [NAME], "verbs": whole}
    network, rbac = "networking.k8s.io", "rbac.authorization.k8s.io"
    assert role["rules"] == [
        lease,
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
        {
            "apiGroups": [network],
            "resources": ["networkpolicies"],
            "resourceNames": [DENY],
            "verbs": ["get", "delete"],
        },
        {"apiGroups": [""], "resources": ["services"], "resourceNames": ["web"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["services"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": slips, "verbs": whole},
    ]
    assert cluster_role["rules"] == [
        {"apiGroups": [""], "resources": ["nodes"], "resourceNames": ["one"], "verbs": ["get", "patch"]},
        {"apiGroups": [rbac], "resources": ["clusterroles"], "resourceNames": [NAME], "verbs": ["delete"]},
    ]
    (binding,) = place.here.api.named("clusterrolebindings")
    assert binding["roleRef"]["kind"] == "ClusterRole"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}]
    protected.end()


def test_the_cluster_role_owns_all_the_rest_and_has_the_runs_label(place: Place) -> None:
    protected = place.protected(experiment=experiment(CORDON))
    protected.start()
    (role,) = place.here.api.named("clusterroles")
    assert role["metadata"]["labels"][LABEL] == RUN
    assert "ownerReferences" not in role["metadata"]
    for path in place.left():
        meta = place.here.api.objects[path]["metadata"]
        if "/clusterroles/" not in path and "/leases/" not in path:
            assert [owner["uid"] for owner in meta["ownerReferences"]] == [role["metadata"]["uid"]]
    protected.end()


def test_a_policy_of_the_drill_does_not_shut_the_guardian_in(place: Place) -> None:
    protected = place.protected(experiment=experiment(action("networking", "deny_all_egress", ns=NAMESPACE)))
    protected.start()
    (policy,) = place.here.api.named("networkpolicies")
    assert policy["spec"]["egress"] == [{}]
    pod = place.jobs[0]["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= pod.items()
    protected.end()
    assert place.left() == []


def test_the_operator_must_be_allowed_what_the_plan_takes_and_no_more(place: Place) -> None:
    (plain,) = wards({"method": [{"provider": {**SCALE, "arguments": ARGUMENTS}}]}, place.fleet)
    (nodes,), (slips,) = wards(experiment(CORDON), place.fleet), wards(experiment(POLICE, DELETE), place.fleet)
    assert needed_for_nodes(plain) == needed_for_nodes(slips) == []
    rbac = "rbac.authorization.k8s.io"
    wanted = {("create", "clusterroles", rbac), ("delete", "clusterroles", rbac), ("patch", "nodes", "")}
    assert {*wanted, ("create", "clusterrolebindings", rbac)} <= set(needed_for_nodes(nodes))
    extra = {
        ("create", "configmaps", ""),
        ("delete", "networkpolicies", "networking.k8s.io"),
        ("create", "services", ""),
    }
    assert extra <= set(needed(slips))
    assert not extra & {*needed(plain), *needed(nodes)}


ARGUMENTS = {"service": "frontend", "region": "primary"}


@pytest.mark.parametrize(
    ("activity", "verb", "what"),
    [
        (CORDON, "patch", "patch node one"),
        (POLICE, "delete", f"delete networkpolicy {NAMESPACE}/{DENY}"),
        (DELETE, "create", f"create service {NAMESPACE}/"),
    ],
)
def test_a_guardian_that_may_not_is_not_alive(
    place: Place, monkeypatch: pytest.MonkeyPatch, activity: dict[str, Any], verb: str, what: str
) -> None:
    monkeypatch.setattr("blackstart.safety.protected.START", 1.5)
    place.here.api.denied.add(verb)
    protected = place.protected(experiment=experiment(activity))
    with pytest.raises(GuardianError, match=f"not allowed to .*{what}"):
        protected.start()
    protected.end()
    assert place.left() == []


# -- ends


@pytest.mark.parametrize("activity", [activity for activity, _ in BREAKS])
def test_it_ends_without_a_trace(place: Place, activity: dict[str, Any]) -> None:
    protected = place.protected(experiment=experiment(activity))
    protected.start()
    protected.end()
    assert place.left() == []
    assert protected.said == []


@pytest.mark.parametrize(("activity", "break_it"), BREAKS)
def test_when_the_machine_dies_the_guardian_puts_it_back_and_goes(
    place: Place, activity: dict[str, Any], break_it: Callable[[Place], None]
) -> None:
    place.protected(ttl=1.0, experiment=experiment(activity)).start()
    break_it(place)
    assert not as_before(place)
    until(lambda: place.left() == [])
    assert as_before(place)
    (event,) = place.here.api.named("events")
    assert event["reason"] == "PutBack"
    assert event["metadata"]["namespace"] == event["involvedObject"]["namespace"] == NAMESPACE


def test_all_at_once(place: Place) -> None:
    protected = place.protected(ttl=2.0, experiment=experiment(CORDON, POLICE, DELETE))
    protected.start()
    for _, break_it in BREAKS:
        break_it(place)
    until(lambda: place.left() == [])
    assert as_before(place)
    protected.end()
    assert len(protected.said) == 3


def test_what_someone_changed_is_left_alone(place: Place) -> None:
    place.protected(ttl=1.5, experiment=experiment(CORDON, POLICE)).start()
    cordon(place)
    police(place)
    objects = place.here.api.objects
    objects[POLICY.path]["spec"]["ingress"] = [{"from": []}]
    objects[NODE.path]["spec"]["unschedulable"] = False
    until(lambda: place.here.api.named("jobs") == [])
    assert objects[POLICY.path]["spec"]["ingress"] == [{"from": []}]
    assert objects[NODE.path]["spec"]["unschedulable"] is False
    # The slip stays, so that recover finds the conflict; of the guardian nothing does.
    (slip,) = [o for o in place.here.api.named("configmaps") if marks.run_of(o) == RUN]
    kept = {POLICY.path, Ref("v1/configmaps", NAMESPACE, slip["metadata"]["name"]).path}
    assert set(place.left()) == kept
    assert sorted(event["reason"] for event in place.here.api.named("events")) == ["Conflict", "PutBack"]


@pytest.mark.parametrize("nth", range(1, 26))
def test_killed_at_any_request_the_next_life_finishes(place: Place, nth: int) -> None:
    """Dies in the middle of its nth request after the expiry; the request is done, its answer never comes."""

    class Killed(BaseException):
        pass

    place.deaf = True
    ward = start(place, CORDON, POLICE)
    cordon(place)
    police(place)
    real, calls, now = Kube._request, {"n": 0}, [0.0]

    def request(self: Kube, *args: Any, **kwargs: Any) -> Any:
        answer = real(self, *args, **kwargs)
        calls["n"] += now[0] >= 15
        if calls["n"] == nth:
            raise Killed
        return answer

    def pause(seconds: float) -> None:
        now[0] += seconds
        assert now[0] < 300, "it goes on for ever"

    post = Post(RUN, run_lease(NAMESPACE, RUN), place.fleet.regions["us"].cluster, ward, "pod")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kube, "_request", request)
        with pytest.raises(Killed):
            Guardian(post, lambda text: None, lambda: now[0], pause).watch()
    if place.here.api.named("jobs"):
        Guardian(post, lambda text: None, lambda: now[0], pause).watch()
    assert as_before(place)
    assert place.left() == []


def start(place: Place, *method: dict[str, Any]) -> Ward:
    """All the objects of a guardian that never comes to life."""
    protected = place.protected(ttl=15.0, experiment=experiment(*method))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blackstart.safety.protected.START", 0.1)
        with pytest.raises(GuardianError, match="not alive"):
            protected.start()
    return protected._wards[0]


def test_what_the_operator_did_not_come_to_delete_the_guardian_does(place: Place) -> None:
    protected = place.protected(experiment=experiment(CORDON))
    protected.start()
    with Kube(place.fleet.regions["us"].cluster) as kube:
        leases.release(kube, run_lease(NAMESPACE, RUN), RUN)
    until(lambda: place.left() == [])


def test_after_the_end_nothing_is_allowed_any_more(place: Place) -> None:
    place.here.api.fail = lambda method, path: (403, "no") if method == "DELETE" else None
    with Kube(place.fleet.regions["us"].cluster) as kube:
        discard(kube, run_role(RUN), own=True)
        with pytest.raises(KubeError):
            discard(kube, run_role(RUN))


def test_the_watchdog_takes_the_cluster_role_away(place: Place) -> None:
    place.deaf = True
    start(place, CORDON)
    cordon(place)
    cluster = place.fleet.regions["us"].cluster
    tenure = Tenure(cluster=cluster, namespace=NAMESPACE, name=NAME, nodes=True)
    store, file = place.here.store, place.here.fleet_file
    job = Job(run=RUN, state=store.state, fleet=file, ttl=30.0, deadline=30.0, leases=[tenure])
    leash = Leash.start([sys.executable, "-m", "blackstart.safety.watchdog"], job, place.here.folder / "log")
    leash.leave()
    assert leash._process.wait(30) == 0
    assert as_before(place)
    assert place.left() == []


def command(*argv: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, argv, standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.return_value, result.output


@pytest.mark.parametrize(("activity", "break_it"), BREAKS)
def test_recover_leaves_nothing(place: Place, activity: dict[str, Any], break_it: Callable[[Place], None]) -> None:
    place.deaf = True
    start(place, activity)
    break_it(place)
    code, text = command("recover")
    assert code == 0, text
    assert as_before(place)
    assert place.left() == []
    assert command("recover") == (0, "nothing to put back\n")


def test_another_machine_leaves_the_cluster_role_of_a_run_that_lives(place: Place) -> None:
    protected = place.protected(experiment=experiment(CORDON))
    (lease,) = protected.start()
    stop = threading.Event()

    def keep() -> None:
        while not stop.wait(0.3):
            lease.renew()

    keeper = threading.Thread(target=keep)
    keeper.start()
    assert f"us       {NAME}  {RUN}  yes" in command("status")[1]
    command("recover")
    stop.set()
    keeper.join()
    assert len(place.here.api.named("clusterroles")) == 1
    protected.end()
    assert place.left() == []


def test_a_cluster_role_alone_is_seen_and_removed(place: Place) -> None:
    place.deaf = True
    start(place, CORDON)
    with Kube(place.fleet.regions["us"].cluster) as kube:
        kube.delete(run_lease(NAMESPACE, RUN))
    assert f"us       {NAME}  {RUN}  no" in command("status")[1]
    assert f"us: clusterrole {NAME} of {RUN}: would change" in command("recover", "--dry-run")[1]
    code, text = command("recover")
    assert (code, f"us: clusterrole {NAME} of {RUN}: removed" in text) == (0, True)
    assert place.left() == []
    assert "Cluster roles: none" in command("status")[1]


def test_whoever_may_not_list_cluster_roles_has_none(place: Place) -> None:
    place.here.api.fail = lambda method, path: (403, "no") if path.endswith(("/clusterroles", "/nodes")) else None
    assert command("recover") == (0, "nothing to put back\n")


# -- whoever wakes up late


def test_a_record_that_comes_late_is_refused(place: Place) -> None:
    """The child was stopped between reading the slip and writing the record."""
    place.protected(ttl=1.0, experiment=experiment(POLICE)).start()

    def stopped() -> None:
        if place.here.api.named("configmaps"):
            until(lambda: place.left() == [])

    undo = record("foreign-create-1")
    with Kube(place.fleet.regions["us"].cluster) as kube, pytest.raises(KubeError, match="404"):
        marks.leave_slip(kube, undo, NAMESPACE, stopped)
    assert place.left() == []


def test_no_slip_is_left_without_a_lease(place: Place) -> None:
    undo = record("foreign-create-1")
    with Kube(place.fleet.regions["us"].cluster) as kube, pytest.raises(leases.Lost):
        marks.leave_slip(kube, undo, NAMESPACE, lambda: check_fence(kube, NAMESPACE, RUN))
    assert place.left() == []


def test_a_call_that_comes_late_is_taken_back(place: Place) -> None:
    place.protected(ttl=1.0, experiment=experiment(POLICE)).start()
    spec = {"podSelector": {}, "policyTypes": ["Ingress"]}

    def late(kube: Kube) -> None:
        until(lambda: place.left() == [])
        kube.create(POLICY, {"kind": "NetworkPolicy", "metadata": {"name": DENY}, "spec": spec})

    with pytest.raises(FaultError, match="put back by someone else while the action ran"):
        do(place, POLICE, late)
    assert as_before(place)
    assert place.left() == []
