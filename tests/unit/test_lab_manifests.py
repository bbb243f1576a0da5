"""The demo's objects: that they fit together, and run where pods are restricted."""

from __future__ import annotations

from typing import Any

from blackstart.lab.manifests import IMAGE, NAMESPACE, demo


def objects() -> dict[str, dict[str, Any]]:
    return {o["kind"]: o for o in demo("us")}


def test_the_namespace_comes_first() -> None:
    assert [demo("us")[0]["kind"], demo("us")[0]["metadata"]["name"]] == ["Namespace", NAMESPACE]


def test_service_and_budget_select_the_pods() -> None:
    found = objects()
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels


def test_the_service_reaches_the_container_by_the_name_of_its_port() -> None:
    found = objects()
    [port] = found["Service"]["spec"]["ports"]
    [container] = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert port["nodePort"] == 30080
    assert {"name": port["targetPort"], "containerPort": 8080} in container["ports"]


def test_the_container_knows_its_region_and_keeps_to_the_restricted_standard() -> None:
    pod = objects()["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    env = {e["name"]: e for e in container["env"]}
    assert env["REGION"]["value"] == "us"
    assert env["VERSION"]["value"] == "v1"
    assert env["POD_NAME"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert (container["image"], container["imagePullPolicy"]) == (IMAGE, "Never")
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_prometheus_may_read_and_nothing_else() -> None:
    found = objects()
    verbs = {verb for rule in found["ClusterRole"]["rules"] for verb in rule["verbs"]}
    assert verbs == {"get", "list"}
    assert found["ClusterRoleBinding"]["roleRef"]["name"] == found["ClusterRole"]["metadata"]["name"]
    assert found["ClusterRoleBinding"]["subjects"][0]["name"] == "prometheus"
