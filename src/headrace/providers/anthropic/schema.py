"""A JSON Schema as Anthropic takes it for an answer's format.

The documentation ("Structured outputs", JSON Schema limitations) names what is refused: bounds of
numbers, texts and lists, ``oneOf``, and objects with other properties than they name. As in
Anthropic's own client what is refused goes into the description, where the model may follow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TABLES = ("properties", "$defs")
_LISTS = ("anyOf", "oneOf", "allOf")
_KEPT: tuple[str, ...] = ("$ref", "additionalProperties", "const", "description", "enum")
_KEPT += ("required", "title", "type")
_FORMATS: tuple[str, ...] = ("date-time", "time", "date", "duration", "email")
_FORMATS += ("hostname", "uri", "ipv4", "ipv6", "uuid")


def supported(schema: Any) -> Any:
    """The schema without what is refused."""
    if not isinstance(schema, Mapping):
        return schema
    made: dict[str, Any] = {}
    left: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _TABLES:
            made[name] = {field: supported(inner) for field, inner in value.items()}
        elif name in _LISTS:
            made["anyOf" if name == "oneOf" else name] = [supported(inner) for inner in value]
        elif name == "items":
            made[name] = supported(value)
        elif _is_kept(name, value):
            made[name] = value
        elif name != "discriminator":  # OpenAPI's: the choices say the same
            left[name] = value
    if "properties" in made:
        made.setdefault("additionalProperties", False)
    if left:
        told = ", ".join(f"{name}: {value}" for name, value in left.items())
        made["description"] = f"{made.get('description', '')}\n{{{told}}}".strip()
    return made


def _is_kept(name: str, value: object) -> bool:
    if name == "minItems":
        return value in (0, 1)
    return name in _KEPT or (name == "format" and value in _FORMATS)
