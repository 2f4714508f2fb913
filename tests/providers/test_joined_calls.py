"""How tool calls are joined from what OpenAI-style servers send."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from headrace.models.assembler import assemble
from headrace.models.deltas import Delta, ToolCallDelta
from headrace.providers.failures import Failures
from headrace.providers.openai_chat.decode import ChatDecoder
from headrace.testing import chunkings
from tests.providers.chat_bodies import CALLED, DONE, STOP, call, calls, chunk, event

Joined = list[tuple[str, str, str]]


def decode(*pieces: bytes) -> list[Delta]:
    chat = ChatDecoder(Failures("acme"), id_prefix="made")
    fed = list(chain.from_iterable(chat.feed(piece) for piece in pieces))
    return fed + chat.close()


def joined(*body: bytes) -> Joined:
    """Id, name and arguments of each call; the same for every cut into two."""
    data = b"".join(body)
    found = [(c.id, c.name, c.arguments) for c in assemble(decode(data)).tool_calls]
    for pieces in chunkings.random_cuts(data, seed=len(data)):
        again = assemble(decode(*pieces)).tool_calls
        assert [(c.id, c.name, c.arguments) for c in again] == found
    return found


def test_the_same_index_continues_a_call() -> None:
    body = (
        calls(call(0, "a", "f", "")),
        calls(call(0, None, None, '{"x"')),
        calls(call(0, None, None, ":1}")),
    )
    assert joined(*body, CALLED) == [("a", "f", '{"x":1}')]


def test_parallel_calls_by_index_may_be_interleaved() -> None:
    body = (
        calls(call(0, "a", "f", '{"x"')),
        calls(call(1, "b", "g", '{"y"')),
        calls(call(0, None, None, ":1}"), call(1, None, None, ":2}")),
    )
    assert joined(*body, CALLED) == [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]


def test_a_different_id_under_the_same_index_is_a_new_call() -> None:
    body = (
        calls(call(0, "a", "f", "{}")),
        calls(call(0, "b", "g", "{")),
        calls(call(0, None, None, "}")),
    )
    assert joined(*body, CALLED) == [("a", "f", "{}"), ("b", "g", "{}")]


def test_a_repeated_id_under_the_same_index_continues() -> None:
    body = (calls(call(0, "a", "f", "{")), calls(call(0, "a", "f", "}")))
    assert joined(*body, CALLED) == [("a", "f", "{}")]


def test_an_earlier_id_under_the_same_index_continues_its_call() -> None:
    body = (
        calls(call(0, "a", "f", "{")),
        calls(call(0, "b", "g", "{")),
        calls(call(0, "a", None, "}")),
        calls(call(0, None, None, " ")),
    )
    assert joined(*body, CALLED) == [("a", "f", "{} "), ("b", "g", "{")]


def test_without_an_index_a_new_id_opens_a_call_and_none_continues_the_last() -> None:
    body = (
        calls(call(None, "a", "f", "{")),
        calls(call(None, None, None, "}")),
        calls(call(None, "b", "g", "{")),
        calls(call(None, None, None, "}")),
    )
    assert joined(*body, CALLED) == [("a", "f", "{}"), ("b", "g", "{}")]


def test_without_an_index_a_known_id_continues_its_call() -> None:
    body = (
        calls(call(None, "a", "f", "{"), call(None, "b", "g", "{")),
        calls(call(None, "a", None, "}")),
    )
    assert joined(*body, CALLED) == [("a", "f", "{}"), ("b", "g", "{")]


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_id_or_name_never_overwrites(empty: str | None) -> None:
    later = {"index": 0, "id": empty, "function": {"name": empty, "arguments": "}"}}
    assert joined(calls(call(0, "a", "f", "{")), calls(later), CALLED) == [("a", "f", "{}")]


def test_a_repeated_name_is_not_appended() -> None:
    body = (calls(call(0, "a", "f", "{")), calls(call(0, None, "f", "}")))
    assert joined(*body, CALLED) == [("a", "f", "{}")]


def test_arguments_given_as_an_object_are_taken_as_they_are() -> None:
    entry = call(0, "a", "f", {"x": [1, "é"], "y": None})
    assert joined(calls(entry), CALLED) == [("a", "f", '{"x":[1,"é"],"y":null}')]


@pytest.mark.parametrize("arguments", ["", None, {}])
def test_empty_or_missing_arguments_are_an_empty_object(arguments: object) -> None:
    assert joined(calls(call(0, "a", "f", arguments)), CALLED) == [("a", "f", "{}")]


def test_arguments_that_are_no_json_stay_as_they_are() -> None:
    assert joined(calls(call(0, "a", "f", '{"x":')), CALLED) == [("a", "f", '{"x":')]


def test_missing_ids_are_made_up_and_unique() -> None:
    entries = (call(0, None, "f", "{}"), call(1, "made_0", "g", "{}"), call(2, "", "h", "{}"))
    ids = [id for id, _, _ in joined(calls(*entries), CALLED)]
    assert ids[1] == "made_0"
    assert len(set(ids)) == 3
    assert all(ids)


def test_an_id_that_comes_late_is_the_calls_id() -> None:
    body = (calls(call(0, None, "f", "{")), calls(call(0, "late", None, "}")))
    assert joined(*body, CALLED) == [("late", "f", "{}")]


def test_a_name_that_comes_late_holds_the_call_back() -> None:
    body = [
        calls(call(0, "a", None, '{"x"')),
        calls(call(0, None, "f", ":1")),
        calls(call(0, None, None, "}")),
    ]
    deltas = decode(*body, CALLED)
    assert deltas[:2] == [ToolCallDelta(0, "a", "f", '{"x":1'), ToolCallDelta(0, "a", "f", "}")]


def test_a_held_call_does_not_change_the_order() -> None:
    body = (calls(call(0, None, "f", "{"), call(1, "b", "g", "{}")), calls(call(0, "a", None, "}")))
    assert joined(*body, CALLED) == [("a", "f", "{}"), ("b", "g", "{}")]


def test_arguments_come_out_piece_by_piece_once_the_call_is_known() -> None:
    chat = ChatDecoder(Failures("acme"))
    assert chat.feed(calls(call(0, "a", "f", ""))) == []  # the name may go on
    for piece in ("{", "}"):
        assert chat.feed(calls(call(0, None, None, piece))) == [ToolCallDelta(0, "a", "f", piece)]


def test_a_call_without_a_name_is_still_told() -> None:
    assert joined(calls(call(0, "a", None, "{}")), CALLED) == [("a", "", "{}")]


def test_whole_calls_without_index_and_id_are_calls_of_their_own() -> None:
    entries = (call(None, None, "f", '{"x":1}'), call(None, None, "f", '{"x":2}'))
    assert [c[1:] for c in joined(calls(*entries), STOP)] == [("f", '{"x":1}'), ("f", '{"x":2}')]
    objects = [calls(call(None, None, "f", {"x": n})) for n in (1, 2)]
    assert [c[1:] for c in joined(*objects, STOP)] == [("f", '{"x":1}'), ("f", '{"x":2}')]
    other = (calls(call(None, None, "f", "{}")), calls(call(None, None, "g", "{}")))
    assert [c[1:] for c in joined(*other, STOP)] == [("f", "{}"), ("g", "{}")]


def test_the_older_function_call_is_one_call() -> None:
    body = (
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"x":'}}),
        chunk({"function_call": {"name": "", "arguments": "1}"}}, "function_call"),
        DONE,
    )
    ((id, name, arguments),) = joined(*body)
    assert id
    assert (name, arguments) == ("f", '{"x":1}')
    assert assemble(decode(*body)).finish_reason == "tool_calls"


def test_tool_calls_that_are_one_object_are_a_list_of_one() -> None:
    assert joined(chunk({"tool_calls": call(0, "a", "f", "{}")}), CALLED) == [("a", "f", "{}")]


@pytest.mark.parametrize(
    "entry",
    [
        {"index": 0, "id": "s", "type": "web_search_call", "query": "x"},
        {"index": 0, "id": "s", "type": "code_execution", "function": None},
        None,
        "f",
    ],
)
def test_a_servers_own_tools_are_no_client_calls(entry: Any) -> None:
    assert joined(chunk({"tool_calls": [entry]}), STOP) == []
    assert assemble(decode(chunk({"tool_calls": [entry]}), STOP)).finish_reason == "stop"


@pytest.mark.parametrize("index", ["0", 0.0, True, -1])
def test_an_index_of_another_type_still_joins(index: object) -> None:
    body = (calls(call(index, "a", "f", "{")), calls(call(index, None, None, "}")))
    assert joined(*body, CALLED) == [("a", "f", "{}")]


@pytest.mark.parametrize("index", [None, [], {}])
def test_an_index_that_is_none_counts_as_missing(index: object) -> None:
    first = {"index": index, "id": "a", "function": {"name": "f", "arguments": "{"}}
    later = {"index": index, "function": {"arguments": "}"}}
    assert joined(calls(first), calls(later), CALLED) == [("a", "f", "{}")]


def test_calls_and_text_may_come_in_one_chunk() -> None:
    body = chunk({"content": "a", "tool_calls": [call(0, "a", "f", "{}")]}, "tool_calls")
    turn = assemble(decode(body, DONE))
    assert (turn.text, len(turn.tool_calls), turn.finish_reason) == ("a", 1, "tool_calls")


def test_calls_of_choice_1_are_no_calls() -> None:
    other = {"index": 1, "delta": {"tool_calls": [call(0, "a", "f", "{}")]}}
    assert joined(event({"choices": [other]}), STOP) == []


def test_many_calls_cost_no_more_than_their_number() -> None:
    many = 20_000
    entries = [call(n, None, "f", "{}") for n in range(many)]
    assert len(assemble(decode(*(calls(entry) for entry in entries), CALLED)).tool_calls) == many
