"""Schemas as Anthropic takes them, beside what its own client makes of them."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from anthropic import transform_schema
from pydantic import BaseModel, Field

from headrace.agents.output import Output
from headrace.providers.anthropic.schema import supported


class Pet(BaseModel):
    name: str = Field(min_length=1, description="What it is called.")
    born: int | None = Field(default=None, ge=1900)


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Person(BaseModel):
    """Someone."""

    mail: str = Field(json_schema_extra={"format": "email"})
    colour: str = Field(json_schema_extra={"format": "color"})
    pets: list[Pet] = Field(min_length=1, max_length=3)
    more: list[Pet] = Field(min_length=2)
    best: Cat | Dog = Field(discriminator="kind")


def same(one: Any, other: Any) -> bool:
    """Whether schemas are the same, in whatever words they tell of what was left out."""
    if isinstance(one, dict) and isinstance(other, dict):
        words = {"description"}
        return one.keys() - words == other.keys() - words and all(
            same(one[key], other[key]) for key in one.keys() - words
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def typeless(schema: Any) -> Any:
    """Without the types of what has a constant: Anthropic's client leaves them out."""
    if isinstance(schema, list):
        return [typeless(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    left = {"type"} if "const" in schema else set()
    return {key: typeless(value) for key, value in schema.items() if key not in left}


@pytest.mark.parametrize("type_", [Pet, Person, list[Pet], Cat | Dog])
def test_it_is_what_their_client_makes_of_it(type_: Any) -> None:
    schema = Output(type_).schema
    assert same(typeless(supported(schema)), transform_schema(schema))


def test_what_is_refused_is_told_in_words() -> None:
    pet = supported(Output(Pet).schema)["properties"]
    assert pet["name"] == {
        "type": "string",
        "description": "What it is called.\n{minLength: 1}",
    }
    assert pet["born"]["anyOf"][0] == {"type": "integer", "description": "{minimum: 1900}"}


def test_what_is_taken_stays() -> None:
    schema = {"type": "array", "items": {"enum": ["a"]}, "minItems": 1, "title": "T"}
    assert supported(schema) == schema
    assert supported({"type": "string", "format": "date"}) == {"type": "string", "format": "date"}
    assert supported({"type": "object"}) == {"type": "object"}
