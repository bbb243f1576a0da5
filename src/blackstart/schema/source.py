"""Reads content files into models, so that every error knows its file and line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from blackstart.schema.errors import ContentError, Finding, KeyPath, Place, shown
from blackstart.schema.explain import explain
from blackstart.schema.secret import Secret, is_reference
from blackstart.schema.yamltree import build

_MAX_BYTES = 1 << 20


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
    origin = Place(shown(path))
    built = build(text, origin)
    if built is None:
        raise ContentError([Finding(origin, (), "the file is empty")])
    return Document(path, *built)


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
    value, new = build(text, origin, path, lines=False) or ("", {})
    places = {p: place for p, place in document.places.items() if p[: len(path)] != path}
    places.update({**new, path: origin})
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
