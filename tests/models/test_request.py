"""Requests and options: every wrong one is named before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import UnknownOption, UsageError
from headrace.messages import Message
from headrace.models.request import ModelRequest, Options, ToolSpec, options_from

EVERYTHING: dict[str, Any] = {
    "temperature": 0.5,
    "max_tokens": 100,
    "top_p": 0.9,
    "stop": ("END",),
    "seed": 7,
    "tool_choice": "required",
    "response_format": {"name": "x", "schema": {}},
    "reasoning_effort": "low",
    "extra": {"logit_bias": {}},
}


def test_every_option_is_taken_as_it_is_given() -> None:
    options = Options.of(**EVERYTHING)
    assert {name: getattr(options, name) for name in options.__struct_fields__} == EVERYTHING
    assert options_from(EVERYTHING) == options


def test_an_unknown_option_names_the_nearest_and_all_known() -> None:
    with pytest.raises(UnknownOption, match="'temprature'") as caught:
        Options.of(temprature=1)
    assert "Did you mean temperature?" in caught.value.hint
    assert all(name in caught.value.hint for name in EVERYTHING)
    assert "extra={...}" in caught.value.hint


def test_an_option_like_no_other_gets_no_guess() -> None:
    with pytest.raises(UnknownOption) as caught:
        Options.of(zzz=1)
    assert "Did you mean" not in caught.value.hint


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"temperature": -0.1}, "temperature is from 0 to 2, not -0.1"),
        ({"temperature": 2.1}, "temperature is from 0 to 2"),
        ({"temperature": float("nan")}, "temperature is from 0 to 2, not nan"),
        ({"top_p": 1.01}, "top_p is from 0 to 1"),
        ({"top_p": -1}, "top_p is from 0 to 1"),
        ({"max_tokens": 0}, "max_tokens is at least 1, not 0"),
        ({"max_tokens": -5}, "max_tokens is at least 1"),
        ({"temperature": "0.5"}, r"\$\.temperature"),
        ({"temperature": True}, r"\$\.temperature"),
        ({"max_tokens": 1.5}, r"\$\.max_tokens"),
        ({"max_tokens": "10"}, r"\$\.max_tokens"),
        ({"stop": [1]}, r"\$\.stop"),
        ({"seed": "x"}, r"\$\.seed"),
        ({"extra": "x"}, r"\$\.extra"),
        ({"response_format": 5}, r"\$\.response_format"),
    ],
)
def test_a_wrong_value_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Options.of(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"temperature": 0},
        {"temperature": 2},
        {"top_p": 0},
        {"top_p": 1},
        {"max_tokens": 1},
        {"seed": -1},
    ],
)
def test_the_ends_of_a_range_belong_to_it(given: dict[str, Any]) -> None:
    assert getattr(Options.of(**given), next(iter(given))) == next(iter(given.values()))


def test_none_leaves_an_option_to_the_provider() -> None:
    assert Options.of(**dict.fromkeys(EVERYTHING)) == Options()


def test_one_stop_text_is_a_list_of_one() -> None:
    assert Options.of(stop="END").stop == ("END",)
    assert Options.of(stop=["a", "b"]).stop == ("a", "b")


def test_over_takes_what_is_said_and_the_base_elsewhere() -> None:
    base = Options.of(temperature=1, stop=["x"], seed=1, extra={"a": 1, "b": 1})
    mine = Options.of(temperature=0, max_tokens=5, extra={"b": 2, "c": 2})
    assert mine.over(base) == Options.of(
        temperature=0, max_tokens=5, stop=["x"], seed=1, extra={"a": 1, "b": 2, "c": 2}
    )
    assert Options().over(base) == base
    assert base.over(Options()) == base
    assert base.extra == {"a": 1, "b": 1}


def test_a_request_of_text_and_options() -> None:
    tool = ToolSpec("look", "Looks.", {"type": "object"})
    request = ModelRequest.of("Hi", tools=[tool], temperature=0)
    assert request.messages == (Message.user("Hi"),)
    assert request.tools == (tool,)
    assert request.options == Options(temperature=0.0)


def test_a_request_refuses_what_its_parts_refuse() -> None:
    with pytest.raises(UnknownOption):
        ModelRequest.of("Hi", tool=[])
    with pytest.raises(UsageError):
        ModelRequest.of(5)  # type: ignore[arg-type]
