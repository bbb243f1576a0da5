"""Which files belong to which cluster: each folder of configuration is a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

YAML = (".yaml", ".yml")


def cluster_files(path: Path, suffixes: tuple[str, ...] = YAML) -> Iterator[tuple[str, Path]]:
    """Every file at `path` that ends so, with the name of its cluster.

    A folder that has such files itself is one cluster, with all below it; one
    that has only folders is a cluster for each of them. A file that is named
    itself is taken whatever it ends in.
    """
    if not path.is_dir():
        yield path.absolute().parent.name, path
        return

    def wanted(file: Path) -> bool:
        return file.suffix in suffixes and file.is_file()

    own = any(wanted(file) for file in path.iterdir())
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    for folder in [path] if own else folders:
        for file in sorted(folder.rglob("*")):
            if wanted(file) and not any(part.startswith(".") for part in file.relative_to(path).parts):
                yield folder.absolute().name, file
