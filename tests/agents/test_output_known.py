"""What a type has no place for is left out of a value that is being written."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel

from headrace.agents.output import Output


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    breed: str


class Node(BaseModel):
    name: str
    below: list[Node] = []


class Open(BaseModel, extra="allow"):
    name: str


class Home(BaseModel):
    pets: list[Cat | Dog] = []
    best: Cat | Dog | None = None
    rooms: dict[str, Cat] = {}
    notes: dict[str, Any] = {}
    pair: tuple[Cat, int] | None = None


@pytest.mark.parametrize(
    ("type_", "value", "rest"),
    [
        (Cat, {"kind": "cat", "x": 1}, {"kind": "cat"}),
        (Open, {"name": "a", "x": {"y": 1}}, {"name": "a", "x": {"y": 1}}),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (
            Node,
            {"below": [{"x": 1, "below": [{"name": "a", "x": 1}]}]},
            {"below": [{"below": [{"name": "a"}]}]},
        ),
        (
            Home,
            {"pets": [{"lives": 1, "breed": "pug", "x": 1}]},
            {"pets": [{"lives": 1, "breed": "pug"}]},
        ),
        (Home, {"best": {"lives": 1, "x": 1}}, {"best": {"lives": 1}}),
        (Home, {"best": None}, {"best": None}),
        (Home, {"rooms": {"hall": {"lives": 1, "x": 1}}}, {"rooms": {"hall": {"lives": 1}}}),
        (Home, {"notes": {"a": {"b": [1]}}}, {"notes": {"a": {"b": [1]}}}),
        (Home, {"pair": [{"lives": 1, "x": 1}, 2]}, {"pair": [{"lives": 1}, 2]}),
        (list[Cat], {"result": [{"lives": 1, "x": 1}], "x": 1}, {"result": [{"lives": 1}]}),
        (list[Cat], [{"lives": 1, "x": 1}], [{"lives": 1}]),
        (int, {"result": 3}, {"result": 3}),
        (Cat, "no object", "no object"),
    ],
)
def test_it_is_left_out(type_: Any, value: object, rest: object) -> None:
    assert Output(type_).known(value) == rest
