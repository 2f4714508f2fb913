"""Which piece belongs to which call: late indexes, repeated ids, split names, odd arguments."""

from __future__ import annotations

import json

import pytest

from headrace.models.deltas import ToolCallDelta
from tests.providers.chat_bodies import CALLED, STOP, call, calls, event
from tests.providers.test_joined_calls import decode, joined


@pytest.mark.parametrize("id", ["a", None])
def test_an_index_that_comes_late_continues_the_call(id: str | None) -> None:
    body = (calls(call(None, "a", "f", '{"x"')), calls(call(0, id, None, ":1}")))
    assert joined(*body, CALLED) == [("a", "f", '{"x":1}')]


def test_an_index_that_comes_late_may_come_with_the_id_and_name_again() -> None:
    body = (calls(call(None, "a", "f", '{"x"')), calls(call(0, "a", "f", ":1}")))
    assert joined(*body, CALLED) == [("a", "f", '{"x":1}')]


def test_a_named_piece_at_a_new_index_begins_a_call() -> None:
    body = (calls(call(None, "a", "f", "{}")), calls(call(1, None, "g", "{}")))
    assert joined(*body, CALLED) == [("a", "f", "{}"), ("made_1", "g", "{}")]


def test_an_index_written_as_text_is_the_same_index() -> None:
    body = (calls(call(0, "a", "f", '{"x"')), calls(call("0", None, None, ":1}")))
    assert joined(*body, CALLED) == [("a", "f", '{"x":1}')]


def test_an_id_that_another_call_has_is_replaced() -> None:
    body = (
        calls(call(0, "a", "f", '{"x"'), call(1, "a", "g", '{"y"')),
        calls(call(1, "a", None, ":2}"), call(0, "a", None, ":1}")),
    )
    assert joined(*body, CALLED) == [("a", "f", '{"x":1}'), ("made_1", "g", '{"y":2}')]


def test_after_an_id_told_twice_a_third_one_still_begins_a_call() -> None:
    body = [calls(call(n, id, "f", "{}")) for n, id in ((0, "a"), (1, "a"), (1, "b"))]
    assert joined(*body, CALLED) == [("a", "f", "{}"), ("made_1", "f", "{}"), ("b", "f", "{}")]


def test_a_name_may_come_in_pieces_until_the_arguments_begin() -> None:
    body = (
        calls(call(0, "a", "get_", "")),
        calls(call(0, None, "weather", "")),
        calls(call(0, None, "get_weather", "{")),
        calls(call(0, None, "later", "}")),
    )
    deltas = decode(*body, CALLED)
    assert deltas[:2] == [
        ToolCallDelta(0, "a", "get_weather", "{"),
        ToolCallDelta(0, "a", "get_weather", "}"),
    ]


def test_the_next_call_ends_a_name() -> None:
    body = (calls(call(0, "a", "f", "")), calls(call(1, "b", "g", "")), calls(call(0, None, "x")))
    assert joined(*body, CALLED) == [("a", "f", "{}"), ("b", "g", "{}")]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_an_object_that_is_no_json_does_not_become_json(number: str) -> None:
    text = json.dumps({"choices": [{"delta": {"tool_calls": [call(0, "a", "f", {"x": 5})]}}]})
    ((_, _, arguments),) = joined(event(text.replace("5", number)), STOP)
    assert arguments == f'{{"x":{number}}}'


def test_an_object_too_deep_to_write_does_not_become_empty_arguments() -> None:
    for depth in (500, 900, 980, 990, 1000):
        deep = '{"x":' * depth + "1" + "}" * depth
        text = json.dumps({"choices": [{"delta": {"tool_calls": [call(0, "a", "f", {"x": 5})]}}]})
        deltas = decode(event(text.replace("5", deep)), STOP)
        made = "".join(d.arguments for d in deltas if isinstance(d, ToolCallDelta))
        assert made == f'{{"x":{deep}}}' or not made.startswith("{")
