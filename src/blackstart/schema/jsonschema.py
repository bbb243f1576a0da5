"""JSON Schemas of content models, for editors: what a file may say, in the words of the file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import TypeAdapter

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"

EXPERIMENT: Schema = {
    "$schema": DRAFT,
    "title": "Experiment",
    "description": "A Chaos Toolkit experiment, as far as blackstart reads it; Chaos Toolkit validates the rest.",
    "type": "object",
    "required": ["title", "description", "method"],
    "properties": {
        "title": {"type": "string", "minLength": 1},
        "description": {"type": "string", "minLength": 1},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 1}},
        "configuration": {"type": "object"},
        "secrets": {"type": "object"},
        "controls": {"type": "array", "items": {"type": "object"}},
        "steady-state-hypothesis": {
            "type": "object",
            "required": ["title"],
            "properties": {"title": {"type": "string"}, "probes": {"$ref": "#/$defs/activities"}},
        },
        "method": {"$ref": "#/$defs/activities"},
        "rollbacks": {"$ref": "#/$defs/activities"},
    },
    "$defs": {
        "activities": {"type": "array", "items": {"$ref": "#/$defs/activity"}},
        "activity": {
            "type": "object",
            "anyOf": [{"required": ["ref"]}, {"required": ["type", "name", "provider"]}],
            "properties": {
                "ref": {"type": "string"},
                "type": {"enum": ["action", "probe"]},
                "name": {"type": "string", "minLength": 1},
                "undo": {"const": "none", "description": "nothing is to be put back after this action"},
                "background": {"type": "boolean"},
                "provider": {"$ref": "#/$defs/provider"},
            },
        },
        "provider": {
            "type": "object",
            "required": ["type"],
            "properties": {
                "type": {"enum": ["python", "process", "http"]},
                "module": {"type": "string"},
                "func": {"type": "string"},
                "secrets": {"type": "array", "items": {"type": "string"}},
                "arguments": {},
            },
        },
    },
}
"""The schema of experiments/*.yaml; Chaos Toolkit has no model of its own to make it from."""


def json_schema(model: Any, mode: Literal["validation", "serialization"] = "validation") -> Schema:
    """The JSON Schema of a model or a union of models, with defaults as a file would write them."""
    schema = TypeAdapter(model).json_schema(mode=mode)
    _require_tags(schema)
    _write_defaults(schema)
    return {"$schema": DRAFT, **schema}


def default_text(schema: Schema) -> object:
    """The default of a key as a file would write it: `10s`, `99%`; None if it has none to show."""
    value = schema.get("default")
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
        return None
    if schema.get("type") != "string" or not isinstance(value, float):
        return value
    share = str(schema.get("examples", [""])[0]).endswith("%")
    return f"{value * 100:g}%" if share else f"{value:g}s"


def _require_tags(schema: Schema) -> None:
    """In code the tag of a union's member is known; in a file it has to be written."""
    tagged = schema.get("discriminator", {})
    for reference in tagged.get("mapping", {}).values():
        member = schema["$defs"][reference.removeprefix("#/$defs/")]
        member["required"] = sorted({*member.get("required", []), tagged["propertyName"]})


def _write_defaults(schema: Any) -> None:
    if isinstance(schema, list):
        for item in schema:
            _write_defaults(item)
    if not isinstance(schema, dict):
        return
    if "default" in schema:
        text = default_text(schema)
        if text is None:
            del schema["default"]
        else:
            schema["default"] = text
    for key, value in schema.items():
        if key != "default":
            _write_defaults(value)
