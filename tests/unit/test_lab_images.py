"""Images: what is in the archive, that its digests hold, that it is always the same."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from blackstart.lab.images import Runtime, oci_archive, write_image

NAME = "blackstart.local/user-service:v1"


def program(folder: Path, content: bytes = b"\x7fELF program") -> Path:
    path = folder / "app"
    path.write_bytes(content)
    path.chmod(0o700)
    return path


def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {m.name: stream.read() for m in tar if (stream := tar.extractfile(m))}


def unpacked(archive: Path) -> tuple[dict[str, Any], dict[str, Any], list[bytes]]:
    """Index entry, config and layers, each looked up by digest."""
    found = members(archive)
    [entry] = json.loads(found["index.json"])["manifests"]

    def blob(descriptor: dict[str, Any]) -> bytes:
        algorithm, digest = descriptor["digest"].split(":")
        content = found[f"blobs/{algorithm}/{digest}"]
        assert hashlib.sha256(content).hexdigest() == digest
        assert len(content) == descriptor["size"]
        return content

    manifest = json.loads(blob(entry))
    return entry, json.loads(blob(manifest["config"])), [blob(layer) for layer in manifest["layers"]]


def names(layer: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return tar.getnames()


def test_one_layer_with_one_executable(tmp_path: Path) -> None:
    out = tmp_path / "image.tar"
    oci_archive(NAME, program(tmp_path), out, ["/app", "pause"])
    entry, config, [layer] = unpacked(out)
    assert entry["annotations"] == {
        "io.containerd.image.name": NAME,
        "org.opencontainers.image.ref.name": "v1",
    }
    assert config["config"]["Entrypoint"] == ["/app", "pause"]
    assert config["config"]["User"] == "65532:65532"
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert json.loads(members(out)["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        [member] = tar.getmembers()
    assert (member.name, member.mode, member.uid, member.mtime) == ("app", 0o755, 0, 0)


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        oci_archive(NAME, program(folder), folder / "image.tar", ["/app"])
    assert (tmp_path / "one/image.tar").read_bytes() == (tmp_path / "two/image.tar").read_bytes()


def test_several_layers_with_their_folders(tmp_path: Path) -> None:
    binary, data = program(tmp_path), tmp_path / "data"
    data.write_text("text")
    out = tmp_path / "image.tar"
    write_image(NAME, [[("/usr/bin/app", binary)], [("/etc/data", data)]], out, Runtime(["/usr/bin/app"]))
    _, config, layers = unpacked(out)
    assert [names(layer) for layer in layers] == [["usr", "usr/bin", "usr/bin/app"], ["etc", "etc/data"]]
    assert len(config["rootfs"]["diff_ids"]) == 2


def test_a_failure_leaves_the_old_archive_and_no_litter(tmp_path: Path) -> None:
    out = tmp_path / "image.tar"
    out.write_text("old")
    with pytest.raises(FileNotFoundError):
        oci_archive(NAME, tmp_path / "missing", out, ["/app"])
    assert [p.name for p in tmp_path.iterdir()] == ["image.tar"]
    assert out.read_text() == "old"


def test_a_name_needs_a_tag(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no tag"):
        oci_archive("registry:5000/app", program(tmp_path), tmp_path / "image.tar", ["/app"])
