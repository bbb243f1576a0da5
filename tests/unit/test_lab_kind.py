"""The kind provider without Docker: generated files, command lines, and what is said where Docker is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from blackstart.fleet.model import Fleet
from blackstart.lab import kind, kindfiles
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
    monkeypatch.setattr(kind, "run", fake.run)
    monkeypatch.setattr(kind, "silence", fake.silence)
    monkeypatch.setattr(kind, "unsilence", fake.unsilence)
    monkeypatch.setattr(kind, "is_silent", lambda _: fake.silent)
    return fake


def test_kill_is_silent_before_anything_dies_and_happens_once(docker: Docker, tmp_path: Path) -> None:
    kind.kill("us", tmp_path)
    done = [call for call in docker.calls if not call.startswith(("docker inspect", "docker ps"))]
    assert done == [
        "silence",
        "docker exec bskind-us-control-plane crictl ps --quiet",
        "docker exec bskind-us-control-plane bash -c kill -KILL -1",
        "docker pause c0ffee",
    ]
    assert kind.power_state("us") == "dead"
    docker.calls.clear()
    kind.kill("us", tmp_path)
    assert docker.calls == []


def test_restore_waits_for_containers_other_than_the_killed(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[frozenset[str]] = []
    monkeypatch.setattr(kind, "_wait_until_settled", lambda region, paths, stale: waited.append(stale))
    kind.kill("us", tmp_path)
    kind.restore("us", tmp_path)
    assert waited == [{"containerd://abc", "containerd://def"}]
    assert kind.power_state("us") == "up"


def test_freeze_is_not_dead(docker: Docker) -> None:
    kind.freeze("us")
    assert kind.power_state("us") == "frozen"


@pytest.mark.parametrize("call", [lambda state: kind.up(["us"], state), kind.down])
def test_without_docker_one_line_names_the_native_provider(
    call: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match=r"^Docker does not answer.*--provider native[^\n]*$"):
        call(tmp_path)
