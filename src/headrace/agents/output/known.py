"""What of a JSON value its type knows: what its schema names no property for is left out.

Pydantic passes over such properties, as a whole answer may have them; a `partial` shows none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_CHOICES = ("anyOf", "oneOf", "allOf")


def known(value: Any, schema: Schema) -> Any:
    """The value without what the schema knows nothing of.

    Args:
        value: A JSON value, which may not be whole.
        schema: With what it refers to under ``$defs``.
    """
    return _known(value, [schema], schema.get("$defs", {}))


def _known(value: Any, schemas: Iterable[Schema], defs: Schema) -> Any:
    """Known is what any of the schemas knows."""
    if not isinstance(value, dict | list):
        return value
    simple = [each for schema in schemas for each in _simple(schema, defs)]
    if isinstance(value, list):
        return [
            _known(item, list(_of_items(simple, place)), defs) for place, item in enumerate(value)
        ]
    return {
        name: _known(item, inner, defs)
        for name, item in value.items()
        if (inner := list(_of_property(simple, name)))
    }


def _simple(schema: Schema, defs: Schema) -> Iterator[Schema]:
    """The schema, its choices and what it refers to, one by one."""
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    inner = [defs[name]] if name in defs else []
    for choice in _CHOICES:
        inner += schema.get(choice, ())
    if not inner:
        yield schema
    for each in inner:
        yield from _simple(each, defs)


def _of_property(schemas: Iterable[Schema], name: str) -> Iterator[Schema]:
    for schema in schemas:
        if name in schema.get("properties", {}):
            yield schema["properties"][name]
        elif schema.get("type", "object") == "object":
            more = schema.get("additionalProperties", "properties" not in schema)
            if more:
                yield {} if more is True else more


def _of_items(schemas: Iterable[Schema], place: int) -> Iterator[Schema]:
    for schema in schemas:
        if schema.get("type", "array") == "array":
            first = schema.get("prefixItems", ())
            yield first[place] if place < len(first) else schema.get("items", {})
