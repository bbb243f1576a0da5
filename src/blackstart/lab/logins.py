"""The passwords of a lab's stores: random, a file each that only root reads."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from blackstart.lab.data import STORE_OF, USERS, Kind
from blackstart.lab.paths import LabPaths


def make(paths: LabPaths) -> None:
    """Write a new password for each user of each store."""
    paths.secrets.mkdir(mode=0o700)
    for kind in STORE_OF:
        for user in USERS:
            with open(os.open(file(paths, kind, user), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
                out.write(secrets.token_hex(16) + "\n")


def file(paths: LabPaths, kind: Kind, user: str) -> Path:
    """Where the password of a user is."""
    return paths.secrets / f"{STORE_OF[kind]}.{user}"


def read(paths: LabPaths, kind: Kind) -> dict[str, str]:
    """The passwords of a store by user."""
    return {user: file(paths, kind, user).read_text().strip() for user in USERS}
