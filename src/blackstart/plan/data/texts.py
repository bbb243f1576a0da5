"""Takes the text of my.cnf, redis.conf, or a page with both and statements among them, apart. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from blackstart.plan.data.model import DataConfig, Secret, Server, Setting, Statement, dialect_of
from blackstart.schema.errors import Place

_SECTION = re.compile(r"\s*\[([\w.-]+)\]\s*$")
_SERVER = re.compile(r"(mysqld|mariadbd?|server)(-[\d.]+)?$")
_OPTION = re.compile(r"\s*([A-Za-z][\w-]*)\s*(?:=\s*(.*?))?\s*$")
_CHANGE = re.compile(r"\bCHANGE\s+(?:MASTER|REPLICATION\s+SOURCE)\s+(?:'[^']*'\s+)?TO\b[^;]*", re.IGNORECASE)
_RLADMIN = re.compile(r"\brladmin\s+create\s+db\b(?:[^\n]*\\\n)*[^\n]*", re.IGNORECASE)
_PASSWORD = re.compile(r"\b((?:MASTER|SOURCE)_PASSWORD)\s*=\s*'([^']*)'", re.IGNORECASE)
_STATEMENTS: tuple[tuple[Literal["change", "rladmin"], re.Pattern[str]], ...] = (
    ("change", _CHANGE),
    ("rladmin", _RLADMIN),
)
_PLACEHOLDER = re.compile(r"^$|\$\{|\$\(|\{\{|^<.*>$|^\$\w+$|^[*]+$|^%\w+%$")
_REDIS = {
    "appendonly", "appendfsync", "replicaof", "slaveof", "masterauth", "requirepass", "min-replicas-to-write",
    "min-slaves-to-write", "replica-read-only", "repl-timeout", "protected-mode", "maxmemory", "save", "aclfile",
}  # fmt: skip
_REDIS_SECRETS = {"requirepass", "masterauth"}


@dataclass
class _Open:
    """A server whose settings are being read."""

    place: Place
    sections: set[str]
    settings: dict[str, list[Setting]] = field(default_factory=dict)


def read_text(text: str, file: str, name: str, first_line: int = 1) -> DataConfig:
    """Every server, statement and plain password of a text that begins at the line `first_line` of its file."""

    def place(offset: int) -> Place:
        return Place(file, first_line + offset)

    statements = [
        Statement(kind, " ".join(found[0].replace("\\\n", " ").split()), place(text.count("\n", 0, found.start())))
        for kind, pattern in _STATEMENTS
        for found in pattern.finditer(text)
    ]
    secrets = [
        Secret(found[1].upper(), place(text.count("\n", 0, found.start())))
        for found in _PASSWORD.finditer(text)
        if not _PLACEHOLDER.search(found[2])
    ]
    # What a statement says is no option of the section above it.
    lines = _CHANGE.sub(lambda found: "\n" * found[0].count("\n"), text).splitlines()
    numbered = [(place(i), line) for i, line in enumerate(lines)]
    if any(_is_server(line) for line in lines):
        servers, found_secrets = _sql(numbered, name)
    elif any(line.split()[0].lower() in _REDIS for line in lines if line.split()):
        servers, found_secrets = _redis(numbered, name)
    else:
        servers, found_secrets = [], []
    return DataConfig(tuple(servers), tuple(statements), (*secrets, *found_secrets))


def _is_server(line: str) -> bool:
    found = _SECTION.match(line)
    return found is not None and _SERVER.match(found[1]) is not None


def _sql(lines: list[tuple[Place, str]], name: str) -> tuple[list[Server], list[Secret]]:
    """A section that comes again begins another server: one file may show both sides."""
    open_: list[_Open] = []
    secrets: list[Secret] = []
    section = ""
    for place, line in lines:
        if found := _SECTION.match(line):
            section = found[1]
            if _SERVER.match(section) and (not open_ or section in open_[-1].sections):
                open_.append(_Open(place, {section}))
            elif _SERVER.match(section):
                open_[-1].sections.add(section)
            continue
        for key, value in _options(line):
            if key == "password" and not _PLACEHOLDER.search(value):
                secrets.append(Secret(f"password of [{section}]", place))
            elif open_ and _SERVER.match(section):
                open_[-1].settings.setdefault(key, []).append(Setting(value, place))
    return [_server(one, name, len(open_), i) for i, one in enumerate(open_, 1)], secrets


def _server(one: _Open, name: str, count: int, number: int) -> Server:
    settings = {key: tuple(values) for key, values in one.settings.items()}
    title = name if count == 1 else f"{name} (server {number})"
    return Server(title, one.place, dialect_of(one.sections, set(settings)), settings)


def _options(line: str) -> Iterator[tuple[str, str]]:
    text = line.strip()
    if not text or text[0] in "#;!" or text.startswith("--"):
        return
    if found := _OPTION.match(re.sub(r"\s+#.*$", "", text)):
        key = found[1].lower().replace("-", "_").removeprefix("loose_")
        value = (found[2] or "").strip().strip("'\"")
        yield (key.removeprefix("skip_"), "0") if key.startswith("skip_") and found[2] is None else (key, value)


def _redis(lines: list[tuple[Place, str]], name: str) -> tuple[list[Server], list[Secret]]:
    settings: dict[str, list[Setting]] = {}
    secrets: list[Secret] = []
    for place, line in lines:
        key, *values = line.split() or ["#"]
        key = key.lower()
        if key.startswith("#"):
            continue
        plain = [value[1:] for value in values if value.startswith(">")] if key == "user" else values[:1]
        if key in {*_REDIS_SECRETS, "user"} and any(not _PLACEHOLDER.search(value.strip("\"'")) for value in plain):
            secrets.append(Secret(key, place))
            values = ["***"]
        settings.setdefault(key.replace("slave", "replica").replace("-", "_"), []).append(
            Setting(" ".join(values).strip('"'), place)
        )
    found = {key: tuple(values) for key, values in settings.items()}
    return [Server(name, lines[0][0], "redis", found, replica="replicaof" in found)], secrets
