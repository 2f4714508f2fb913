"""The JSON Schema of an agent's answer, made from its type: an object, whatever the type is."""

from __future__ import annotations

import re
import types
from typing import TYPE_CHECKING, Any, get_args

from headrace.errors import UsageError
from headrace.tools.typed_dicts import pydantic_type

if TYPE_CHECKING:
    from pydantic import TypeAdapter

# A function pydantic would take: for what gives a function its arguments.
_NO_TYPES = (str, bytes, int, float, list, dict, tuple, set, types.FunctionType, types.MethodType)

KEY = "result"
"""The one property of the object that holds a value which is no object itself."""


def label_of(type_: Any) -> str:
    """``Person``, ``list[Person]``: without modules."""
    if isinstance(type_, type) and not get_args(type_):
        return type_.__name__[:80]
    return re.sub(r"[\w<>.]+\.", "", str(type_))[:80]


def adapter_of(type_: Any, label: str) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    """The type's validator, and its JSON Schema with what it refers to under ``$defs``."""
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
    from pydantic.json_schema import GenerateJsonSchema

    class Untitled(GenerateJsonSchema):
        """Names of fields are titles enough."""

        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

    why = "it is no type"
    if not isinstance(type_, _NO_TYPES):
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(pydantic_type(type_))
            return adapter, _inlined(adapter.json_schema(schema_generator=Untitled))
        except (PydanticUserError, PydanticUndefinedAnnotation, TypeError, NameError) as error:
            why = str(error).splitlines()[0]
    raise UsageError(
        f"output_type {label!r} has no JSON Schema: {why.rstrip('.')}.",
        hint="Give a pydantic model, a dataclass or a TypedDict, made of such types.",
    )


def wrapped(type_: Any) -> TypeAdapter[Any]:
    """A validator of an object with the type as its one property; it gives an object with it."""
    from pydantic import TypeAdapter, create_model

    fields: dict[str, Any] = {KEY: (pydantic_type(type_), ...)}
    return TypeAdapter(create_model("Result", **fields))


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself in place of a reference to it, as a type that holds itself has."""
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name in schema.get("$defs", {}):
        return {**schema["$defs"][name], "$defs": schema["$defs"]}
    return schema


def as_object(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of that object."""
    inner = {name: value for name, value in schema.items() if name != "$defs"}
    whole = {"type": "object", "properties": {KEY: inner}, "required": [KEY]}
    return {**whole, "$defs": schema["$defs"]} if "$defs" in schema else whole


def closed(schema: Any) -> Any:
    """The schema with no properties but those that it names, as OpenAI and Anthropic want it.

    OpenAI: "Structured model outputs", supported schemas; Anthropic: "Structured outputs", JSON
    Schema limitations.
    """
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        name: {field: closed(inner) for field, inner in value.items()}
        if name in ("properties", "$defs")
        else value
        if name in ("default", "const", "enum", "examples")
        else closed(value)
        for name, value in schema.items()
    }
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
    return made


def is_open(schema: dict[str, Any]) -> bool:
    """Whether some object takes properties that it does not name, or a schema is part of itself."""
    defs = schema.get("$defs", {})
    looked_at: set[str] = set()

    def look(node: Any, within: frozenset[str]) -> bool:
        if isinstance(node, list):
            return any(look(item, within) for item in node)
        if not isinstance(node, dict):
            return False
        if node.get("type") == "object" and node.get(
            "additionalProperties", "properties" not in node
        ):
            return True
        name = str(node.get("$ref", "")).removeprefix("#/$defs/")
        if name in within:
            return True
        if name in defs and name not in looked_at:
            looked_at.add(name)
            if look(defs[name], within | {name}):
                return True
        return any(look(inner, within) for field, inner in node.items() if field != "$defs")

    return look(schema, frozenset())
