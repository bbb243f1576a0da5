"""Reads Kubernetes manifests: files of many documents, with the place of every value.

Kubernetes' own reading is taken as it is (`on` is true, `0644` is a number):
these files are not blackstart's, and what they mean is not for it to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from blackstart.schema.errors import ContentError, Finding, KeyPath, Place, shown
from blackstart.schema.yamltree import Builder, Places

_MAX_BYTES = 16 << 20
_MAX_DEPTH = 200
_TEMPLATE = "is it a template? render it first"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Rendered manifests can be megabytes, for which the loader in Python takes a minute."""


@dataclass(frozen=True)
class Manifest:
    """One object: its data, and the place of every value in it."""

    data: dict[str, Any]
    places: Places
    origin: Place

    def place(self, path: KeyPath) -> Place:
        """Where `path` stands, or the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, self.origin)


def read_manifests(path: Path, wanted: Callable[[str, str], bool]) -> tuple[list[Manifest], list[str], list[Finding]]:
    """The objects in a file that are `wanted` (apiVersion, kind), the kinds of the others, and what is wrong with it.

    A `List` counts as what it holds; a document that is no object has the kind "".
    """
    origin = Place(shown(path))
    found: list[Manifest] = []
    others: list[str] = []
    try:
        text = _text(path, origin)
        for node in _nodes(text, origin):
            for item in _objects(node):
                if wanted(_text_of(item, "apiVersion"), _text_of(item, "kind")):
                    found.append(_manifest(item, origin))
                else:
                    others.append(_text_of(item, "kind"))
    except ContentError as error:
        return found, others, list(error.findings)
    return found, others, []


def read_documents(text: str, origin: Place, line: int) -> tuple[list[Manifest], list[Finding]]:
    """The mappings in a text that begins in line `line` of a file, such as a value of a ConfigMap."""
    found: list[Manifest] = []
    try:
        for node in _nodes("\n" * (line - 1) + text, origin):
            if isinstance(node, yaml.MappingNode):
                found.append(_manifest(node, origin))
    except ContentError as error:
        return found, list(error.findings)
    return found, []


def _text(path: Path, origin: Place) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ContentError([Finding(origin, (), f"cannot be read: {error.strerror}")]) from None
    if len(raw) > _MAX_BYTES:
        raise ContentError([Finding(origin, (), f"is larger than {_MAX_BYTES >> 20} MiB; split it")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ContentError([Finding(origin, (), "is not UTF-8; save the file in that encoding")]) from None


def _nodes(text: str, origin: Place) -> Iterator[yaml.Node]:
    """The documents, as far as they can be read."""
    try:
        if _too_deep(text):
            raise ContentError([Finding(origin, (), "is nested too deep")])
        yield from (node for node in yaml.compose_all(text, Loader=_LOADER) if not node.tag.endswith(":null"))
    except yaml.YAMLError as error:
        found = _Lenient(origin, lines=True).broken(error, text)
        fix = _TEMPLATE if "{{" in text else ""
        raise ContentError([replace(found, fix=fix)]) from None


def _too_deep(text: str) -> bool:
    """Whether values are nested too deep: composing recurses, in C without any limit but the stack's."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                return True
    except yaml.YAMLError:
        # Composing says the same, with the documents before it.
        return False
    return False


def _objects(node: yaml.Node) -> Iterator[yaml.Node]:
    """The node itself, or the items of a `List` (kubectl get -o yaml writes one; so does a DestinationRuleList)."""
    items = _child(node, "items")
    if not _text_of(node, "kind").endswith("List") or not isinstance(items, yaml.SequenceNode):
        yield node
        return
    yield from items.value


def _text_of(node: yaml.Node, key: str) -> str:
    value = _child(node, key)
    return str(value.value) if isinstance(value, yaml.ScalarNode) else ""


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if isinstance(name, yaml.ScalarNode) and name.value == key), None)


def _manifest(node: yaml.Node, origin: Place) -> Manifest:
    builder = _Lenient(origin, lines=True)
    data = builder.value(node, ())
    if builder.findings:
        raise ContentError(builder.findings)
    return Manifest(data, builder.places, builder.places[()])


class _Lenient(Builder):
    """Takes every scalar as YAML means it; still refuses duplicate keys and loops, as Kubernetes does."""

    def key(self, node: yaml.Node, path: KeyPath) -> str | None:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self.refuse(node, path, f"a key that is not text; {_TEMPLATE}")
        return None

    def scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        constructor = yaml.constructor.SafeConstructor()
        kind = node.tag.rpartition(":")[2]
        if kind not in ("bool", "int", "float", "null"):
            return str(node.value)
        try:
            return constructor.construct_object(node)
        except (ValueError, KeyError, yaml.YAMLError):
            return str(node.value)
