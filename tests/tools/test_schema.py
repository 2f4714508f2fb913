"""Arguments: their schema, and the check of what a model sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator

from headrace.errors import InvalidArguments, UsageError
from headrace.tools.context import RunContext
from headrace.tools.schema import MAX_MESSAGE
from headrace.tools.tool import Tool, tool


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Place(BaseModel):
    city: str
    country: str = "NO"


@dataclass
class Span:
    start: date
    end: date


@tool
def book(
    place: Place,
    nights: Annotated[int, Field(gt=0, description="How long.")],
    kind: Literal["single", "double"] = "single",
    colours: list[Colour] | None = None,
    span: Span | None = None,
    *,
    schema: str = "",
) -> str:
    """Book a room.

    Args:
        place: Where to.
        nights: Never shown, the hint's own text wins.
        kind: Of room.
        colours: Of the walls.
        span: When.
        schema: A name that pydantic's models have too.
    """
    return f"{place.city} {nights} {kind} {colours} {span} {schema}"


def test_the_schema_tells_types_descriptions_and_defaults() -> None:
    schema = book.spec.parameters
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["required"] == ["place", "nights"]
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == ["place", "nights", "kind", "colours", "span", "schema"]
    assert schema["properties"]["place"]["description"] == "Where to."
    assert schema["properties"]["nights"] == {
        "type": "integer",
        "exclusiveMinimum": 0,
        "description": "How long.",
    }
    assert schema["properties"]["kind"]["default"] == "single"
    assert set(schema["$defs"]) == {"Place", "Span", "Colour"}
    assert "title" not in schema


def test_the_schema_and_the_check_agree() -> None:
    good = {"place": {"city": "Oslo"}, "nights": 2, "colours": ["red"], "schema": "x"}
    jsonschema.validate(good, book.spec.parameters)
    arguments = book.validate(json.dumps(good))
    assert arguments["place"] == Place(city="Oslo")
    assert arguments["colours"] == [Colour.RED]
    assert set(arguments) == set(good)  # what is left out is the function's own default
    assert book(**arguments) == "Oslo 2 single [<Colour.RED: 'red'>] None x"


def test_every_bad_argument_is_reported_at_once() -> None:
    sent = {"place": {"country": 3}, "nights": -1, "kind": "triple", "colour": "red"}
    with pytest.raises(InvalidArguments) as caught:
        book.validate(json.dumps(sent))
    message = caught.value.message
    assert "book" in message
    for fault in ("place.city", "place.country", "nights", "kind", "colour: there is no such"):
        assert f"- {fault}" in message
    assert "got -1" in message
    assert "'single' or 'double'" in message


def test_a_missing_argument_says_what_was_expected() -> None:
    with pytest.raises(InvalidArguments, match=r"nights: required, but missing; .*How long"):
        book.validate('{"place": {"city": "Oslo"}}')


@pytest.mark.parametrize(
    "text", ["{", '{"place": ', "[1", "nope", "{'a': 1}", '{"nights": NaN}}', "\udc80", "[" * 9999]
)
def test_malformed_json_is_never_repaired(text: str) -> None:
    with pytest.raises(InvalidArguments, match="not valid JSON") as caught:
        book.validate(text)
    assert len(caught.value.message.encode()) <= MAX_MESSAGE


@pytest.mark.parametrize("text", ["[]", "3", '"place"', "null", "true"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidArguments, match="one JSON object"):
        book.validate(text)


@pytest.mark.parametrize("text", ["", "  \n", "{}"])
def test_empty_text_is_no_arguments(text: str) -> None:
    @tool
    def ping() -> str:
        return "pong"

    assert ping.validate(text) == {}
    assert ping.spec.parameters["properties"] == {}


def test_the_message_is_bounded_and_says_what_it_left_out() -> None:
    @tool
    def add(numbers: list[int]) -> int:
        return sum(numbers)

    with pytest.raises(InvalidArguments) as caught:
        add.validate(json.dumps({"numbers": ["ä" * 5000] * 1000}))
    message = caught.value.message
    assert len(message.encode()) <= MAX_MESSAGE
    assert "numbers[0]" in message
    assert message.splitlines()[-1].startswith("- and 9")


def test_the_run_context_is_not_shown_to_the_model() -> None:
    @tool
    def whoami(context: RunContext, also: RunContext | None = None, polite: bool = False) -> str:
        return str(context)

    assert list(whoami.spec.parameters["properties"]) == ["polite"]
    assert whoami.arguments.context_parameters == ("context", "also")
    with pytest.raises(InvalidArguments, match="no such argument"):
        whoami.validate('{"context": {}}')


def test_types_beside_the_tool_and_after_it_are_found() -> None:
    class Local(BaseModel):
        x: int

    @tool
    def near(value: Local, later: Later) -> str:
        return ""

    arguments = near.validate('{"value": {"x": 1}, "later": {"y": 2}}')
    assert arguments == {"value": Local(x=1), "later": Later(y=2)}


class Later(BaseModel):
    y: int


def test_an_unknown_type_is_the_programs_fault() -> None:
    def broken(x: Nowhere) -> str:  # type: ignore[name-defined]  # noqa: F821
        return ""

    with pytest.raises(UsageError, match="Nowhere"):
        _ = Tool(broken).spec


def test_a_type_without_a_schema_is_the_programs_fault() -> None:
    class Opaque:
        pass

    @tool
    def odd(x: Opaque) -> str:
        return ""

    with pytest.raises(UsageError, match=r"'odd'.*no JSON Schema"):
        _ = odd.spec


def test_a_broken_validator_of_the_users_is_told_to_the_model() -> None:
    class Fussy(BaseModel):
        x: int

        @field_validator("x")
        @classmethod
        def check(cls, value: int) -> int:
            raise KeyError("oops")

    @tool
    def fuss(value: Fussy) -> str:
        return ""

    with pytest.raises(InvalidArguments, match="KeyError"):
        fuss.validate('{"value": {"x": 1}}')


@tool
def anything(
    text: str, number: int = 0, real: float = 0.0, flags: list[bool] | None = None
) -> None: ...


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(["text", "number", "real", "flags", "x", "a.b"]), JSON)


@given(JSON | OBJECTS)
def test_any_json_is_taken_or_refused_with_invalid_arguments(value: Any) -> None:
    _taken_or_refused(json.dumps(value))


@given(st.text(max_size=80) | st.text(alphabet='{}[]":,\\u0dtextnumbr1.eE+- ', max_size=60))
def test_any_text_is_taken_or_refused_with_invalid_arguments(text: str) -> None:
    _taken_or_refused(text)


def _taken_or_refused(text: str) -> None:
    try:
        arguments = anything.validate(text)
    except InvalidArguments as error:
        assert 0 < len(error.message.encode()) <= MAX_MESSAGE  # noqa: PT017 - may also be taken
    else:
        assert isinstance(arguments["text"], str)
        assert arguments.keys() <= {"text", "number", "real", "flags"}
