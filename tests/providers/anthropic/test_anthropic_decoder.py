"""The Messages decoder by the rules of provider turns: text, thinking, calls, reasons, usage."""

from __future__ import annotations

import json

import pytest

from headrace.errors import (
    StreamTruncated,
)
from headrace.messages import Opaque, Reasoning, Text, ToolCall
from headrace.models.deltas import Finish, TextDelta, UsageDelta
from headrace.providers.anthropic.decode import AnthropicDecoder
from headrace.providers.failures import Failures
from headrace.usage import Usage
from tests.providers.anthropic.messages_events import (
    CALLED,
    END,
    FOUND,
    PING,
    SEARCH,
    STOP,
    arguments,
    begin,
    call,
    call_start,
    ending,
    error,
    event,
    piece,
    start,
    stop,
    thought,
    words,
)
from tests.providers.anthropic.reading import calls, decode, items, said, turn_of

# --- text ---------------------------------------------------------------------------------------


def test_text_is_joined_in_order() -> None:
    assert said(start(), words(0, "Hel", "lo"), END) == ("Hello", "stop")


def test_each_piece_of_text_is_a_delta_of_its_own() -> None:
    deltas = decode([words(0, "a", "", "b") + STOP])
    assert deltas == [TextDelta("a"), TextDelta("b"), Finish("stop", "")]


def test_text_in_the_start_of_its_block_counts() -> None:
    body = begin(0, {"type": "text", "text": "Hel"})
    assert said(start(), body, piece(0, {"type": "text_delta", "text": "lo"}), END)[0] == "Hello"


def test_several_text_blocks_make_one_text() -> None:
    assert said(start(), words(0, "a"), words(1, "b"), END) == ("ab", "stop")


def test_text_blocks_that_interleave_are_all_read() -> None:
    body = [begin(i, {"type": "text", "text": ""}) for i in (0, 1)]
    body += [piece(i, {"type": "text_delta", "text": t}) for i, t in ((0, "a"), (1, "b"), (0, "c"))]
    assert said(start(), *body, END)[0] == "abc"


def test_text_without_its_blocks_start_is_text() -> None:
    assert said(piece(3, {"type": "text_delta", "text": "a"}), END) == ("a", "stop")


@pytest.mark.parametrize(
    "body",
    [
        PING,
        event("", name="ping"),
        event("keep me alive", name="ping"),
        event("beat", name="heartbeat"),
        event({"type": "something_new", "text": "no"}),
        event({"type": "something_new"}, name=""),
        event({"new": True}, name="something_new"),
        event('{"type":"something_new","x":' + "1" * 9999 + "}"),
        event('{"type":"ping","x":' + "[" * 400 + "]" * 400 + "}"),
        event({}, name=""),
        event("null"),
        event("null", name="content_block_delta"),
        b": a comment\n\n",
        b"retry: 10\nid: 7\n\n",
        begin(7, {"type": "hologram", "text": "no"}) + stop(7),
        begin(7, {"type": "hologram"}) + piece(7, {"type": "text_delta", "text": "no"}),
        begin(7, None) + begin(7, 3) + begin(7, []) + begin(7, {}) + stop(7),
        piece(0, {"type": "hologram_delta", "text": "no"}),
        piece(0, {"type": "citations_delta", "citation": {"cited_text": "no", "type": "x"}}),
        piece(0, {"type": "thinking_delta", "thinking": "no"}),
        piece(0, {"type": "signature_delta", "signature": "no"}),
        piece(0, {"type": "input_json_delta", "partial_json": "no"}),
        piece(0, {"type": "text_delta", "text": 7}),
        piece(0, {"type": "text_delta"}),
        piece(0, {}) + piece(0, None) + piece(0, "no") + piece(0, [1]),
        piece(99, {"type": "input_json_delta", "partial_json": "no"}),
        stop(99),
        event({"type": "message_delta"}),
        event({"type": "message_delta", "delta": {"stop_reason": None}, "usage": None}),
        event({"type": "message_start", "message": "no"}),
    ],
)
def test_what_says_nothing_to_us_is_skipped(body: bytes) -> None:
    first = begin(0, {"type": "text", "text": ""}) + piece(0, {"type": "text_delta", "text": "a"})
    more = piece(0, {"type": "text_delta", "text": "b"}) + stop(0)
    assert said(body, start(), first, body, more, body, END) == ("ab", "stop")


def test_unknown_fields_are_skipped() -> None:
    odd = {"type": "content_block_delta", "index": 0, "x": [1], "delta": {"type": "text_delta"}}
    odd["delta"] = {"type": "text_delta", "text": "a", "new": {"deep": [{}]}}
    assert said(start(), event(odd), END)[0] == "a"


@pytest.mark.parametrize("name", ["", "message", "whatever"])
def test_the_type_in_the_data_counts_whatever_the_event_is_called(name: str) -> None:
    value = {"type": "content_block_delta", "index": 0}
    body = event({**value, "delta": {"type": "text_delta", "text": "a"}}, name=name)
    assert said(body, END)[0] == "a"


def test_an_event_without_a_type_goes_by_its_name() -> None:
    value = {"index": 0, "delta": {"type": "text_delta", "text": "a"}}
    assert said(event(value, name="content_block_delta"), END)[0] == "a"


@pytest.mark.parametrize("index", ["0", None, True, 0.5, [0], {"x": 1}])
def test_an_index_that_is_none_does_not_kill_the_stream(index: object) -> None:
    delta = {"type": "text_delta", "text": "a"}
    assert said(begin(index, {"type": "text", "text": ""}), piece(index, delta), END)[0] == "a"


def test_lone_surrogates_become_something_that_utf8_encodes() -> None:
    body = (
        b'data: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"a\\ud83dz"}}\n\n'
    )
    text, _ = said(body, END)
    assert text == "a\ufffdz"
    odd = b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text",'
    assert said(odd + b'"text":"a\\ud83dz"}}\n\n', END)[0] == "a\ufffdz"


def test_line_separators_in_text_are_text() -> None:
    value = {"type": "content_block_delta", "index": 0}
    body = json.dumps(
        {**value, "delta": {"type": "text_delta", "text": "a\u2028b\x85c"}}, ensure_ascii=False
    )
    assert said(event(body), END)[0] == "a\u2028b\x85c"


# --- thinking -----------------------------------------------------------------------------------


def test_thinking_is_reasoning_and_goes_back_with_its_signature() -> None:
    signature = "EqQB/+=\u00e9 x"
    turn = turn_of(start(), thought(0, "h", "m", signature=signature), words(1, "a"), END)
    assert (turn.reasoning, turn.text) == ("hm", "a")
    whole = {"type": "thinking", "thinking": "hm", "signature": signature}
    assert items(turn) == [whole]
    kinds = [type(part) for part in turn.message.content]
    assert kinds == [Reasoning, Opaque, Text]


def test_redacted_thinking_is_kept_as_it_came() -> None:
    block = '{"type": "redacted_thinking",  "data": "gAAA+/=="}'
    raw = '{"type":"content_block_start","index":1,"content_block":' + block + "}"
    turn = turn_of(start(), thought(0, "hm"), event(raw), stop(1), words(2, "a"), END)
    kept = [part.data for part in turn.message.content if isinstance(part, Opaque)]
    assert kept[1] == block
    assert turn.reasoning == "hm"


def test_thinking_between_calls_stays_at_its_place() -> None:
    body = (thought(0, "one"), call(1, "a", "f", "{}"), thought(2, "two"), call(3, "b", "f", "{}"))
    turn = turn_of(start(), *body, CALLED)
    kinds = [type(part) for part in turn.message.content]
    assert kinds == [Reasoning, Opaque, ToolCall, Reasoning, Opaque, ToolCall]


def test_thinking_that_is_not_shown_still_goes_back() -> None:
    turn = turn_of(start(), thought(0, signature="S=="), words(1, "a"), END)
    assert turn.reasoning == ""
    assert items(turn) == [{"type": "thinking", "thinking": "", "signature": "S=="}]


def test_thinking_and_signature_may_come_in_the_blocks_start() -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": "S"}
    turn = turn_of(start(), begin(0, block), stop(0), END)
    assert turn.reasoning == "hm"
    assert items(turn) == [block]


def test_a_signature_told_again_is_the_last_one() -> None:
    body = thought(0, "hm", signature="old").replace(stop(0), b"")
    again = piece(0, {"type": "signature_delta", "signature": "new"})
    assert items(turn_of(start(), body, again, stop(0), END))[0]["signature"] == "new"


def test_thinking_without_a_signature_is_not_sent_back() -> None:
    turn = turn_of(start(), thought(0, "hm", signature=""), words(1, "a"), END)
    assert turn.reasoning == "hm"
    assert items(turn) == []


def test_a_thinking_block_that_is_never_closed_goes_back_all_the_same() -> None:
    turn = turn_of(start(), thought(0, "hm").replace(stop(0), b""), END)
    assert items(turn) == [{"type": "thinking", "thinking": "hm", "signature": "Sig+/="}]


# --- calls --------------------------------------------------------------------------------------


def test_parallel_calls_in_order() -> None:
    body = (call(1, "a", "f", '{"x"', ":1}"), call(2, "b", "g", "", '{"y":"é"}'))
    turn = turn_of(start(), words(0, "So"), *body, CALLED)
    assert calls(turn) == [("a", "f", '{"x":1}'), ("b", "g", '{"y":"é"}')]
    assert (turn.text, turn.finish_reason) == ("So", "tool_calls")


def test_calls_that_interleave_are_told_apart_by_their_index() -> None:
    body = [call_start(5, "a", "f"), call_start(2, "b", "g")]
    body += [arguments(2, '{"y":'), arguments(5, '{"x":'), arguments(2, "2}"), arguments(5, "1}")]
    turn = turn_of(start(), *body, stop(2), stop(5), CALLED)
    assert calls(turn) == [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"x": 1}, '{"x": 1}'),
        ({}, "{}"),
        (None, "{}"),
        ("", "{}"),
        ('{"x":1}', '{"x":1}'),
        ([1], "[1]"),
        (10**20, "1" + "0" * 20),
        ({"x": "é\u2028"}, '{"x": "\\u00e9\\u2028"}'),
    ],
)
def test_input_that_comes_whole_with_the_blocks_start(given: object, text: str) -> None:
    turn = turn_of(start(), call_start(0, "a", "f", input=given), stop(0), CALLED)
    assert calls(turn) == [("a", "f", text)]


def test_input_in_the_start_is_a_place_holder_where_pieces_come() -> None:
    body = (call_start(0, "a", "f", input={"x": 0}), arguments(0, '{"x":1}'), stop(0))
    assert calls(turn_of(start(), *body, CALLED)) == [("a", "f", '{"x":1}')]


def test_whole_input_comes_even_if_the_block_is_never_closed() -> None:
    body = call_start(0, "a", "f", input={"x": 1})
    assert calls(turn_of(start(), body, CALLED)) == [("a", "f", '{"x": 1}')]


def test_a_piece_that_is_an_object_is_taken_as_it_is() -> None:
    body = (call_start(0, "a", "f"), arguments(0, {"x": 1}), stop(0))
    assert calls(turn_of(start(), *body, CALLED)) == [("a", "f", '{"x":1}')]


@pytest.mark.parametrize("text", ['{"x":', '{"x":1}}', "not json", "{'x': 1}"])
def test_broken_arguments_stay_as_they_are(text: str) -> None:
    assert calls(turn_of(start(), call(0, "a", "f", text), CALLED)) == [("a", "f", text)]


def test_ids_that_were_not_given_are_made_up_and_unique() -> None:
    body = [call_start(0, "call_1", "f"), *(call_start(i, None, "f") for i in (1, 2))]
    ids = [id for id, _, _ in calls(turn_of(start(), *body, CALLED))]
    assert len(set(ids)) == 3
    assert all(ids)


def test_an_id_that_another_call_has_is_replaced() -> None:
    body = (call(0, "a", "f", '{"x":1}'), call(1, "a", "g", '{"x":2}'), call_start(1, "a", "g"))
    first, second = calls(turn_of(start(), *body, CALLED))
    assert (first, second[1:]) == (("a", "f", '{"x":1}'), ("g", '{"x":2}'))
    assert second[0] not in ("a", "")


def test_a_start_told_twice_opens_one_call() -> None:
    body = (call_start(0, "a", "f"), call_start(0, "a", "f"), arguments(0, "{}"))
    assert len(calls(turn_of(start(), *body, CALLED))) == 1


def test_an_index_used_again_opens_another_call() -> None:
    body = (call(0, "a", "f", '{"x":1}'), call(0, "b", "f", '{"x":2}'))
    turn = turn_of(start(), *body, CALLED)
    assert calls(turn) == [("a", "f", '{"x":1}'), ("b", "f", '{"x":2}')]


def test_a_forced_call_ends_in_tool_calls_whatever_the_reason() -> None:
    for reason in ("end_turn", "tool_use", "pause_turn", "stop_sequence", "new"):
        turn = turn_of(start(), call(0, "a", "f", "{}"), ending(reason), STOP)
        assert turn.finish_reason == "tool_calls"


def test_a_cut_turn_with_a_call_keeps_its_reason() -> None:
    turn = turn_of(start(), call(0, "a", "f", '{"x":'), ending("max_tokens"), STOP)
    assert turn.finish_reason == "length"


# --- the provider's own tools -------------------------------------------------------------------


def test_server_tools_are_no_calls_and_go_back() -> None:
    turn = turn_of(
        start(),
        words(0, "Let me look. "),
        begin(1, SEARCH),
        arguments(1, '{"query"'),
        arguments(1, ':"x"}'),
        stop(1),
        begin(2, FOUND),
        stop(2),
        words(3, "Found."),
        END,
    )
    assert turn.tool_calls == ()
    assert (turn.text, turn.finish_reason) == ("Let me look. Found.", "stop")
    assert items(turn) == [{**SEARCH, "input": {"query": "x"}}, FOUND]
    kinds = [type(part) for part in turn.message.content]
    assert kinds == [Text, Opaque, Opaque, Text]


def test_a_server_tools_input_may_come_whole() -> None:
    block = {**SEARCH, "input": {"query": "x"}}
    assert items(turn_of(start(), begin(0, block), stop(0), END)) == [block]


@pytest.mark.parametrize(
    "kind",
    [
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "web_fetch_tool_result",
        "tool_search_tool_result",
        "mcp_tool_result",
        "container_upload",
    ],
)
def test_what_server_tools_gave_goes_back(kind: str) -> None:
    block = {"type": kind, "tool_use_id": "s", "content": {"type": "x", "stdout": "1"}}
    turn = turn_of(start(), begin(0, block), stop(0), words(1, "a"), END)
    assert items(turn) == [block]
    assert (turn.text, turn.tool_calls) == ("a", ())


def test_a_turn_that_pauses_is_a_stop() -> None:
    assert said(start(), begin(0, SEARCH), stop(0), ending("pause_turn"), STOP)[1] == "stop"


# --- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("tool_use", "stop"),
        ("whatever_comes_next", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
    ],
)
def test_stop_reasons(raw: str, reason: str) -> None:
    deltas = decode([start() + words(0, "a") + ending(raw) + STOP])
    assert deltas[-1] == Finish(reason, raw)  # type: ignore[arg-type]


def test_a_refusals_words_reach_the_caller() -> None:
    assert said(start(), words(0, "I cannot."), ending("refusal"), STOP) == (
        "I cannot.",
        "content_filter",
    )
    details = {"type": "refusal", "category": "bio", "explanation": "This could harm."}
    silent = ending("refusal", stop_details=details)
    assert said(start(), silent, STOP) == ("This could harm.", "content_filter")
    assert said(start(), words(0, "I"), silent, STOP) == ("I", "content_filter")


def test_a_stop_reason_without_message_stop_is_a_whole_turn() -> None:
    assert said(start(), words(0, "a"), ending("max_tokens")) == ("a", "length")


def test_message_stop_without_a_stop_reason_is_a_stop() -> None:
    assert said(start(), words(0, "a"), STOP) == ("a", "stop")


def test_the_end_mark_of_another_wire_ends_the_turn_too() -> None:
    assert said(start(), words(0, "a"), event("[DONE]")) == ("a", "stop")


def test_an_empty_stop_reason_does_not_overwrite() -> None:
    assert said(start(), ending("max_tokens"), ending(None), STOP)[1] == "length"


def test_nothing_comes_after_message_stop() -> None:
    decoder = AnthropicDecoder(Failures("anthropic"))
    assert decoder.feed(words(0, "a") + END + words(1, "b"))[-1] == Finish("stop", "end_turn")
    assert decoder.feed(words(1, "c") + error()) == []
    assert decoder.close() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        start(),
        start() + words(0, "a"),
        start() + words(0, "a") + STOP[:-1],
        start() + words(0, "a") + ending()[:-1],
        start() + call(0, "a", "f", "{}"),
        start() + call_start(0, "a", "f") + arguments(0, '{"x"'),
        b"event: message_st",
        b"da",
        b": only comments\n\n",
        PING * 3,
    ],
)
def test_a_transport_that_ends_early_is_an_error_and_keeps_the_text(body: bytes) -> None:
    turn = turn_of(body)
    assert turn.finish_reason == "error"
    assert isinstance(turn.error, StreamTruncated)
    assert turn.text == ("a" if words(0, "a") in body else "")


# --- usage --------------------------------------------------------------------------------------


def test_input_is_all_that_was_read_the_cache_included() -> None:
    told = {
        "input_tokens": 9,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 1,
    }
    assert turn_of(start(told), ending(), STOP).usage == Usage(129, 5, 100)


def test_the_last_value_of_each_field_wins_and_nothing_is_summed() -> None:
    first = {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1}
    again = {"input_tokens": 12, "cache_read_input_tokens": None, "output_tokens": 3}
    body = start(first) + ending(None, again) + ending("end_turn", {"output_tokens": 8}) + STOP
    deltas = decode([body])
    told = [delta.usage for delta in deltas if isinstance(delta, UsageDelta)]
    assert told == [Usage(13, 1, 4), Usage(16, 3, 4), Usage(16, 8, 4)]


def test_the_same_usage_again_is_not_told_again() -> None:
    body = start() + ending() + ending() + STOP
    assert sum(isinstance(delta, UsageDelta) for delta in decode([body])) == 2


def test_thinking_tokens_are_a_part_of_the_output() -> None:
    told = {"output_tokens": 8, "output_tokens_details": {"thinking_tokens": 5}}
    assert turn_of(start(), ending("end_turn", told), STOP).usage == Usage(9, 8, 0, 5)


def test_no_usage_is_none() -> None:
    assert turn_of(words(0, "a"), STOP).usage is None


@pytest.mark.parametrize("bad", [-1, "7", True, 1.5, 1e300, [3], {"x": 1}])
def test_counts_that_are_none_are_ignored(bad: object) -> None:
    told = {"input_tokens": bad, "output_tokens": 3, "output_tokens_details": bad}
    assert turn_of(start(told), ending(None, {"output_tokens": 3}), STOP).usage == Usage(0, 3)
