"""The operator's side of a guardian, against a fake API server in which a created Job starts a real guardian."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from faultkit import APP, RUN, Bench, bench
from kubeapi import NAMESPACE

from blackstart.faults.base import FaultError
from blackstart.faults.inject import inject
from blackstart.faults.scale import FAULT
from blackstart.fleet.kube import Kube
from blackstart.fleet.lease import Lost, check_fence
from blackstart.fleet.model import Fleet
from blackstart.fleet.model import Guardian as Image
from blackstart.fleet.objects import Ref
from blackstart.plan.ward import Charge, Ward, ward_of
from blackstart.plan.wards import wards
from blackstart.run.guardian import Guardian, Post
from blackstart.run.guardians import Guarded, GuardianError
from blackstart.run.lock import Lock, homes
from blackstart.run.protected import Protected

SCALE = {"module": "blackstart.activities.faults", "func": "scale"}
EXPERIMENT = {
    "method": [
        {"type": "probe", "provider": {"module": "blackstart.activities.probes", "func": "service_answers"}},
        {"provider": {**SCALE, "arguments": {"service": "frontend", "region": "primary"}}},
        {"provider": {"module": "blackstart.activities.faults", "func": "kill", "arguments": {"region": "primary"}}},
    ]
}
WARD = Ward("us", NAMESPACE, (Charge(Ref("apps/v1/deployments", NAMESPACE, APP)),))


@dataclasses.dataclass
class Place:
    """A bench with a cluster that runs Jobs, unless `deaf`."""

    here: Bench
    deaf: bool = False
    jobs: list[Any] = dataclasses.field(default_factory=list)
    threads: list[threading.Thread] = dataclasses.field(default_factory=list)

    @property
    def fleet(self) -> Fleet:
        return self.here.fleet.model_copy(update={"guardian": Image(image="blackstart:1")})

    def created(self, obj: dict[str, Any]) -> None:
        if obj["kind"] == "Job":
            self.jobs.append(obj)
            if not self.deaf:
                self.threads.append(threading.Thread(target=self.work, args=(obj,), daemon=True))
                self.threads[-1].start()

    def work(self, job: dict[str, Any]) -> None:
        args = job["spec"]["template"]["spec"]["containers"][0]["args"]
        pairs = list(zip(args[1::2], args[2::2], strict=True))
        given, all_of = dict(pairs), lambda wanted: [value for option, value in pairs if option == wanted]
        namespace, _, name = given["--lease"].partition("/")
        ward = ward_of(given["--region"], namespace, all_of("--target"), all_of("--slip"))
        cluster = self.fleet.regions[ward.region].cluster
        lease = Ref("coordination.k8s.io/v1/leases", namespace, name)
        Guardian(Post(given["--run"], lease, cluster, ward, "pod"), lambda text: None).watch()

    def protected(self, ttl: float = 3.0, recover: Callable[[str], None] = lambda run: None) -> Protected:
        lock = Lock(homes(self.fleet, []), ["us"], RUN, ttl)
        return Protected(lock, wards(EXPERIMENT, self.fleet), self.fleet, RUN, ttl, recover)

    def left(self) -> list[str]:
        return [path for path in self.here.api.objects if "/events/" not in path]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with bench(tmp_path) as here:
        found = Place(here)
        here.api.on_create = found.created
        yield found
        here.api.objects.clear()
        for thread in found.threads:
            thread.join(10)


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
    monkeypatch.setattr("blackstart.run.protected.START", 1.0)
    place.deaf = True
    protected = place.protected()
    with pytest.raises(GuardianError, match=r"guardian of us/production: not alive after 1 s: no pod was made"):
        protected.start()
    protected.end()
    assert place.left() == []


def test_a_pod_that_cannot_start_is_explained(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackstart.run.protected.START", 1.0)
    place.deaf = True
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
    pod = {"metadata": {"name": "p"}, "status": {"phase": "Pending", "containerStatuses": [waiting]}}
    monkeypatch.setattr(Guarded, "_pods", lambda self: [pod] if place.left() else [])
    protected = place.protected()
    with pytest.raises(GuardianError, match="its pod is Pending: ErrImagePull: no such image"):
        protected.start()
    protected.end()


def test_a_guardian_that_may_not_restore_is_not_alive(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackstart.run.protected.START", 2.0)
    place.here.api.denied.add("patch")
    protected = place.protected()
    with pytest.raises(GuardianError, match="not allowed to patch deployment production/user-service"):
        protected.start()
    protected.end()


def test_a_fleet_without_an_image(place: Place) -> None:
    with pytest.raises(GuardianError, match=r"has no `guardian\.image`, and this drill changes objects in us/prod"):
        Guarded(WARD, place.here.fleet, RUN, 3.0)


def test_what_is_still_there_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackstart.run.guardians.END", 0.5)
    protected = place.protected()
    protected.start()
    place.here.api.fail = lambda method, path: (403, "no right to delete") if method == "DELETE" else None
    with pytest.raises(GuardianError, match=r"still there: .*no right to delete"):
        protected.end()
