"""A `typing.TypedDict` is taken on every Python, as an argument and as an answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal, NotRequired, Required, TypedDict

import pytest
import typing_extensions
from pydantic import Field, TypeAdapter

from headrace import tool
from headrace.agents.output import Output
from headrace.errors import InvalidArguments, InvalidOutput, UsageError
from headrace.tools.typed_dicts import pydantic_type


class Base(TypedDict):
    """Where to."""

    city: str


class Trip(Base, total=False):
    """A journey."""

    days: Required[Annotated[int, Field(ge=1)]]
    wishes: list[str]
    by: Literal["train", "ship"] | None


class Plan(TypedDict):
    name: NotRequired[str]
    trips: list[Trip]
    first: Trip | None
    named: dict[str, Trip]


class Modern(typing_extensions.TypedDict, total=False):
    city: typing_extensions.Required[str]


class Loop(TypedDict):
    inner: Loop | None


TRIP = {"city": "Rome", "days": 3}


def test_it_is_the_type_of_an_answer() -> None:
    output = Output(Trip)
    assert output.value(json.dumps(TRIP)) == TRIP
    assert (output.name, output.schema["description"]) == ("Trip", "A journey.")
    assert sorted(output.schema["required"]) == ["city", "days"]
    for wrong in ({"city": "Rome"}, {**TRIP, "days": 0}, {**TRIP, "by": "car"}):
        with pytest.raises(InvalidOutput):
            output.value(json.dumps(wrong))


def test_so_it_is_inside_of_other_types() -> None:
    whole = {"trips": [TRIP], "first": None, "named": {"a": TRIP}}
    assert Output(Plan).value(json.dumps(whole)) == whole
    assert Output(list[Trip]).value(json.dumps({"result": [TRIP]})) == [TRIP]
    with pytest.raises(InvalidOutput, match=r"trips\[0\]\.days"):
        Output(Plan).value(json.dumps({**whole, "trips": [{"city": "Rome"}]}))


def test_it_is_the_type_of_an_argument() -> None:
    @tool
    def book(trip: Trip, others: list[Trip] | None = None) -> str:
        """Book."""
        return trip["city"]

    assert book.validate(json.dumps({"trip": TRIP})) == {"trip": TRIP}
    with pytest.raises(InvalidArguments, match=r"trip\.days"):
        book.validate(json.dumps({"trip": {"city": "Rome"}}))
    assert book.spec.parameters["$defs"]["Trip"]["description"] == "A journey."


@pytest.mark.parametrize(
    "hint",
    [
        int,
        list[int],
        int | None,
        Callable[[int], str],
        Callable[..., Any],
        Literal["a", 1],
        tuple[int, ...],
        Annotated[int, "x"],
        Modern,
        Any,
        "Trip",
    ],
)
def test_all_other_types_stay_as_they_are(hint: Any) -> None:
    assert pydantic_type(hint) == hint


def test_of_one_inside_of_itself_pydantic_says_what_it_wants() -> None:
    if sys.version_info >= (3, 12):
        assert TypeAdapter(pydantic_type(Loop)).validate_python({"inner": None}) == {"inner": None}
        return
    with pytest.raises(UsageError, match="typing_extensions"):
        Output(Loop)
