"""The guardian's image: made here, unpacked, and its guardian run from it as the pod's user would."""

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from blackstart import __version__
from blackstart.cli import cli
from blackstart.lab import pyimage
from blackstart.lab.pyimage import guardian_image

ENTER = """
import os, sys
os.chroot(sys.argv[1])
os.chdir("/")
os.setgid(65532)
os.setuid(65532)
os.execve(sys.argv[3], sys.argv[3:], dict(pair.split("=", 1) for pair in sys.argv[2].split("|")))
"""
LOADS = """
import sys
from blackstart.cli import guardian
from blackstart.safety import guardian
from blackstart.faults.base import fault_of
from blackstart.fleet.kube import Kube
from blackstart.fleet.incluster import in_cluster
[fault_of(f"foreign-{kind}") for kind in ("scale", "cordon", "create", "delete")], fault_of("scale")
from kubernetes import client, config
print("loaded", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def image() -> Path:
    return guardian_image()


@pytest.fixture(scope="module")
def config(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """What the image says of itself, with the `root` that it was unpacked to."""
    root = tmp_path_factory.mktemp("image")
    root.chmod(0o755)
    with tarfile.open(image) as tar:
        read = lambda digest: tar.extractfile(f"blobs/sha256/{digest.partition(':')[2]}")  # noqa: E731 - two uses
        manifest = json.load(read(json.load(tar.extractfile("index.json"))["manifests"][0]["digest"]))  # type: ignore[arg-type]  # all are files
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=read(layer["digest"])) as inner:
                inner.extractall(root, filter="tar")
        yield {**json.load(read(manifest["config"]["digest"]))["config"], "root": root}  # type: ignore[arg-type]  # as above


def inside(config: dict[str, object], *argv: str) -> list[str]:
    """A command inside of the image, as the user of the pod."""
    env: list[str] = config["Env"]  # type: ignore[assignment]  # JSON
    return [sys.executable, "-c", ENTER, str(config["root"]), "|".join(env), *argv]


def run(config: dict[str, object], *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command inside of the image to its end."""
    return subprocess.run(inside(config, *argv), capture_output=True, text=True, timeout=30)


def test_it_is_made_once(image: Path) -> None:
    before = image.stat().st_mtime_ns
    assert guardian_image() == image
    assert image.stat().st_mtime_ns == before
    assert pyimage.IMAGE.endswith(f"/guardian:{__version__}")
    assert image.stat().st_size < 150 << 20


def test_the_command_copies_it(tmp_path: Path, image: Path) -> None:
    out = tmp_path / "here.tar"
    result = CliRunner().invoke(cli, ["guardian-image", "--out", str(out)], catch_exceptions=False)
    assert f"{out}: {pyimage.IMAGE}" in result.output
    assert out.stat().st_size == image.stat().st_size


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_the_guardian_runs_from_it_in_little_memory(config: dict[str, object]) -> None:
    entrypoint = [str(part) for part in config["Entrypoint"]]  # type: ignore[attr-defined]
    said = run(config, *entrypoint, "guardian", "--help")
    assert "Watch a run's Lease" in said.stdout, said.stderr
    pipe = subprocess.PIPE
    with subprocess.Popen(inside(config, entrypoint[0], "-c", LOADS), stdin=pipe, stdout=pipe, text=True) as loaded:
        assert loaded.stdout
        assert loaded.stdout.readline() == "loaded\n"
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{loaded.pid}/status").read_text())
        loaded.communicate()
    assert peak
    assert int(peak[1]) < 80_000


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_outside_of_a_pod_it_says_so(config: dict[str, object]) -> None:
    (Path(str(config["root"])) / "tmp").mkdir(mode=0o777, exist_ok=True)
    (Path(str(config["root"])) / "tmp").chmod(0o777)
    entrypoint = [str(part) for part in config["Entrypoint"]]  # type: ignore[attr-defined]
    said = run(config, *entrypoint, "guardian", "--run=r", "--lease=a/b", "--region=us", "--uid=u")
    assert said.returncode == 2
    assert "KUBERNETES_SERVICE_HOST is not set: this is meant to run in a pod" in said.stderr
