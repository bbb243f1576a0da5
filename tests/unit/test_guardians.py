"""The operator's side of a guardian, against a fake API server in which a created Job starts a real guardian."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from faultkit import APP, RUN
from guardkit import EXPERIMENT, SCALE, WARD, Place, guarded_place
from kubeapi import NAMESPACE

from blackstart.faults.base import FaultError
from blackstart.faults.inject import inject
from blackstart.faults.scale import FAULT
from blackstart.fleet.kube import Kube
from blackstart.fleet.lease import Lost, check_fence
from blackstart.fleet.objects import Ref
from blackstart.plan.ward import Charge, Ward
from blackstart.plan.wards import wards
from blackstart.safety.guardians import Guarded, GuardianError


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with guarded_place(tmp_path) as found:
        yield found


def test_the_plan_says_who_needs_one(place: Place) -> None:
    assert wards(EXPERIMENT, place.fleet) == [WARD]
    assert wards({"method": EXPERIMENT["method"][2:]}, place.fleet) == []
    with pytest.raises(FaultError, match="unknown region or role"):
        wards({"method": [{"provider": {**SCALE, "arguments": {"region": "x", "service": "y"}}}]}, place.fleet)


@pytest.mark.parametrize(
    "context", ["here", {"type": "env", "key": "BLACKSTART_CONTEXT_PRIMARY"}, {"type": "env", "key": "OWN"}]
)
def test_actions_of_other_extensions_need_one_too(
    place: Place, context: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN", "here")
    arguments = {"name": "db", "ns": "data", "replicas": 0}
    scale = {"type": "python", "module": "chaosk8s.statefulset.actions", "func": "scale_statefulset"}
    pods = {"type": "python", "module": "chaosk8s.pod.actions", "func": "terminate_pods", "secrets": ["k8s"]}
    method = [{"provider": {**scale, "arguments": arguments, "secrets": ["k8s"]}}, {"provider": pods}]
    experiment = {"secrets": {"k8s": {"KUBERNETES_CONTEXT": context}}, "method": method}
    assert wards(experiment, place.fleet) == [
        Ward("us", "data", (Charge(Ref("apps/v1/statefulsets", "data", "db")),))
    ]
    accepted = {**method[0], "type": "action", "undo": "none", "reason": "it is wanted so"}
    assert wards({**experiment, "method": [accepted]}, place.fleet) == []
    experiment["secrets"] = {"k8s": {"KUBERNETES_CONTEXT": "elsewhere"}}
    with pytest.raises(FaultError, match="is of no region of fleet 'fake'"):
        wards(experiment, place.fleet)


def test_it_starts_lives_and_ends_without_a_trace(place: Place) -> None:
    protected = place.protected()
    (lock,) = protected.lock()
    (lease,) = protected.start()
    assert (lease.name, lease.region) == ("the Lease of us/production", "us")
    assert protected.fenced() == [("us", NAMESPACE)]
    kinds = sorted(obj["kind"] for obj in place.here.api.objects.values())
    assert kinds == ["Job", "Lease", "Lease", "Role", "RoleBinding", "ServiceAccount"]
    for _ in range(3):
        lock.renew()
        lease.renew()
    protected.end()
    protected.unlock()
    assert place.left() == []
    assert protected.said == []


def test_an_api_server_that_is_busy_for_a_moment_is_asked_again(place: Place) -> None:
    refused: list[str] = []

    def busy(method: str, path: str) -> tuple[int, str] | None:
        # The Lease is made, and its first looks go wrong.
        if method == "GET" and "/leases/" in path and len(refused) < 3:
            refused.append(path)
            return 503, "busy"
        return None

    guarded = Guarded(wards(EXPERIMENT, place.fleet)[0], place.fleet, RUN, 3.0)
    place.here.api.fail = busy
    assert "alive after" in guarded.start(20.0)
    assert len(refused) == 3
    assert guarded.end() == []


def test_everything_ends_with_the_lease_and_may_do_only_what_it_must(place: Place) -> None:
    protected = place.protected()
    protected.start()
    objects = place.here.api.objects.values()
    (lease,) = place.here.api.named("leases")
    for obj in objects:
        if obj is not lease:
            (owner,) = obj["metadata"]["ownerReferences"]
            assert owner["uid"] == lease["metadata"]["uid"]
            assert obj["metadata"]["labels"]["blackstart.dev/run"] == RUN
    (role,) = place.here.api.named("roles")
    name = lease["metadata"]["name"]
    assert role["rules"] == [
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": [name],
            "verbs": ["get", "patch", "delete"],
        },
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": [APP], "verbs": ["get", "patch"]},
    ]
    protected.end()


def test_its_pod_is_accepted_where_pods_are_restricted(place: Place) -> None:
    protected = place.protected()
    protected.start()
    spec = place.jobs[0]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["restartPolicy"] == "OnFailure"
    assert yaml.safe_dump(place.jobs[0])
    protected.end()


def test_a_run_that_stops_renewing_loses_its_lease_and_is_put_back(place: Place) -> None:
    protected = place.protected(ttl=1.0)
    (lease,) = protected.start()
    inject(FAULT, place.here.fleet, {"service": "frontend", "region": "primary"}, place.here.context())
    deadline = time.monotonic() + 10
    while place.here.replicas == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert place.here.replicas == 3
    with pytest.raises(Lost):
        lease.renew()
    with Kube(place.fleet.regions["us"].cluster) as kube, pytest.raises(Lost):
        check_fence(kube, NAMESPACE, RUN)
    protected.end()
    assert protected.said == ["put back scale-1 (us/production/user-service): 3 replicas available"]
    assert place.left() == []


def test_no_guardian_no_drill(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackstart.safety.protected.START", 1.0)
    place.deaf = True
    protected = place.protected()
    with pytest.raises(GuardianError, match=r"guardian of us/production: not alive after 1 s: no pod was made"):
        protected.start()
    protected.end()
    assert place.left() == []


def test_a_pod_that_cannot_start_is_explained(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackstart.safety.protected.START", 1.0)
    place.deaf = True
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
    pod = {"metadata": {"name": "p"}, "status": {"phase": "Pending", "containerStatuses": [waiting]}}
    monkeypatch.setattr(Guarded, "_pods", lambda self: [pod] if place.left() else [])
    protected = place.protected()
    with pytest.raises(GuardianError, match="its pod is Pending: ErrImagePull: no such image"):
        protected.start()
    protected.end()


def test_a_guardian_that_may_not_restore_is_not_alive(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackstart.safety.protected.START", 2.0)
    place.here.api.denied.add("patch")
    protected = place.protected()
    with pytest.raises(GuardianError, match="not allowed to patch deployment production/user-service"):
        protected.start()
    protected.end()


def test_a_fleet_without_an_image(place: Place) -> None:
    with pytest.raises(GuardianError, match=r"has no `guardian\.image`, and this drill changes objects in us/prod"):
        Guarded(WARD, place.here.fleet, RUN, 3.0)


def test_what_is_still_there_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackstart.safety.guardians.END", 0.5)
    protected = place.protected()
    protected.start()
    place.here.api.fail = lambda method, path: (403, "no right to delete") if method == "DELETE" else None
    with pytest.raises(GuardianError, match=r"still there: .*no right to delete"):
        protected.end()
