"""What lint knows of a mesh: hosts, replicas by region, policies, and files that are not what they seem."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import meshkit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackstart.plan.mesh.check import lint_mesh
from blackstart.plan.mesh.files import read_files
from blackstart.plan.mesh.hosts import covers, full, same
from blackstart.plan.mesh.model import KINDS, MeshConfig, Said
from blackstart.plan.mesh.policy import of_rule
from blackstart.plan.mesh.spread import only_region, spread
from blackstart.plan.resources import ClusterConfig, Resource, counted
from blackstart.plan.values import seconds
from blackstart.schema.errors import ContentError, Place
from blackstart.schema.manifests import Manifest

FILES = sorted((Path(__file__).parent / "mesh").rglob("*.yaml"))
HOST = "users.production.svc.cluster.local"


def resource(kind: str, spec: object, **metadata: object) -> Resource:
    manifest = Manifest({"kind": kind, "metadata": metadata, "spec": spec}, {}, Place("x.yaml"))
    return Resource(kind, "us", manifest)


def test_hosts_are_completed_as_istio_does() -> None:
    inside = resource("DestinationRule", {}, name="a", namespace="production")
    assert full("users", inside) == HOST
    assert full("users.production", inside) == "users.production"
    assert full("users", resource("DestinationRule", {})) == "users.?.svc.cluster.local"


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        (HOST, HOST, True),
        ("users.?.svc.cluster.local", HOST, True),
        ("users.staging.svc.cluster.local", HOST, False),
        ("orders.?.svc.cluster.local", HOST, False),
        ("users", HOST, False),
        ("*", HOST, True),
        ("*.production.svc.cluster.local", HOST, True),
        ("*.staging.svc.cluster.local", HOST, False),
        ("*.svc.cluster.local", "users.?.svc.cluster.local", True),
        (HOST, "*.cluster.local", True),
    ],
)
def test_which_hosts_are_one(one: str, other: str, wanted: bool) -> None:
    assert covers(one, other) is wanted
    assert same(one, other) is (wanted and "*" not in one + other)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("1m30s", 90.0), ("500ms", 0.5), ("0.5s", 0.5), ("1h", 3600.0), ("5", None), (5, None), ("", None), ("s", None)],
)
def test_durations(text: object, wanted: float | None) -> None:
    assert seconds(text) == wanted


def deployments(**replicas: object) -> dict[str, str]:
    return {name: meshkit.DEPLOYMENT % ("users", count, "users") for name, count in replicas.items()}


def test_replicas_come_from_deployments_of_the_name(tmp_path: Path) -> None:
    mesh = meshkit.read(tmp_path, **deployments(us=3, eu=5)).mesh
    assert (spread(mesh, HOST).hosts, spread(mesh, HOST).assumed) == ({"us": 3, "eu": 5}, "")
    assert spread(mesh, "orders.production.svc.cluster.local").assumed
    assert spread(mesh, "users.staging.svc.cluster.local").assumed


def test_or_from_those_that_the_service_selects(tmp_path: Path) -> None:
    us = meshkit.SERVICE % "web" + meshkit.DEPLOYMENT % ("web-blue", 2, "web") + meshkit.DEPLOYMENT % ("x", 9, "x")
    mesh = meshkit.read(tmp_path, us=us, eu=meshkit.SERVICE % "web" + meshkit.DEPLOYMENT % ("w", 4, "web")).mesh
    assert spread(mesh, HOST).hosts == {"us": 2, "eu": 4}


def test_clusters_of_one_region_count_together(tmp_path: Path) -> None:
    both = {name: text + meshkit.NODE % ("n", "us-east-1") for name, text in deployments(us1=1, us2=2).items()}
    mesh = meshkit.read(tmp_path, **both, **deployments(eu=3)).mesh
    assert spread(mesh, HOST).hosts == {"us-east-1": 3, "eu": 3}


def test_what_is_said_wins_and_what_is_not_known_is_assumed(tmp_path: Path) -> None:
    mesh = meshkit.read(tmp_path, Said(replicas={"us": 1, "eu": 1}), **deployments(us=3, eu=5)).mesh
    assert spread(mesh, HOST).hosts == {"us": 1, "eu": 1}
    unknown = meshkit.read(tmp_path, Said(regions=("a", "b", "c")), us=meshkit.RULE % 40, eu=meshkit.RULE % 40).mesh
    assert spread(unknown, HOST).total == 3
    assert "assuming 3 regions with equally many replicas" in spread(unknown, HOST).assumed


def test_nodes_of_some_clusters_do_not_tell_all_regions(tmp_path: Path) -> None:
    nodes = {name: meshkit.NODE % ("n", name) for name in ("us", "eu")}
    assert meshkit.read(tmp_path, **nodes).mesh.regions == ["eu", "us"]
    assert meshkit.read(tmp_path, us=nodes["us"], eu=meshkit.RULE % 100).mesh.regions == []
    assert meshkit.read(tmp_path, Said(regions=("a",)), **nodes).mesh.regions == ["a"]


def test_an_autoscaled_deployment_has_no_known_number(tmp_path: Path) -> None:
    assert spread(meshkit.read(tmp_path, **deployments(us=3, eu="null")).mesh, HOST).assumed


def percent(tmp_path: Path, said: Said, value: int, **replicas: object) -> list[str]:
    clusters = {name: meshkit.RULE % value + text for name, text in deployments(**replicas).items()}
    found = lint_mesh(meshkit.read(tmp_path, said, **clusters).mesh)
    return [finding.message for finding in found if finding.rule == "BSM201"]


@pytest.mark.parametrize(
    ("us", "eu", "value", "said"),
    [
        (3, 3, 50, None),
        (3, 3, 49, "49 % of 6 hosts ejects 2; the loss of eu takes 3"),
        (3, 3, 10, "10 % of 6 hosts ejects none; the loss of eu takes 3"),
        (3, 3, 0, "10 % (the default) of 6 hosts ejects none; the loss of eu takes 3"),
        (1, 9, 50, "50 % of 10 hosts ejects 5; the loss of eu takes 9"),
        (3, 0, 90, "90 % of 3 hosts ejects 2; the loss of us takes 3"),
        (3, 0, 100, None),
    ],
)
def test_the_share_that_has_to_be_ejected(tmp_path: Path, us: int, eu: int, value: int, said: str | None) -> None:
    assert percent(tmp_path, Said(), value, us=us, eu=eu) == ([said] * 2 if said else [])


def test_a_service_of_one_region_has_nowhere_to_go(tmp_path: Path) -> None:
    us = meshkit.RULE % 10 + meshkit.DEPLOYMENT % ("users", 3, "users")
    mesh = meshkit.read(tmp_path, us=us, eu=meshkit.DEPLOYMENT % ("orders", 3, "orders")).mesh
    assert only_region(mesh, HOST)
    assert "BSM201" not in {finding.rule for finding in lint_mesh(mesh)}


def test_a_subset_inherits_whole_parts_and_a_port_nothing() -> None:
    top = {
        "outlierDetection": {"interval": "1s"},
        "loadBalancer": {"localityLbSetting": {"failover": []}},
        "portLevelSettings": [{"port": {"number": 80}}],
    }
    subset = {"name": "v1", "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}
    rule = resource("DestinationRule", {"host": "users", "trafficPolicy": top, "subsets": [subset]})
    first, port, second = of_rule(rule)
    assert (first.outlier, port.outlier, second.outlier) == ({"interval": "1s"}, None, {"interval": "1s"})
    assert second.part("loadBalancer", "localityLbSetting")[1] is None
    assert second.part("outlierDetection")[0] == ("spec", "trafficPolicy", "outlierDetection")


def test_folders_are_clusters(tmp_path: Path) -> None:
    meshkit.read(tmp_path, us=meshkit.RULE % 100, eu=meshkit.RULE % 100, **{".git": "a: ["})
    (tmp_path / "us" / "deep").mkdir()
    (tmp_path / "us" / "deep" / "a.yml").write_text("kind: ConfigMap\n---\nkind: Gateway\napiVersion: other/v1\n")
    assert [cluster.name for cluster in read_files([tmp_path], Said()).mesh.clusters] == ["eu", "us"]
    source = read_files([tmp_path / "us", tmp_path / "us" / "mesh.yaml"], Said())
    assert [(cluster.name, len(cluster.resources)) for cluster in source.mesh.clusters] == [("us", 1)]
    assert counted(source.others) == "2 objects of other kinds ignored (ConfigMap, Gateway)"


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "a: 1\n", "kind: List\nitems: []\n", "- 1\n", "kind: DestinationRule\n"]
)
def test_a_folder_without_a_mesh(tmp_path: Path, text: str) -> None:
    with pytest.raises(ContentError, match="has no mesh configuration"):
        meshkit.read(tmp_path, us=text)


def words() -> Iterator[str]:
    for file in FILES:
        yield from file.read_text().replace(":", " ").replace("-", " ").split()
    yield from ("subset", "http", "tls", "tcp", "portLevelSettings", "zone", "*", "us/*", "", "5s")


WORDS = st.sampled_from(sorted({*words()}))
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-1, 200), st.floats(allow_nan=False), WORDS)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5), max_leaves=40
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(KINDS)), VALUES, VALUES), max_size=6))
def test_nothing_that_is_not_istio_crashes_a_rule(objects: list[tuple[str, object, object]]) -> None:
    """The rules look at objects that nobody has validated."""
    found = [
        Resource(kind, "us", Manifest({"metadata": metadata, "spec": spec}, {}, Place("x")))
        for kind, metadata, spec in objects
    ]
    lint_mesh(MeshConfig((ClusterConfig("us", tuple(found)), ClusterConfig("eu", tuple(found[1:])))))


def broken(value: object) -> Iterator[object]:
    """A value with each part of it, one at a time, replaced by something of another kind."""
    yield from (None, [], {}, "x", 7, [7], [{}])
    if isinstance(value, dict):
        yield from ({**value, key: other} for key in value for other in broken(value[key]))
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from ([*value[:i], other, *value[i + 1 :]] for other in broken(item))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_no_value_of_another_kind_crashes_a_rule(file: Path) -> None:
    try:
        mesh = read_files([file], Said()).mesh
    except ContentError:
        return
    (cluster,) = mesh.clusters
    for i, whole in enumerate(cluster.resources):
        for data in broken(whole.manifest.data):
            if isinstance(data, dict):
                changed = Resource(whole.kind, "us", Manifest(data, {}, Place("x")))
                resources = (*cluster.resources[:i], changed, *cluster.resources[i + 1 :])
                lint_mesh(MeshConfig((ClusterConfig("us", resources),)))
