"""The kind provider without Docker: generated files, command lines, and what is said where Docker is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackstart.fleet.model import Fleet
from blackstart.lab import kind, kindboxes, kindfiles
from blackstart.lab.paths import LabPaths
from blackstart.lab.shell import LabError

STATE = Path("/state")
ADDRESSES = {"us": "172.18.0.2", "eu": "172.18.0.3", "edge": "172.18.0.4", "observer": "172.18.0.5"}


def fleet() -> Fleet:
    uids = {"us": "uid-us", "eu": "uid-eu"}
    document = kindfiles.fleet_document(["us", "eu"], ADDRESSES, uids, LabPaths(STATE))
    return Fleet.model_validate(document)


def test_clusters_keep_apart() -> None:
    us, eu = kindfiles.cluster_config("us", 1), kindfiles.cluster_config("eu", 2)
    assert us["networking"] == {"podSubnet": "10.101.0.0/16", "serviceSubnet": "10.121.0.0/16"}
    assert not set(us["networking"].values()) & set(eu["networking"].values())
    assert us["nodes"][0]["labels"]["topology.kubernetes.io/region"] == "us"


def test_create_command() -> None:
    assert kindfiles.create_command(Path("/bin/kind"), "us", STATE / "us") == [
        *("/bin/kind", "create", "cluster", "--name", "bskind-us"),
        *("--config", "/state/us/cluster.json", "--kubeconfig", "/state/us/kubeconfig", "--wait", "120s"),
    ]


def test_containers_beside_the_nodes() -> None:
    run = ["docker", "run", "--detach", "--name"]
    assert kindfiles.observer_command("sha256:1") == [
        *(*run, "bskind-observer", "--label", "blackstart.lab", "--network", "kind"),
        *("--entrypoint", "sleep", "sha256:1", "infinity"),
    ]
    edge = kindfiles.edge_command("sha256:1", Path("/venv/envoy"), STATE / "edge.json")
    assert edge[: len(run) + 1] == [*run, "bskind-edge"]
    assert edge[-6:] == ["sha256:1", "-c", "/edge.json", "--disable-hot-restart", "--concurrency", "1"]
    assert "/venv/envoy:/envoy:ro" in edge


def test_prometheus_lives_in_the_namespace_of_the_node() -> None:
    targets = kindfiles.targets(STATE / "us", "172.18.0.4:9901")
    for argv in (
        kindfiles.prometheus_command("us", STATE / "us"),
        kindfiles.discovery_container("sha256:1", "us", Path("/cache/app"), targets),
    ):
        assert argv[argv.index("--network") + 1] == "container:bskind-us-control-plane"
    assert argv[argv.index("sha256:1") + 1] == "discover"


def test_fleet_is_the_native_one_but_for_links_by_address() -> None:
    lab = fleet()
    assert lab.provider == "kind"
    assert lab.resolve("primary") == "us"
    assert set(lab.links) == {"us-eu", "edge-us", "edge-eu", "observer-us", "observer-eu"}
    near, far = lab.links["us-eu"].ends
    assert (near.place, near.sources) == ("us", ["172.18.0.3"])
    assert (far.place, far.sources) == ("eu", ["172.18.0.2"])
    assert [p.address for p in lab.links["edge-us"].paths] == ["172.18.0.2:30080"]
    assert lab.places["us"].netns == Path("/run/netns/bskind-us")
    assert lab.services["user-service"].entry.url == "http://172.18.0.4:8080/"


def test_fleet_names_the_cluster_and_its_power_switch() -> None:
    us = fleet().regions["us"]
    assert (us.cluster.context, us.cluster.uid) == ("kind-bskind-us", "uid-us")
    assert us.power is not None
    assert us.power.kill[1:] == ["-m", "blackstart", "lab", "kill", "us", "--state", "/state"]


class Docker:
    """Records command lines; a kind node whose state follows pause and unpause."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.silent = False
        self.status = "running"

    def run(self, argv: list[str], **_: object) -> str:
        self.calls.append(" ".join(argv))
        if argv[:2] == ["docker", "inspect"]:
            return (
                f'[{{"State": {{"Pid": 7, "Status": "{self.status}"}}, "Image": "sha256:1",'
                ' "NetworkSettings": {"Networks": {"kind": {"IPAddress": "172.18.0.2"}}}}]'
            )
        if argv[:2] == ["docker", "ps"]:
            return "c0ffee" if f"status={self.status}" in argv else ""
        if argv[1] in ("pause", "unpause"):
            self.status = "paused" if argv[1] == "pause" else "running"
        return "abc\ndef\n" if "crictl" in argv else ""

    def silence(self, _: object) -> None:
        self.calls.append("silence")
        self.silent = True

    def unsilence(self, _: object) -> None:
        self.calls.append("unsilence")
        self.silent = False


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Docker:
    fake = Docker()
    for module in (kind, kindboxes):
        monkeypatch.setattr(module, "run", fake.run)
    monkeypatch.setattr(kind, "silence", fake.silence)
    monkeypatch.setattr(kind, "unsilence", fake.unsilence)
    monkeypatch.setattr(kind, "is_silent", lambda _: fake.silent)
    return fake


@pytest.fixture
def paths(tmp_path: Path) -> LabPaths:
    kindboxes.write(tmp_path / "kind.json", '{"regions": ["us", "eu"]}')
    return LabPaths(tmp_path)


def test_kill_is_silent_before_anything_dies_and_happens_once(docker: Docker, paths: LabPaths) -> None:
    kind.kill("us", paths)
    done = [call for call in docker.calls if not call.startswith(("docker inspect", "docker ps"))]
    assert done == [
        "silence",
        "docker exec bskind-us-control-plane crictl ps --quiet",
        "docker exec bskind-us-control-plane bash -c kill -KILL -1",
        "docker pause c0ffee",
    ]
    assert kind.power_state("us", paths) == "dead"
    docker.calls.clear()
    kind.kill("us", paths)
    assert docker.calls == []


def test_only_containers_of_the_region_are_paused(docker: Docker, paths: LabPaths) -> None:
    kind.freeze("us", paths)
    [listed, _] = docker.calls
    assert listed == "docker ps --all --quiet --filter status=running --filter name=^/?bskind-us-"


def test_restore_waits_for_containers_other_than_the_killed(
    docker: Docker, paths: LabPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[tuple[frozenset[str], float]] = []
    monkeypatch.setattr(
        kind, "wait_until_settled", lambda region, paths, stale, deadline: waited.append((stale, deadline))
    )
    kind.kill("us", paths)
    kind.restore("us", paths, 60.0)
    assert waited == [({"containerd://abc", "containerd://def"}, 60.0)]
    assert kind.power_state("us", paths) == "up"
    assert not (paths.root / "us/stale.json").exists()


def test_freeze_is_not_dead(docker: Docker, paths: LabPaths) -> None:
    kind.freeze("us", paths)
    assert kind.power_state("us", paths) == "frozen"


def test_an_unknown_region_goes_no_further(docker: Docker, paths: LabPaths) -> None:
    with pytest.raises(LabError, match=r"no region '.\*' in this lab; known: us, eu"):
        kind.freeze(".*", paths)
    assert docker.calls == []


@pytest.mark.parametrize("command", ["up", "down"])
def test_without_docker_one_line_names_the_native_provider(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match=r"^Docker does not answer.*--provider native[^\n]*$"):
        kind.up(["us"], LabPaths(tmp_path), print) if command == "up" else kind.down(LabPaths(tmp_path), print)
