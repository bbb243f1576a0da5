"""Container images, given to a region's containerd: there is no registry."""

from __future__ import annotations

from pathlib import Path

from blackstart.lab.configs import CONTAINERD_SOCKET, PAUSE_IMAGE
from blackstart.lab.images import oci_archive
from blackstart.lab.manifests import IMAGE
from blackstart.lab.parts import Parts
from blackstart.lab.processes import Part, Processes
from blackstart.lab.shell import LabError, run

_IMAGES = {PAUSE_IMAGE: ["/app", "pause"], IMAGE: ["/app"]}


def archives(parts: Parts, folder: Path) -> list[Path]:
    """The images that every region needs, made in a folder."""
    found = [folder / f"{number}.tar" for number in range(len(_IMAGES))]
    for archive, (name, entrypoint) in zip(found, _IMAGES.items(), strict=True):
        oci_archive(name, parts.built["app"], archive, entrypoint)
    return found


def socket(node: int) -> Path:
    """Where a containerd listens, by its pid: the socket lies in a mount namespace of its own."""
    return Path(f"/proc/{node}/root{CONTAINERD_SOCKET}")


def imported(processes: Processes, node: int, parts: Parts, archive: Path) -> bool | None:
    """True once containerd has taken an image; None when it did not, yet."""
    argv = [str(parts.ctr), "-a", str(socket(node)), "-n", "k8s.io", "images", "import", str(archive)]
    try:
        run(processes.joined(Part("ctr", argv)))
    except LabError:
        return None
    return True
