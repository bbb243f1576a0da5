"""Container images without Docker: an OCI image layout in a tar, as containerd and kind import it.

The same inputs give the same bytes: no times, owners or names of this machine
enter the archive.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

Entry = tuple[str, Path]
"""A path in the image, and the file on this machine that becomes it."""


@dataclass(frozen=True)
class Runtime:
    """How containers of an image start. `user` is numeric: the images carry no /etc/passwd."""

    entrypoint: Sequence[str]
    env: Sequence[str] = ("PATH=/",)
    user: str = "65532:65532"
    labels: dict[str, str] = field(default_factory=dict)


def oci_archive(name: str, binary: Path, out: Path, entrypoint: list[str]) -> None:
    """Write the image `name` with one static binary, which lands at `entrypoint[0]`."""
    write_image(name, [[(entrypoint[0], binary)]], out, Runtime(entrypoint))


def write_image(name: str, layers: Sequence[Sequence[Entry]], out: Path, runtime: Runtime) -> None:
    """Write the image `name` (registry/repository:tag) of `layers` to the archive `out`.

    `out` is replaced at once or not at all. Raises ValueError for a name
    without a tag, OSError where a source cannot be read.
    """
    _, _, tag = name.rpartition("/")[2].partition(":")
    if not tag:
        raise ValueError(f"image name {name!r} has no tag; write it as registry/repository:tag")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".image-") as scratch:
        blobs = _Blobs(Path(scratch))
        descriptors = [blobs.layer(entries) for entries in layers]
        config = blobs.json(_CONFIG, _config(runtime, [d["digest"] for d in descriptors]))
        manifest = blobs.json(
            _MANIFEST,
            {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": descriptors},
        )
        annotations = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag}
        described = {**manifest, "platform": _platform(), "annotations": annotations}
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [described]}
        archive = Path(scratch) / "image.tar"
        _write_archive(archive, blobs.paths, index)
        os.replace(archive, out)


def _platform() -> dict[str, str]:
    machine = platform.machine()
    return {"architecture": _ARCHITECTURES.get(machine, machine), "os": "linux"}


def _config(runtime: Runtime, diff_ids: list[str]) -> dict[str, Any]:
    # Layers are not compressed, so a layer's digest is also its diff id.
    return {
        **_platform(),
        "config": {
            "Entrypoint": list(runtime.entrypoint),
            "Env": list(runtime.env),
            "User": runtime.user,
            "WorkingDir": "/",
            "Labels": dict(runtime.labels),
        },
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }


class _Blobs:
    """Content-addressed files in a scratch directory; a layer may be larger than memory."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self.paths: dict[str, Path] = {}

    def json(self, media_type: str, content: dict[str, Any]) -> dict[str, Any]:
        path = self._scratch / f"blob-{len(self.paths)}"
        path.write_bytes(_canonical(content))
        return self._add(media_type, path)

    def layer(self, entries: Sequence[Entry]) -> dict[str, Any]:
        path = self._scratch / f"blob-{len(self.paths)}"
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
            for directory in _parents(entries):
                tar.addfile(_member(directory, tarfile.DIRTYPE, 0o755))
            for target, source in sorted(entries):
                with source.open("rb") as stream:
                    _add_file(tar, target.lstrip("/"), stream, source.stat().st_mode & 0o111)
        return self._add(_LAYER, path)

    def _add(self, media_type: str, path: Path) -> dict[str, Any]:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self.paths[digest] = path
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": path.stat().st_size}


def _write_archive(path: Path, blobs: dict[str, Path], index: dict[str, Any]) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in {"oci-layout": {"imageLayoutVersion": "1.0.0"}, "index.json": index}.items():
            _add_file(tar, name, io.BytesIO(_canonical(content)), 0)
        for digest, blob in sorted(blobs.items()):
            with blob.open("rb") as stream:
                _add_file(tar, f"blobs/sha256/{digest}", stream, 0)


def _add_file(tar: tarfile.TarFile, name: str, stream: BinaryIO, executable: int) -> None:
    member = _member(name, tarfile.REGTYPE, 0o755 if executable else 0o644)
    member.size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    tar.addfile(member, stream)


def _member(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, mode
    return member


def _parents(entries: Sequence[Entry]) -> list[str]:
    found = {str(p) for target, _ in entries for p in PurePosixPath(target.lstrip("/")).parents}
    return sorted(found - {"."})


def _canonical(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
