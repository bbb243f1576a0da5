import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubeapi import NAMESPACE, UID, KubeApi
from loopback import black_hole, free_address

from blackstart.faults.workloads import DEPLOYMENTS
from blackstart.fleet import kube
from blackstart.fleet.kube import Kube, KubeError, WrongCluster
from blackstart.fleet.model import Cluster
from blackstart.fleet.objects import Ref


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi() as found:
        found.add("app", 2)
        yield found


@pytest.fixture
def client(api: KubeApi, tmp_path: Path) -> Iterator[Kube]:
    with Kube(Cluster(kubeconfig=api.kubeconfig(tmp_path), context="here", uid=UID)) as found:
        yield found


def _cluster(tmp_path: Path, address: str) -> Cluster:
    path = tmp_path / "kubeconfig"
    path.write_text(
        f"{{apiVersion: v1, kind: Config, clusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}],"
        " users: [{name: c, user: {token: t}}], contexts: [{name: c, context: {cluster: c, user: c}}]}"
    )
    return Cluster(kubeconfig=path, context="c", uid=UID)


def test_it_takes_the_named_context_not_the_current_one(client: Kube) -> None:
    client.verify_identity()
    assert client.deployment(NAMESPACE, "app").replicas == 2


def test_another_cluster_is_refused(api: KubeApi, client: Kube) -> None:
    api.uid = "another"
    with pytest.raises(WrongCluster, match=r"kube-system has UID another, fleet\.yaml pins 1111"):
        client.verify_identity()


def test_a_context_that_is_not_there(api: KubeApi, tmp_path: Path) -> None:
    with pytest.raises(KubeError, match=r"cannot use .*kubeconfig.*correct `kubeconfig` and `context`"):
        Kube(Cluster(kubeconfig=api.kubeconfig(tmp_path), context="nowhere", uid=UID))
    with pytest.raises(KubeError, match="cannot use"):
        Kube(Cluster(kubeconfig=tmp_path / "none", context="here", uid=UID))


def test_pods_say_where_they_answer(client: Kube) -> None:
    pods = client.pods(NAMESPACE, {"app": "app"})
    assert len(pods) == 2
    assert all(p.ready and p.port == 1 and p.path == "/healthz" and p.containers for p in pods)
    assert client.pods(NAMESPACE, {"app": "other"}) == []


def test_only_the_very_pod_is_deleted(api: KubeApi, client: Kube) -> None:
    api.recreate = False
    pod = client.pods(NAMESPACE, {"app": "app"})[0]
    client.delete_pod(NAMESPACE, pod.name, "another-uid")
    assert pod.name in api.pods
    client.delete_pod(NAMESPACE, pod.name, pod.uid)
    client.delete_pod(NAMESPACE, pod.name, pod.uid)
    assert pod.name not in api.pods


def test_a_stale_patch_is_a_conflict(client: Kube) -> None:
    with pytest.raises(KubeError, match="HTTP 409 the object has been modified; someone else changed it") as caught:
        client.patch(Ref(DEPLOYMENTS, NAMESPACE, "app"), {"metadata": {"resourceVersion": "0"}})
    assert caught.value.status == 409


def test_permissions_are_asked_for(api: KubeApi, client: Kube) -> None:
    api.denied.add("delete")
    assert client.can("patch", "deployments", NAMESPACE, group="apps")
    assert not client.can("delete", "pods", NAMESPACE)


def test_no_answer_is_told_at_once(tmp_path: Path) -> None:
    with (
        Kube(_cluster(tmp_path, free_address())) as client,
        pytest.raises(
            KubeError, match="cluster 'c': cannot get deployment n/app: connection refused; is the API"
        ) as caught,
    ):
        client.deployment("n", "app")
    assert caught.value.status is None


def test_a_black_hole_costs_one_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube, "TIMEOUT", (0.3, 0.3))
    with black_hole() as address, Kube(_cluster(tmp_path, address)) as client:
        began = time.monotonic()
        with pytest.raises(KubeError, match="no answer"):
            client.verify_identity()
        assert time.monotonic() - began < 1.5
