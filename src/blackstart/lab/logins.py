"""The passwords of a lab's stores and the keys of its bucket: random, a file each that only root reads."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from blackstart.lab.data import STORE_OF, USERS, Kind
from blackstart.lab.paths import LabPaths


def make(paths: LabPaths) -> None:
    """Write a new password for each user of each store."""
    for kind in STORE_OF:
        for user in USERS:
            _make(file(paths, kind, user))


def make_bucket(paths: LabPaths) -> None:
    """Write new keys of the bucket."""
    for path in bucket_files(paths):
        _make(path)


def bucket_files(paths: LabPaths) -> tuple[Path, Path]:
    """Where the access key and the secret key of the bucket are."""
    return paths.secrets / "backups.access", paths.secrets / "backups.secret"


def read_bucket(paths: LabPaths) -> tuple[str, str]:
    """The access key and the secret key of the bucket."""
    access, secret = (path.read_text().strip() for path in bucket_files(paths))
    return access, secret


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
        out.write(secrets.token_hex(16) + "\n")


def file(paths: LabPaths, kind: Kind, user: str) -> Path:
    """Where the password of a user is."""
    return paths.secrets / f"{STORE_OF[kind]}.{user}"


def read(paths: LabPaths, kind: Kind) -> dict[str, str]:
    """The passwords of a store by user."""
    return {user: file(paths, kind, user).read_text().strip() for user in USERS}
