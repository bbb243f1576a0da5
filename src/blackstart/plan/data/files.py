"""Reads the configuration of databases from files: my.cnf, redis.conf, SQL, shell, and ConfigMaps that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from blackstart.plan.data.check import FORM, Source
from blackstart.plan.data.model import DataConfig, Said, Server
from blackstart.plan.data.texts import read_text
from blackstart.schema.errors import ContentError, Finding, Place, shown

SUFFIXES = (".cnf", ".conf", ".ini", ".sql", ".sh", ".yaml", ".yml")
_MAX = 1 << 20
_MAIN = ("my.cnf", "mariadb.cnf", "mysqld.cnf", "server.cnf")


def read_files(paths: Sequence[Path], said: Said) -> Source:
    """What files and folders say of databases. Raises ContentError when that is nothing."""
    found: list[tuple[Path | None, DataConfig]] = []
    problems: list[Finding] = []
    files = list(dict.fromkeys(file for path in paths for file in _files(path)))
    for file in files:
        try:
            found += ((_home(file), one) for one in _read(file))
        except (OSError, ValueError, yaml.YAMLError) as error:
            text = f"cannot be read: {getattr(error, 'strerror', None) or error}"
            problems.append(replace(Finding(Place(shown(file)), (), text), rule=FORM.id))
    data = DataConfig(
        tuple(_servers(found)),
        tuple(statement for _, one in found for statement in one.statements),
        tuple(secret for _, one in found for secret in one.secrets),
        said,
    )
    if not (data.servers or data.statements or data.secrets or problems):
        where = Place(", ".join(shown(path) for path in paths))
        text = f"has no configuration of MariaDB, MySQL or Redis in {len(files)} files ({', '.join(SUFFIXES)})"
        raise ContentError([Finding(where, (), text, "name the folder with my.cnf, redis.conf or their ConfigMaps")])
    return Source(data, f"{len(files)} file{'s' if len(files) != 1 else ''}", tuple(problems))


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.suffix in SUFFIXES and file.is_file() and not hidden:
            yield file


def _home(file: Path) -> Path | None:
    """The folder whose one server a file is a part of: my.cnf and all of conf.d are read by the same server."""
    if file.suffix != ".cnf":
        return None
    if file.parent.name.endswith(".d"):
        return file.absolute().parent.parent
    return file.absolute().parent if file.name in _MAIN else None


def _servers(found: Sequence[tuple[Path | None, DataConfig]]) -> Iterator[Server]:
    """Every server, those of one home as one."""
    homes: dict[Path, Server] = {}
    for home, one in found:
        for server in one.servers:
            if home is None or len(one.servers) > 1:
                yield server
            else:
                homes[home] = _joined(homes.get(home), server, home.name)
    yield from homes.values()


def _joined(first: Server | None, more: Server, name: str) -> Server:
    if first is None:
        return replace(more, name=name)
    # What is read later counts.
    settings = dict(first.settings)
    for key, values in more.settings.items():
        settings[key] = (*settings.get(key, ()), *values)
    dialect = first.dialect if first.dialect != "unknown" else more.dialect
    return replace(first, settings=settings, dialect=dialect)


def _read(file: Path) -> Iterator[DataConfig]:
    if file.stat().st_size > _MAX:
        raise ValueError(f"it is longer than {_MAX} bytes")
    text, name = file.read_text("utf-8"), shown(file)
    if file.suffix in (".yaml", ".yml"):
        yield from _config_maps(text, name)
    else:
        yield read_text(text, name, file.name)


def _config_maps(text: str, file: str) -> Iterator[DataConfig]:
    """Each value of each ConfigMap's `data`, with the lines that it has in the file."""
    for document in yaml.compose_all(text, yaml.SafeLoader):
        top = _keys(document)
        if _text(top.get("kind")) != "ConfigMap":
            continue
        name = _text(_keys(top.get("metadata")).get("name"))
        for key, node in _keys(top.get("data")).items():
            if isinstance(node, yaml.ScalarNode):
                # A block begins on the line below its `|`.
                line = node.start_mark.line + (2 if node.style in ("|", ">") else 1)
                yield read_text(node.value, file, f"{name}/{key}", line)


def _keys(node: yaml.Node | None) -> dict[str, yaml.Node]:
    return {str(key.value): value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _text(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""
