"""The Chat Completions decoder: text and reasoning, told once wherever they come."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.messages import Opaque
from headrace.models.deltas import Finish, TextDelta
from tests.providers.chat_bodies import CALLED, STOP, call, calls, chunk, event
from tests.providers.openai_chat.chat_decoding import decode, said, turn_of


def test_text_is_joined_in_order() -> None:
    assert said(chunk("Hel"), chunk("lo"), STOP) == ("Hello", "stop")


def test_each_piece_of_text_is_a_delta_of_its_own() -> None:
    deltas = decode([chunk("a") + chunk("") + chunk("b") + STOP])
    assert deltas == [TextDelta("a"), TextDelta("b"), Finish("stop", "stop")]


@pytest.mark.parametrize(
    "body",
    [
        event({"choices": []}),
        event({"choices": None}),
        event({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}),
        event({"choices": [{"index": 0, "content_filter_results": {}}]}),
        event({"choices": [{"index": 0, "delta": None}]}),
        event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]}),
        event({"choices": [None, 7]}),
        event({"type": "ping"}, name="ping"),
        event("keep me alive", name="ping"),
        event(""),
        event("null"),
        b": a comment\n\n",
        b"retry: 10\nid: 7\n\n",
        event({"object": "queue.status", "position": 3}),
    ],
)
def test_events_without_anything_in_them_are_harmless(body: bytes) -> None:
    assert said(body, chunk("a"), body, chunk("b"), body, STOP) == ("ab", "stop")


def test_unknown_fields_are_skipped() -> None:
    odd = {"content": "a", "audio": {"x": [1]}, "new": {"deep": [{}]}}
    assert said(chunk(odd, p=1, service_tier=None), STOP) == ("a", "stop")


def test_a_chunk_under_an_unknown_event_name_is_read() -> None:
    body = event({"choices": [{"index": 0, "delta": {"content": "a"}}]}, name="completion.chunk")
    assert said(body, STOP) == ("a", "stop")


def test_only_choice_0_makes_the_turn() -> None:
    both = [
        {"index": 1, "delta": {"content": "no"}, "finish_reason": "length"},
        {"index": 0, "delta": {"content": "yes"}},
    ]
    other = event({"choices": [{"index": 1, "delta": {"content": "no"}}]})
    assert said(other, event({"choices": both}), STOP) == ("yes", "stop")


def test_a_choice_without_an_index_counts_by_its_place() -> None:
    two = [{"delta": {"content": "yes"}}, {"delta": {"content": "no"}}]
    assert said(event({"choices": two}), STOP) == ("yes", "stop")


def test_content_may_be_a_list_of_parts() -> None:
    parts = [{"type": "text", "text": "a"}, "b", {"type": "reference", "reference_ids": [1]}]
    assert said(chunk({"content": parts}), STOP) == ("ab", "stop")


def test_thinking_parts_are_reasoning() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    turn = turn_of(chunk({"content": [thinking]}), chunk({"content": "a"}), STOP)
    assert (turn.reasoning, turn.text) == ("hm", "a")


def test_a_refusals_words_reach_the_caller() -> None:
    body = (chunk({"refusal": "I can"}), chunk({"refusal": "not."}), STOP)
    assert said(*body) == ("I cannot.", "stop")


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        ({"content": 7}, ""),
        ({"content": {"type": "text", "text": "a"}}, "a"),
        ({"content": ["a", None, 3, {"type": "text", "text": None}]}, "a"),
        ({"content": "a", "tool_calls": 7, "refusal": [], "function_call": "x"}, "a"),
        ({"content": "a", "reasoning": {"x": 1}, "reasoning_details": "words"}, "a"),
        ({"content": "a", "tool_calls": [7, None, "x"]}, "a"),
    ],
)
def test_a_wrong_type_in_one_field_does_not_kill_the_stream(
    delta: dict[str, Any], text: str
) -> None:
    assert said(chunk(delta), chunk("."), STOP) == (f"{text}.", "stop")


@pytest.mark.parametrize(
    "choices",
    [
        {"index": 0, "delta": {"content": "a"}},
        [{"index": 0, "delta": {"content": "a"}, "finish_reason": {"why": 1}}],
        [{"index": 0, "delta": {"content": "a"}, "usage": "none"}, 7],
        [{"index": None, "delta": {"content": "a"}}],
    ],
)
def test_a_wrong_type_around_the_delta_does_not_either(choices: object) -> None:
    odd = event({"choices": choices, "usage": "x", "x_groq": 3, "error": None})
    assert said(odd, STOP) == ("a", "stop")


def test_lone_surrogates_become_something_that_utf8_encodes() -> None:
    body = b'data: {"choices":[{"delta":{"content":"a\\ud83dz"}}]}\n\n'
    text, _ = said(body, chunk("\U0001f30a"), STOP)
    assert text == "a\ufffdz\U0001f30a"
    assert text.encode()


def test_invalid_utf8_is_replaced() -> None:
    body = b'data: {"choices":[{"delta":{"content":"a\xffb"}}]}\n\n'
    assert said(body, STOP) == ("a\ufffdb", "stop")


def test_raw_controls_in_a_string_are_taken() -> None:
    body = b'data: {"choices":[{"delta":{"content":"a\tb"}}]}\n\n'
    assert said(body, STOP) == ("a\tb", "stop")


# --- reasoning ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"thinking": "hm"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}]},
        {"reasoning_content": "hm", "reasoning": "hm"},
        {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        {"reasoning": "hm", "content": [{"type": "thinking", "thinking": "hm"}]},
    ],
)
def test_reasoning_told_under_several_names_counts_once(delta: dict[str, Any]) -> None:
    turn = turn_of(chunk(delta), chunk({"content": "a", "reasoning_content": ""}), STOP)
    assert (turn.reasoning, turn.text) == ("hm", "a")


def test_opaque_reasoning_goes_back_byte_for_byte() -> None:
    signature = "EqQB/+=\u00e9 x"
    first = {"type": "reasoning.text", "index": 0, "text": "h", "signature": None}
    second = {"type": "reasoning.text", "index": 0, "text": "m", "signature": signature}
    hidden = {"type": "reasoning.encrypted", "index": 1, "data": "gAAA=="}
    body = (
        chunk({"reasoning_details": [first]}),
        chunk({"reasoning_details": [second, hidden]}),
        STOP,
    )
    turn = turn_of(*body)
    (item,) = [part for part in turn.message.content if isinstance(part, Opaque)]
    assert item.provider == "acme"
    details = json.loads(item.data)["reasoning_details"]
    assert details == [{**second, "text": "hm"}, hidden]
    assert turn.reasoning == "hm"


def test_reasoning_that_anyone_may_read_is_not_sent_back() -> None:
    detail = {"type": "reasoning.text", "index": 0, "text": "h"}
    turn = turn_of(chunk({"reasoning_details": [detail]}), STOP)
    assert not [part for part in turn.message.content if isinstance(part, Opaque)]


def test_the_thought_signature_of_a_call_goes_back_with_it() -> None:
    extra = {"google": {"thought_signature": "CiQB+/8="}}
    entry = {**call(0, "a", "f", "{}"), "extra_content": extra}
    turn = turn_of(calls(entry), CALLED)
    (item,) = [part for part in turn.message.content if isinstance(part, Opaque)]
    assert json.loads(item.data) == {"tool_call_id": "a", "extra_content": extra}
