"""Reads a YAML file into plain data that remembers where every value stands.

YAML guesses: `on` is true, `012` is ten, `1:30` is ninety, and the last of two
equal keys wins. Each of these is refused here, because a drill must mean what
its author reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from blackstart.schema.errors import ContentError, Finding, KeyPath, Place, quote, shown
from blackstart.schema.explain import explain
from blackstart.schema.secret import Secret, is_reference

_MAX_BYTES = 1 << 20
_MAX_VALUES = 100_000
_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")


@dataclass(frozen=True)
class Document:
    """A file's content as plain data, and the place of every value in it."""

    file: Path
    data: Any
    places: Mapping[KeyPath, Place]

    def place(self, path: KeyPath) -> Place:
        """Where `path` stands, or the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path) or Place(shown(self.file))

    def finding(self, path: KeyPath, message: str, fix: str = "") -> Finding:
        """A finding about the value at `path`; `fix` says what to do about it."""
        return Finding(self.place(path), path, message, fix)


def load[M: BaseModel](path: Path, model: type[M], overrides: Mapping[str, str] | None = None) -> M:
    """The file at `path` as an instance of `model`, after `overrides` (dotted path -> YAML text).

    Raises ContentError with everything that is wrong with the file.
    """
    return parse(override(read(path), overrides or {}), model)


def read(path: Path) -> Document:
    """The YAML file at `path`. Raises ContentError."""
    return read_text(_text(path), path)


def read_text(text: str, path: Path) -> Document:
    """YAML text as if it stood in the file at `path`. Raises ContentError."""
    builder = _Builder(Place(shown(path)))
    node = builder.compose(text)
    if node is None:
        raise ContentError([Finding(builder.origin, (), "the file is empty")])
    data = builder.value(node, ())
    if builder.findings:
        raise ContentError(builder.findings)
    return Document(path, data, builder.places)


def parse[M: BaseModel](document: Document, model: type[M]) -> M:
    """The document as an instance of `model`. Raises ContentError with everything that is wrong with it."""
    references = {path: text for path, text in _texts(document.data, ()) if is_reference(text)}
    context = {
        "folder": document.file.absolute().parent,
        "places": {text: str(document.place(path)) for path, text in references.items()},
    }
    try:
        # As JSON, strict validation takes lists for tuples and text for paths, but still no "3" for 3.
        instance = model.model_validate_json(json.dumps(document.data), strict=True, context=context)
    except ValidationError as error:
        raise ContentError(explain(error, document.data, model.model_json_schema(), document.finding)) from None
    misplaced = [path for path in references if not isinstance(_at(instance, path), Secret)]
    if misplaced:
        text = "this key takes no ${...} reference; only keys made for secrets do"
        raise ContentError([document.finding(path, text) for path in misplaced])
    return instance


def override(document: Document, overrides: Mapping[str, str]) -> Document:
    """The document with the values at dotted paths replaced, as `--set phases.hold=20s` asks. Raises ContentError."""
    for dotted, text in overrides.items():
        document = _override(document, dotted, text)
    return document


def _override(document: Document, dotted: str, text: str) -> Document:
    origin = Place(f"--set {dotted}")
    path = _key_path(document.data, dotted, origin)
    builder = _Builder(origin)
    node = builder.compose(text)
    value = "" if node is None else builder.value(node, path)
    if builder.findings:
        raise ContentError(builder.findings)
    places = {p: place for p, place in document.places.items() if p[: len(path)] != path}
    places.update(dict.fromkeys([path, *builder.places], origin))
    return Document(document.file, _replaced(document.data, path, value), places)


def _key_path(data: Any, dotted: str, origin: Place) -> KeyPath:
    """The path that `objectives.0.objective` means in `data`; only keys may be new, list entries must be there."""
    path: KeyPath = ()
    for part in dotted.split("."):
        if isinstance(data, list):
            if not part.isdecimal() or int(part) >= len(data):
                raise ContentError([Finding(origin, path, f"no entry {part!r}; there are {len(data)}, from 0")])
            path, data = (*path, int(part)), data[int(part)]
        elif isinstance(data, dict) and part:
            path, data = (*path, part), data.get(part, {})
        else:
            raise ContentError([Finding(origin, path, f"no key {part!r} here")])
    return path


def _replaced(data: Any, path: KeyPath, value: Any) -> Any:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(data, list):
        return [_replaced(item, rest, value) if i == head else item for i, item in enumerate(data)]
    return {**data, head: _replaced(data.get(head, {}), rest, value)}


def _text(path: Path) -> str:
    origin = Place(shown(path))
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ContentError([Finding(origin, (), f"cannot be read: {error.strerror}")]) from None
    if len(raw) > _MAX_BYTES:
        raise ContentError([Finding(origin, (), "is larger than 1 MiB; no content file is")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Place(origin.file, raw.count(b"\n", 0, error.start) + 1)
        raise ContentError([Finding(place, (), "is not UTF-8; save the file in that encoding")]) from None


def _texts(data: Any, path: KeyPath) -> list[tuple[KeyPath, str]]:
    if isinstance(data, str):
        return [(path, data)]
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [found for key, value in entries for found in _texts(value, (*path, key))]


def _at(instance: Any, path: KeyPath) -> Any:
    for part in path:
        if isinstance(instance, BaseModel) and isinstance(part, str):
            instance = getattr(instance, part, None)
        elif isinstance(instance, dict | list | tuple):
            instance = instance[part]  # type: ignore[index]  # the path was read off the same data
    return instance


class _Builder:
    """Turns a YAML node graph into plain data, noting places and everything that must not be there."""

    def __init__(self, origin: Place) -> None:
        self.origin = origin
        self.places: dict[KeyPath, Place] = {}
        self.findings: list[Finding] = []
        self._values = 0
        self._open: set[int] = set()

    def compose(self, text: str) -> yaml.Node | None:
        """The root node of a single document; None if there is nothing. Raises ContentError."""
        try:
            return yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            raise ContentError([Finding(self._place(error.problem_mark), (), _syntax(error))]) from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            message = f"a character that YAML does not allow: {text[error.position]!r}"
            raise ContentError([Finding(Place(self.origin.file, line), (), message)]) from None
        except RecursionError:
            raise ContentError([Finding(self.origin, (), "is nested too deep")]) from None

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        """The plain data of a node."""
        self.places.setdefault(path, self._place(node.start_mark))
        self._values += 1
        if self._values > _MAX_VALUES:
            raise ContentError([Finding(self.origin, (), f"has more than {_MAX_VALUES} values; are aliases nested?")])
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            return self._refuse(node, path, "an alias to something that contains it")
        self._open.add(id(node))
        try:
            return self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._sequence(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> Any:
        if node.tag != f"{_TAG}map":
            return self._refuse(node, path, f"tag {node.tag} is not supported")
        data: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                value = self.value(value_node, path)
                parts = value if isinstance(value, list) else [value]
                for part in reversed(parts):
                    merged.update(part if isinstance(part, dict) else {})
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            if key in data:
                first = self.places[(*path, key)]
                self._refuse(key_node, (*path, key), f"duplicate key {quote(key)}; first in line {first.line}")
                continue
            self.places[(*path, key)] = self._place(key_node.start_mark)
            data[key] = self.value(value_node, (*path, key))
        return {**merged, **data}

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}str":
            return str(node.value)
        found = node.value if isinstance(node, yaml.ScalarNode) else "not a scalar"
        self._refuse(node, path, f"key {found} is not text; put it in quotes")
        return None

    def _sequence(self, node: yaml.Node, path: KeyPath) -> Any:
        if node.tag != f"{_TAG}seq":
            return self._refuse(node, path, f"tag {node.tag} is not supported")
        return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "str" | "timestamp":
                return text
            case "null":
                return None
            case "bool" if text in ("true", "false"):
                return text == "true"
            case "bool":
                return self._refuse(node, path, f'YAML reads {text} as a boolean; write true or false, or "{text}"')
            case "int" if _INT.fullmatch(text) and len(text) < 20:
                return int(text)
            case "float" if ":" not in text and text.lstrip("+-").lower() not in (".nan", ".inf"):
                return self._float(node, path, text)
            case "int" | "float":
                return self._refuse(
                    node, path, f'YAML reads {text} as an unusual number; write it plainly, or "{text}"'
                )
            case _:
                return self._refuse(node, path, f"tag {node.tag} is not supported")

    def _float(self, node: yaml.Node, path: KeyPath, text: str) -> Any:
        try:
            return float(text)
        except ValueError:
            return self._refuse(node, path, f"{text} is not a number")

    def _refuse(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self.findings.append(Finding(self._place(node.start_mark), path, message))

    def _place(self, mark: yaml.Mark | None) -> Place:
        if mark is None or self.origin.file.startswith("--set "):
            return self.origin
        return Place(self.origin.file, mark.line + 1, mark.column + 1)


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or str(error)
    if "'\\t'" in problem:
        return "a tab; YAML is indented by spaces"
    if "but found another document" in problem:
        return "a second document (---); a file holds one"
    return f"not valid YAML: {problem}" + (f" ({error.context})" if error.context else "")
