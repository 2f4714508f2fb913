"""Values of an answer that is still being written: never of a wrong type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from pydantic import BaseModel, Field, model_validator
from typing_extensions import TypedDict

from headrace.agents.output import Output
from headrace.agents.output.partial import MAX_PARTIAL, Growing, fitting


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    breed: str


@dataclass
class Place:
    city: str
    zip: int | None = None


class Point(TypedDict):
    x: int
    y: int


class Person(BaseModel):
    name: str
    mood: Literal["glad", "sad"]
    age: int = 3
    tags: list[str] = []
    home: Place | None = None
    points: list[Point] = []
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    either: Cat | int | None = None
    pair: tuple[int, str] = (1, "a")


def shown(type_: Any, value: object) -> object:
    return fitting(value, Output(type_).faults)


def values(type_: Any, text: str, size: int = 1) -> list[object]:
    seen: list[object] = []
    output = Output(type_)
    growing = Growing(output.known, output.faults, seen.append)
    for at in range(0, len(text), size):
        growing.feed(text[at : at + size])
    return seen


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"name": "Ad"}, {"name": "Ad"}),
        ({}, {}),
        ({"name": 1}, {}),
        ({"name": "Ada", "mood": "gl"}, {"name": "Ada"}),
        ({"age": "3"}, {}),
        ({"tags": ["a", 1, "b", 2]}, {"tags": ["a", "b"]}),
        ({"home": {"ci": 1}}, {"home": {"ci": 1}}),
        ({"home": {"city": "Par"}}, {"home": {"city": "Par"}}),
        ({"home": {"city": 1, "zip": 2}}, {"home": {"zip": 2}}),
        ({"points": [{"x": 1, "y": 2}, {"x": 3}]}, {"points": [{"x": 1, "y": 2}, {"x": 3}]}),
        ({"points": [{"x": "a"}]}, {"points": [{}]}),
        ({"pet": {"kind": "ca"}}, {}),
        ({"pet": {"kind": "cat"}}, {"pet": {"kind": "cat"}}),
        ({"pet": {"kind": "cat", "lives": "x"}}, {"pet": {"kind": "cat"}}),
        ({"either": {"kind": "cat"}}, {"either": {"kind": "cat"}}),
        ({"either": 3}, {"either": 3}),
        ({"either": "x"}, {}),
        ({"pair": [1]}, {"pair": [1]}),
        ([], UNSET),
        ("x", UNSET),
    ],
)
def test_what_fits_is_kept(value: object, fits: object) -> None:
    assert shown(Person, value) == fits


def test_a_list_that_is_too_short_may_grow() -> None:
    class Team(BaseModel):
        names: Annotated[list[str], Field(min_length=2)]
        motto: Annotated[str, Field(min_length=3)]

    assert shown(Team, {"names": ["a"], "motto": "ab"}) == {"names": ["a"]}


def test_a_validator_that_raises_shows_nothing() -> None:
    class Odd(BaseModel):
        a: int

        @model_validator(mode="before")
        @classmethod
        def broken(cls, value: Any) -> Any:
            raise KeyError("b")

    assert shown(Odd, {"a": 1}) is UNSET


def test_a_number_at_the_end_may_go_on() -> None:
    text = '{"name": "Ada", "age": 36, "tags": ["a long one"]}'
    assert values(Person, text[:24], 24) == [{"name": "Ada"}]
    assert values(Person, text[:26], 26) == [{"name": "Ada", "age": 36}]


def test_a_text_that_ends_in_a_number_is_shown_without_it() -> None:
    assert values(Person, '{"name": "Room 12 of many"}', 16) == [{"name": "Room "}]


def test_a_value_is_shown_once() -> None:
    seen = values(Person, '{"name": "Ada"        ,               "age":        ', 16)
    assert seen == [{"name": "Ada"}]


def test_beyond_the_bound_nothing_is_shown() -> None:
    text = json.dumps({"name": "a" * (MAX_PARTIAL * 2)})
    seen = values(Person, text, 1000)
    assert 0 < len(seen) < 100
    assert all(len(value["name"]) <= MAX_PARTIAL for value in seen)  # type: ignore[index]


PEOPLE: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    name=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    mood=st.sampled_from(["glad", "sad"]),
    age=st.integers(-(2**40), 2**40),
    tags=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3),
    home=st.none() | st.builds(dict, city=st.text(st.sampled_from("ab 12"))),
    points=st.lists(st.builds(dict, x=st.integers(), y=st.integers()), max_size=3),
    pet=st.sampled_from([None, {"kind": "cat", "lives": 9}, {"kind": "dog", "breed": "pug"}]),
    either=st.sampled_from([None, 4, {"kind": "cat", "lives": 9}]),
)


def grown(part: Any, whole: Any) -> bool:
    """Whether a value is the beginning of another one."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and grown(value, whole[key]) for key, value in part.items()
        )
    if isinstance(part, list):
        return isinstance(whole, list) and len(part) <= len(whole) and all(map(grown, part, whole))
    if isinstance(part, str):
        return isinstance(whole, str) and whole.startswith(part.rstrip())
    return bool(part == whole)


@given(PEOPLE, st.integers(1, 30))
def test_every_value_is_the_beginning_of_the_whole(person: dict[str, Any], size: int) -> None:
    for value in values(Person, json.dumps(person), size):
        assert grown(value, person)


@given(PEOPLE, st.integers(1, 30))
def test_what_does_not_fit_is_never_shown(person: dict[str, Any], size: int) -> None:
    wrong = {**person, "name": 7, "mood": "angry", "tags": "none", "more": 1}
    for value in values(Person, json.dumps(wrong), size):
        assert isinstance(value, dict)
        assert not {"name", "mood", "tags", "more"} & set(value)
