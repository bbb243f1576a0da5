"""Turns what pydantic says about data into findings that name the place, what was found and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from blackstart.schema.base import NAME
from blackstart.schema.errors import Finding, KeyPath, Problems, quote, unknown

Finder = Callable[[KeyPath, str], Finding]
Schema = dict[str, Any]

_NOTHING = object()

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "path_type": "a path",
}


def explain(error: ValidationError, data: Any, schema: Schema, finding: Finder) -> list[Finding]:
    """Every error of `error` as a finding, sorted by place. `schema` is the JSON Schema of the model."""
    found = [
        finding(path, message)
        for details in error.errors(include_url=False)
        for path, message in _messages(details, data, schema)
    ]
    return sorted(found, key=lambda f: (f.place.file, f.place.line or 0, f.place.column or 0))


def _messages(details: ErrorDetails, data: Any, schema: Schema) -> Iterator[tuple[KeyPath, str]]:
    path = _real_path(details["loc"], data)
    context = details.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, Problems):
        yield from ((path + below, message) for below, message in cause.problems)
        return
    match details["type"]:
        case "missing":
            name = details["loc"][-1]
            yield (
                path,
                f"missing key {quote(name)}" if isinstance(name, str) else f"needs at least {name + 1} entries",
            )
        case "extra_forbidden":
            known = _keys(_schemas_at(schema, path[:-1], data))
            yield path, unknown("key", path[-1], known)
        case "union_tag_invalid" | "union_tag_not_found" as kind:
            key = str(context["discriminator"]).strip("'")
            tags = _values(_schemas_at(schema, (*path, key), data, any_tag=True))
            if kind == "union_tag_invalid":
                yield (*path, key), unknown("value", context["tag"], tags)
            else:
                yield path, f"missing key {quote(key)}; allowed: {', '.join(tags)}"
        case "literal_error" | "enum":
            yield path, unknown("value", details["input"], _values(_schemas_at(schema, path, data)))
        case "value_error":
            yield path, str(cause)
        case kind:
            yield path, _plain(kind, details, context)


def _plain(kind: str, details: ErrorDetails, context: dict[str, Any]) -> str:
    found = _describe(details["input"])
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {found}"
    if kind == "string_pattern_mismatch":
        wanted = "small letters, digits and hyphens" if context["pattern"] == NAME else context["pattern"]
        return f"{quote(details['input'])} does not fit; wanted: {wanted}"
    if kind == "too_short":
        return f"needs at least {context['min_length']}, found {context['actual_length']}"
    return f"{details['msg'].removeprefix('Input ').removeprefix('String ')}, found {found}"


def _describe(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return quote(value)


def _real_path(loc: KeyPath, data: Any) -> KeyPath:
    """The part of pydantic's location that is in the data: it also names union members and validators."""
    path: KeyPath = ()
    for part in loc:
        inner = _inside(data, part)
        if inner is not _NOTHING:
            path, data = (*path, part), inner
    return path


def _inside(data: Any, part: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(part, _NOTHING)
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return _NOTHING


def _schemas_at(schema: Schema, path: KeyPath, data: Any, *, any_tag: bool = False) -> list[Schema]:
    """The sub-schemas that apply to the value at `path`. `any_tag`: every member of a tagged union applies."""
    schemas = _expand(schema, schema, data, any_tag)
    for part in path:
        data = _inside(data, part)
        schemas = [
            inner
            for outer in schemas
            for child in _children(outer, part)
            for inner in _expand(child, schema, data, any_tag)
        ]
    return schemas


def _children(schema: Schema, part: str | int) -> list[Schema]:
    if isinstance(part, str):
        child = schema.get("properties", {}).get(part) or schema.get("additionalProperties")
    else:
        fixed = schema.get("prefixItems", [])
        child = fixed[part] if part < len(fixed) else schema.get("items")
    return [child] if isinstance(child, dict) else []


def _expand(schema: Schema, root: Schema, data: Any, any_tag: bool) -> list[Schema]:
    """A schema without references and unions: the list of what it may be."""
    if "$ref" in schema:
        return _expand(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, data, any_tag)
    tagged = schema.get("discriminator")
    if tagged and not any_tag and isinstance(data, dict):
        member = tagged["mapping"].get(str(data.get(tagged["propertyName"])))
        return _expand({"$ref": member}, root, data, any_tag) if member else []
    members = schema.get("anyOf") or schema.get("oneOf")
    if members:
        return [inner for member in members for inner in _expand(member, root, data, any_tag)]
    return [schema]


def _keys(schemas: list[Schema]) -> list[str]:
    return [key for schema in schemas for key in schema.get("properties", {})]


def _values(schemas: list[Schema]) -> list[str]:
    return [str(v) for schema in schemas for v in schema.get("enum", [schema["const"]] if "const" in schema else [])]
