"""Gemini's decoder by the rules of provider turns."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import InvalidResponse, ProviderUnavailable, RequestRejected, StreamTruncated
from headrace.messages import Opaque, Text, ToolCall
from headrace.models.deltas import (
    Finish,
    Note,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from headrace.providers.failures import Failures
from headrace.providers.gemini.decode import GeminiDecoder
from headrace.providers.gemini.parts import MADE_UP
from headrace.usage import Usage
from tests.providers.gemini.gemini_bodies import STOP, call, chunk, counts, event, finish, thought
from tests.providers.gemini.gemini_decoding import HOT, KEY, decode, error_of, opaque, said, turn_of

SIGNATURE = "CiQB0fVvnZ+/8w==\u00e9"


# --- text and thoughts --------------------------------------------------------------------------


def test_each_piece_of_text_is_a_delta_of_its_own() -> None:
    deltas = decode([chunk("a") + chunk("b", "c") + STOP])
    assert deltas == [TextDelta("a"), TextDelta("b"), TextDelta("c"), Finish("stop", "STOP")]


def test_text_comes_out_of_the_call_that_completes_it() -> None:
    decoder = GeminiDecoder(Failures("gemini"))
    assert decoder.feed(chunk("a")) == [TextDelta("a")]
    assert decoder.feed(chunk(thought("b"))) == [ReasoningDelta("b")]


def test_thoughts_are_reasoning_and_no_text() -> None:
    turn = turn_of(chunk(thought("h"), thought("m")), chunk(thought("."), "Hi"), STOP)
    assert (turn.reasoning, turn.text) == ("hm.", "Hi")


def test_thought_false_is_text() -> None:
    assert said(chunk({"text": "a", "thought": False}), STOP) == ("a", "stop")


@pytest.mark.parametrize(
    "body",
    [
        event({}),
        event({"candidates": []}),
        event({"candidates": None}),
        event({"candidates": [{}]}),
        event({"candidates": [{"content": None}]}),
        event({"candidates": [{"content": {}}]}),
        event({"candidates": [{"content": {"parts": None}}]}),
        event({"candidates": [{"content": {"parts": [None, 7, "x", {}]}}]}),
        event({"candidates": [{"safetyRatings": [{"category": "X"}], "index": 0}]}),
        event({"candidates": [{"groundingMetadata": {"webSearchQueries": ["q"]}}]}),
        event({"promptFeedback": {"safetyRatings": []}}),
        event({"promptFeedback": {"blockReason": None}}),
        event({"modelVersion": "m", "responseId": "r", "createTime": "t"}),
        chunk({"whatIsThis": {"deep": [1]}}, {"functionCall": None}, {"functionCall": {}}),
        chunk({"text": None}, {"text": 7}, {"text": ["a"]}),
        event("keep me alive", name="ping"),
        event({"type": "ping"}, name="ping"),
        event(""),
        event("null"),
        b": a comment\n\n",
        b"retry: 10\nid: 7\n\n",
    ],
)
def test_chunks_without_anything_in_them_are_harmless(body: bytes) -> None:
    assert said(body, chunk("a"), body, chunk("b"), body, STOP, body) == ("ab", "stop")


def test_only_candidate_0_makes_the_turn() -> None:
    no = {"content": {"parts": [{"text": "no"}, call("f")]}, "index": 1, "finishReason": "SAFETY"}
    yes = {"content": {"parts": [{"text": "yes"}]}, "index": 0}
    assert said(event({"candidates": [no]}), event({"candidates": [no, yes]}), STOP) == (
        "yes",
        "stop",
    )


def test_a_candidate_without_an_index_counts_by_its_place() -> None:
    two = [{"content": {"parts": [{"text": word}]}} for word in ("yes", "no")]
    assert said(event({"candidates": two}), STOP) == ("yes", "stop")
    odd = [{"content": {"parts": [{"text": word, "new": 1}]}} for word in ("yes", "no")]
    assert said(event({"candidates": odd}), STOP) == ("yes", "stop")


@pytest.mark.parametrize(
    "candidates",
    [
        {"content": {"parts": [{"text": "a"}]}},
        [{"content": {"parts": {"text": "a"}}}],
        [{"content": {"parts": [{"text": "a", "thought": None}]}}],
        [{"content": {"parts": [{"text": "a"}]}, "finishReason": {"why": 1}}],
        [{"content": {"parts": [{"text": "a"}]}, "finishReason": ""}],
        [{"content": {"parts": [{"text": "a"}]}}, 7],
    ],
)
def test_a_wrong_type_in_one_field_does_not_kill_the_stream(candidates: object) -> None:
    odd = event({"candidates": candidates, "usageMetadata": "x", "error": None})
    assert said(odd, STOP) == ("a", "stop")


def test_lone_surrogates_become_something_that_utf8_encodes() -> None:
    body = b'data: {"candidates":[{"content":{"parts":[{"text":"a\\ud83dz"}]}}]}\n\n'
    assert said(body, chunk("\U0001f30a"), STOP)[0] == "a\ufffdz\U0001f30a"


def test_an_image_is_left_out_and_said_so_once() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}
    deltas = decode([chunk(image, image, "a", {**image, "thoughtSignature": "s"}) + STOP])
    assert [type(delta) for delta in deltas] == [Note, TextDelta, Finish]
    assert isinstance(deltas[0], Note)
    assert "image/png" in deltas[0].message


# --- calls --------------------------------------------------------------------------------------


def test_a_call_comes_whole_with_its_own_id() -> None:
    deltas = decode([chunk(call("f", {"x": [1.0, None]}, id="a1")) + STOP])
    assert deltas[0] == ToolCallDelta(0, "a1", "f", '{"x":[1.0,null]}')
    assert deltas[1] == Finish("tool_calls", "STOP")


def test_calls_without_ids_get_some_that_are_unique_within_the_turn() -> None:
    turn = turn_of(
        chunk(call("f", {"a": 1}), call("g", id=f"{MADE_UP}call_2")),
        chunk(call("f", {"a": 1}), call("h", id="")),
        STOP,
    )
    assert [made.name for made in turn.tool_calls] == ["f", "g", "f", "h"]
    assert len({made.id for made in turn.tool_calls}) == 4
    assert turn.tool_calls[0].id.startswith(MADE_UP)


def test_an_id_that_comes_twice_stays_the_firsts() -> None:
    turn = turn_of(chunk(call("f", id="a"), call("g", id="a")), STOP)
    first, second = turn.tool_calls
    assert (first.id, first.name, second.name) == ("a", "f", "g")
    assert second.id != "a"


@pytest.mark.parametrize(
    ("args", "arguments"),
    [
        (None, "{}"),
        ({}, "{}"),
        ("", "{}"),
        ({"x": {"y": [True, "é"]}}, '{"x":{"y":[true,"é"]}}'),
        ('{"x": 1', '{"x": 1'),
        ('{"x": 1}', '{"x": 1}'),
        ([1], "[1]"),
        ({"x": 10**30}, f'{{"x":{10**30}}}'),
    ],
)
def test_arguments_are_taken_as_they_are(args: object, arguments: str) -> None:
    (made,) = turn_of(chunk(call("f", args)), STOP).tool_calls
    assert made.arguments == arguments


def test_arguments_that_are_no_json_do_not_become_json() -> None:
    body = b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":'
    (made,) = turn_of(body + b'{"x":NaN}}}]}}]}\n\n', STOP).tool_calls
    assert made.arguments == '{"x":NaN}'


@pytest.mark.parametrize("reason", ["STOP", "OTHER", "IS_NEW", "FINISH_REASON_UNSPECIFIED"])
def test_a_normal_end_with_a_call_is_tool_calls(reason: str) -> None:
    assert turn_of(chunk(call("f")), finish(reason)).finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("raw", "reason"), [("MAX_TOKENS", "length"), ("SAFETY", "content_filter")]
)
def test_a_cut_turn_with_a_call_keeps_its_reason(raw: str, reason: str) -> None:
    assert turn_of(chunk(call("f")), finish(raw)).finish_reason == reason


@pytest.mark.parametrize(
    "part",
    [
        {"executableCode": {"language": "PYTHON", "code": "print(1)", "id": "x"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1", "id": "x"}},
        {"toolCall": {"id": "x", "toolType": "GOOGLE_SEARCH_WEB", "args": {}}},
        {"toolResponse": {"id": "x", "toolType": "GOOGLE_SEARCH_WEB", "response": {}}},
    ],
)
def test_server_side_tools_are_no_calls_and_go_back_as_they_came(part: dict[str, Any]) -> None:
    turn = turn_of(chunk(part), chunk("a"), STOP)
    assert (turn.text, turn.tool_calls, turn.finish_reason) == ("a", (), "stop")
    assert opaque(turn) == [part]


@pytest.mark.parametrize("more", [{"willContinue": True}, {"partialArgs": [{"jsonPath": "$.x"}]}])
def test_arguments_in_pieces_are_refused_and_never_executed(more: dict[str, Any]) -> None:
    turn = turn_of(chunk("a", {"functionCall": {"name": "f", **more}}), STOP)
    assert isinstance(turn.error, InvalidResponse)
    assert (turn.text, turn.tool_calls) == ("a", ())


# --- signatures ---------------------------------------------------------------------------------


def test_a_calls_signature_is_kept_right_behind_it() -> None:
    signed = call("f", {"a": 1}, id="x", thoughtSignature=SIGNATURE)
    turn = turn_of(chunk(signed, call("g", id="y")), STOP)
    kinds = [type(part) for part in turn.message.content]
    assert kinds == [ToolCall, Opaque, ToolCall]
    assert opaque(turn) == [signed]


def test_signatures_on_text_on_thoughts_and_on_nothing() -> None:
    hm = thought("hm", thoughtSignature="one")
    text = {"text": "b", "thoughtSignature": SIGNATURE}
    empty = {"text": "", "thoughtSignature": "three"}
    turn = turn_of(chunk(hm), chunk("a"), chunk(text), chunk(empty, finish="STOP"))
    assert (turn.reasoning, turn.text, turn.finish_reason) == ("hm", "ab", "stop")
    assert opaque(turn) == [hm, text, empty]
    assert isinstance(turn.message.content[2], Text)


@pytest.mark.parametrize("signature", [None, "", 7])
def test_what_is_no_signature_is_not_kept(signature: object) -> None:
    assert opaque(turn_of(chunk({"text": "a", "thoughtSignature": signature}), STOP)) == []


# --- the end ------------------------------------------------------------------------------------

FILTERED = (
    "SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY IMAGE_RECITATION "
    "IMAGE_PROHIBITED_CONTENT MODEL_ARMOR ESCALATION"
)
PLAIN = "STOP OTHER FINISH_REASON_UNSPECIFIED NO_IMAGE IMAGE_OTHER WHATEVER_COMES_NEXT stop"
BROKEN = (
    "MALFORMED_FUNCTION_CALL MALFORMED_RESPONSE MALFORMED_NEW_THING UNEXPECTED_TOOL_CALL "
    "TOO_MANY_TOOL_CALLS"
)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        *((raw, "content_filter") for raw in FILTERED.split()),
        *((raw, "stop") for raw in PLAIN.split()),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
    ],
)
def test_finish_reasons(raw: str, reason: str) -> None:
    deltas = decode([chunk("a") + finish(raw)])
    assert deltas == [TextDelta("a"), Finish(reason, raw)]  # type: ignore[arg-type]


@pytest.mark.parametrize("raw", BROKEN.split())
def test_a_malformed_call_is_an_error(raw: str) -> None:
    body = (chunk("a"), chunk(call("f")), finish(raw))
    error = error_of(*body)
    assert isinstance(error, ProviderUnavailable)
    assert error.retryable
    assert raw in error.message
    assert turn_of(*body).text == "a"


def test_a_malformed_calls_words_are_told() -> None:
    candidate = {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": f"Bad: f( {KEY}"}
    message = error_of(event({"candidates": [candidate]})).message
    assert "Bad: f( ****" in message


def test_a_missing_signature_is_not_asked_for_again() -> None:
    error = error_of(finish("MISSING_THOUGHT_SIGNATURE"))
    assert isinstance(error, RequestRejected)
    assert not error.retryable


@pytest.mark.parametrize(
    ("reasons", "reason"),
    [
        (("STOP", "MAX_TOKENS"), "length"),
        (("STOP", "STOP"), "stop"),
        (("SAFETY", "STOP"), "content_filter"),
        (("FINISH_REASON_UNSPECIFIED", "MAX_TOKENS"), "length"),
    ],
)
def test_a_reason_in_every_chunk(reasons: tuple[str, ...], reason: str) -> None:
    body = b"".join(chunk(word, finish=word) for word in reasons)
    assert said(body) == ("".join(reasons), reason)


def test_what_comes_after_the_finish_reason_counts() -> None:
    assert turn_of(chunk("a", finish="STOP"), event(counts(5, 3))).usage == Usage(5, 3)


@pytest.mark.parametrize(
    "reason", ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "IS_NEW"]
)
def test_a_blocked_prompt_is_a_turn_without_candidates(reason: str) -> None:
    deltas = decode([event({"promptFeedback": {"blockReason": reason}, **counts(9)})])
    assert deltas == [UsageDelta(Usage(9, 0)), Finish("content_filter", reason)]


def test_the_words_about_a_filter_reach_the_caller() -> None:
    feedback = {"blockReason": "OTHER", "blockReasonMessage": f"Not {KEY}\nthis."}
    note, _ = decode([event({"promptFeedback": feedback})])
    assert note == Note("content_filter", "Not **** this.")
    candidate = {"finishReason": "SAFETY", "finishMessage": "Blocked."}
    note, _ = decode([event({"candidates": [candidate]})])
    assert note == Note("content_filter", "Blocked.")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        chunk("a"),
        chunk("a", **counts(5, 1)),
        chunk("a") + b'data: {"candidates":[{"content":{"parts":[{"text":"b',
        chunk("a") + b'data: {"candidates":[{"finishReason":"STOP"}]}\n',
        b'data: {"can',
        b"da",
        b": only comments\n\n",
        chunk(call("f", {"a": 1})),
        event(counts(5)),
    ],
)
def test_a_transport_that_ends_early_is_an_error_and_keeps_the_text(body: bytes) -> None:
    turn = turn_of(body)
    assert turn.finish_reason == "error"
    assert isinstance(turn.error, StreamTruncated)
    assert turn.text == ("a" if body.startswith(chunk("a")[:60]) else "")


def test_nothing_comes_after_the_end() -> None:
    decoder = GeminiDecoder(Failures("gemini"))
    decoder.feed(chunk("a", finish="STOP"))
    assert decoder.close() == [Finish("stop", "STOP")]
    assert decoder.feed(chunk("b") + event(HOT)) == []
    assert decoder.close() == []


def test_the_end_mark_of_another_wire_is_an_end_too() -> None:
    assert said(chunk("a"), event("[DONE]"), chunk("b")) == ("a", "stop")


# --- usage --------------------------------------------------------------------------------------


def test_usage_is_cumulative_never_summed() -> None:
    def told(pieces: list[bytes]) -> list[Usage]:
        return [delta.usage for delta in decode(pieces) if isinstance(delta, UsageDelta)]

    pieces = [*(chunk("a", **counts(9, n)) for n in (1, 2, 2, 3)), STOP]
    assert told(pieces) == [Usage(9, 1), Usage(9, 2), Usage(9, 3)]
    assert told([b"".join(pieces)]) == [Usage(9, 3)]  # once a read


def test_thoughts_are_output_and_tool_results_are_input() -> None:
    told = counts(
        50, 3, thoughtsTokenCount=20, cachedContentTokenCount=40, toolUsePromptTokenCount=7
    )
    assert turn_of(finish(**told)).usage == Usage(57, 23, 40, 20)


def test_the_last_value_of_each_field_wins() -> None:
    body = (
        chunk("a", **counts(9, thoughtsTokenCount=4)),
        chunk("b", **counts(9, 2)),
        chunk("c", usageMetadata={"candidatesTokenCount": 5, "promptTokenCount": None}),
        STOP,
    )
    assert turn_of(*body).usage == Usage(9, 9, 0, 4)


@pytest.mark.parametrize("bad", [-1, "7", True, 1.5, 1e300, [3], {"x": 1}, 10**400])
def test_counts_that_are_none_are_ignored(bad: object) -> None:
    told = {"promptTokenCount": bad, "candidatesTokenCount": 3}
    assert turn_of(chunk("a", usageMetadata=told), STOP).usage == Usage(0, 3)


def test_no_usage_is_none() -> None:
    assert turn_of(chunk("a", usageMetadata=None), STOP).usage is None
    assert turn_of(chunk("a", usageMetadata={}), STOP).usage is None
