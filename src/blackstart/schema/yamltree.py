"""Turns YAML text into plain data and the place of every value, and refuses what YAML would guess.

`on` is true to YAML, `012` is ten, `1:30` is ninety, and the last of two equal
keys wins. Each of these is refused, because a drill must mean what its author
reads.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from blackstart.schema.errors import ContentError, Finding, KeyPath, Place, quote

_MAX_VALUES = 100_000
_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")

Places = dict[KeyPath, Place]


def build(text: str, origin: Place, at: KeyPath = (), *, lines: bool = True) -> tuple[Any, Places] | None:
    """The data of the single document in `text`, and the places of its values below `at`; None if there is nothing.

    Without `lines` every place is `origin` itself. Raises ContentError with
    everything that is wrong.
    """
    builder = Builder(origin, lines=lines)
    try:
        node = builder.compose(text)
        data = None if node is None else builder.value(node, at)
    except RecursionError:
        raise ContentError([Finding(origin, (), "is nested too deep")]) from None
    if builder.findings:
        raise ContentError(builder.findings)
    return None if node is None else (data, builder.places)


class Builder:
    """Turns a YAML node graph into plain data, noting places and everything that must not be there."""

    def __init__(self, origin: Place, *, lines: bool) -> None:
        self.origin, self._lines = origin, lines
        self.places: dict[KeyPath, Place] = {}
        self.findings: list[Finding] = []
        self._values = 0
        self._open: set[int] = set()

    def compose(self, text: str) -> yaml.Node | None:
        """The root node of a single document; None if there is nothing. Raises ContentError."""
        try:
            return yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            raise ContentError([self.broken(error, text)]) from None

    def broken(self, error: yaml.YAMLError, text: str) -> Finding:
        """What is wrong with text that is not YAML."""
        if isinstance(error, yaml.MarkedYAMLError):
            return Finding(self._place(error.problem_mark), (), _syntax(error))
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        message = f"a character that YAML does not allow: {text[position : position + 1]!r}"
        return Finding(Place(self.origin.file, line), (), message)

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        """The plain data of a node, whose places are noted below `path`."""
        self.places.setdefault(path, self._place(node.start_mark))
        self._values += 1
        if self._values > _MAX_VALUES:
            raise ContentError([Finding(self.origin, (), f"has more than {_MAX_VALUES} values; are aliases nested?")])
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        if id(node) in self._open:
            return self.refuse(node, path, "an alias to something that contains it")
        self._open.add(id(node))
        try:
            return self.mapping(node, path) if isinstance(node, yaml.MappingNode) else self._sequence(node, path)
        finally:
            self._open.discard(id(node))

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> Any:
        """The dict of a mapping."""
        if node.tag != f"{_TAG}map":
            return self.refuse(node, path, f"tag {node.tag} is not supported")
        data: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                value = self.value(value_node, path)
                parts = value if isinstance(value, list) else [value]
                for part in reversed(parts):
                    merged.update(part if isinstance(part, dict) else {})
                continue
            key = self.key(key_node, path)
            if key is None:
                continue
            if key in data:
                first = self.places[(*path, key)]
                self.refuse(key_node, (*path, key), f"duplicate key {quote(key)}; first in line {first.line}")
                continue
            self.places[(*path, key)] = self._place(key_node.start_mark)
            data[key] = self.value(value_node, (*path, key))
        return {**merged, **data}

    def key(self, node: yaml.Node, path: KeyPath) -> str | None:
        """A key's text; None when it is refused."""
        if isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}str":
            return str(node.value)
        found = node.value if isinstance(node, yaml.ScalarNode) else "not a scalar"
        self.refuse(node, path, f"key {found} is not text; put it in quotes")
        return None

    def _sequence(self, node: yaml.Node, path: KeyPath) -> Any:
        if node.tag != f"{_TAG}seq":
            return self.refuse(node, path, f"tag {node.tag} is not supported")
        return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]

    def scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        """The value of a scalar."""
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "str" | "timestamp":
                return text
            case "null":
                return None
            case "bool" if text in ("true", "false"):
                return text == "true"
            case "bool":
                return self.refuse(node, path, f'YAML reads {text} as a boolean; write true or false, or "{text}"')
            case "int" if _INT.fullmatch(text) and len(text) < 20:
                return int(text)
            case "float" if ":" not in text and text.lstrip("+-").lower() not in (".nan", ".inf"):
                return self._float(node, path, text)
            case "int" | "float":
                return self.refuse(
                    node, path, f'YAML reads {text} as an unusual number; write it plainly, or "{text}"'
                )
            case _:
                return self.refuse(node, path, f"tag {node.tag} is not supported")

    def _float(self, node: yaml.Node, path: KeyPath, text: str) -> Any:
        try:
            return float(text)
        except ValueError:
            return self.refuse(node, path, f"{text} is not a number")

    def refuse(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        """Note something that must not be there."""
        self.findings.append(Finding(self._place(node.start_mark), path, message))

    def _place(self, mark: yaml.Mark | None) -> Place:
        if mark is None or not self._lines:
            return self.origin
        return Place(self.origin.file, mark.line + 1, mark.column + 1)


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or str(error)
    if "'\\t'" in problem:
        return "a tab; YAML is indented by spaces"
    if "but found another document" in problem:
        return "a second document (---); a file holds one"
    return f"not valid YAML: {problem}" + (f" ({error.context})" if error.context else "")
