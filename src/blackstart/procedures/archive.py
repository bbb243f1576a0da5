"""What is in a Velero backup and in what Velero writes down of a restore. Pure: bytes in, objects out."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import zlib
from dataclasses import dataclass
from typing import Any

from blackstart.fleet.objects import Object, Ref

_NAMESPACED = re.compile(r"resources/(?P<kind>[^/]+)/namespaces/(?P<namespace>[^/]+)/(?P<name>[^/]+)\.json")
_CLUSTERED = re.compile(r"resources/(?P<kind>[^/]+)/cluster/(?P<name>[^/]+)\.json")
_LISTED = re.compile(r"(?:(?P<namespace>[^/(]+)/)?(?P<name>[^(]+)(?:\((?P<outcome>\w+)\))?")

MOST = 1 << 30
"""Bytes that a backup may unpack to; it holds descriptions of objects, no volumes."""


class Damaged(ValueError):  # noqa: N818 - a state of the world, not a mistake
    """A file of the bucket that cannot be read."""


@dataclass(frozen=True)
class Kept:
    """One object of a backup. `kind` is Velero's word for it: `deployments.apps`."""

    kind: str
    body: Object

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.body["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace; empty where it has none."""
        return str(self.body["metadata"].get("namespace") or "")

    def ref(self, namespace: str) -> Ref:
        """What it is called in a namespace of a cluster."""
        return Ref(f"{self.body['apiVersion']}/{self.kind.partition('.')[0]}", namespace, self.name)


@dataclass(frozen=True)
class Listed:
    """A line of the list that Velero keeps of a restore: `created`, `updated`, `failed`, `skipped`."""

    kind: str
    namespace: str
    name: str
    outcome: str


@dataclass(frozen=True)
class Said:
    """What Velero said against a restore, each text with the namespace that it is about where it is about one."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def contents(data: bytes) -> list[Kept]:
    """Every object of a backup's tarball. Raises Damaged."""
    found = []
    try:
        # Whole, so that its checksum is looked at: a reader of tarballs stops before a cut end.
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            unpacked = packed.read(MOST + 1)
        if len(unpacked) > MOST:
            raise Damaged(f"unpacks to more than {MOST} bytes")
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as tar:
            for member in tar:
                match = _NAMESPACED.fullmatch(member.name) or _CLUSTERED.fullmatch(member.name)
                if match is None or not member.isfile():
                    continue  # The same object under each of its versions.
                if (file := tar.extractfile(member)) is not None:
                    found.append(Kept(match["kind"], _object(file.read(), member.name)))
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise Damaged(f"is no whole tarball: {error}") from error
    return found


def metadata(data: bytes) -> Object:
    """The Backup that `velero-backup.json` describes. Raises Damaged."""
    return _object(data, "velero-backup.json")


def listed(data: bytes) -> list[Listed]:
    """What Velero says of each object of a restore. Raises Damaged."""
    found = _json(data)
    if not isinstance(found, dict):
        raise Damaged("is no list of objects")
    lines = []
    for kind, names in found.items():
        for name in names:
            match = _LISTED.fullmatch(str(name))
            if match is None:
                raise Damaged(f"has a line {name!r}")
            lines.append(Listed(kind, match["namespace"] or "", match["name"], match["outcome"] or ""))
    return lines


def said(data: bytes) -> Said:
    """The errors and warnings of a restore. Raises Damaged."""
    found = _json(data)
    if not isinstance(found, dict):
        raise Damaged("is no result of a restore")
    return Said(_texts(found.get("errors")), _texts(found.get("warnings")))


def _texts(part: Any) -> tuple[str, ...]:
    part = part or {}
    spaces = [text for texts in (part.get("namespaces") or {}).values() for text in texts]
    return tuple(map(str, [*(part.get("velero") or []), *(part.get("cluster") or []), *spaces]))


def _json(data: bytes) -> Any:
    try:
        return json.loads(gzip.decompress(data))
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise Damaged(f"is no whole gzipped JSON: {error}") from error


def _object(data: bytes, name: str) -> Object:
    try:
        found = json.loads(data)
        if not isinstance(found, dict) or not found["metadata"]["name"]:
            raise Damaged(f"{name} is no object")
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{name} is no object of Kubernetes") from error
    return found
