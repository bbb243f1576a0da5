import json
from pathlib import Path

import pytest
from kubeapi import NAMESPACE, KubeApi

from blackstart.fleet import incluster
from blackstart.fleet.errors import FleetError
from blackstart.fleet.incluster import in_cluster
from blackstart.fleet.kube import Kube
from blackstart.fleet.objects import Ref, ref_of


def test_a_pod_finds_its_own_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    found = in_cluster("uid", tmp_path)
    config = json.loads(found.kubeconfig.read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://[fd00::1]:443"
    assert "token" not in config["users"][0]["user"]


def test_it_uses_the_service_account_and_needs_no_right_to_look_at_kube_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("the-token")
    monkeypatch.setattr(incluster, "_ACCOUNT", tmp_path)
    with KubeApi(uid="unknown") as api:
        api.add("app", 1)
        host, port = api._server.server_address[:2]
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(host))
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
        found = in_cluster("uid", tmp_path)
        text = found.kubeconfig.read_text()
        plain = json.loads(text.replace("https://", "http://"))
        del plain["clusters"][0]["cluster"]["certificate-authority"]
        found.kubeconfig.write_text(json.dumps(plain))
        with Kube(found) as kube:
            kube.verify_identity()
            assert kube.deployment(NAMESPACE, "app").replicas == 1
        assert ("GET", "/api/v1/namespaces/kube-system") not in api.requests


def test_outside_of_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(FleetError, match="meant to run in a pod"):
        in_cluster("uid", tmp_path)


def test_names_of_objects() -> None:
    pod, deployment = Ref("v1/pods", "a", "b"), Ref("apps/v1/deployments", "a", "b")
    assert (pod.group, pod.path) == ("", "/api/v1/namespaces/a/pods/b")
    assert (deployment.group, deployment.path) == ("apps", "/apis/apps/v1/namespaces/a/deployments/b")
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"namespace": "a", "name": "b"}}
    assert str(ref_of(manifest)) == "job a/b"
