"""The Chat Completions decoder by the rules of provider turns: text, reasons, usage, errors."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import (
    AuthenticationFailed,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
    StreamTruncated,
)
from headrace.messages import Opaque
from headrace.models.assembler import Turn, assemble
from headrace.models.deltas import Delta, Failure, Finish, TextDelta, UsageDelta
from headrace.providers.failures import Failures
from headrace.providers.openai_chat.decode import ChatDecoder
from headrace.providers.secret import Secret
from headrace.testing import chunkings
from headrace.usage import Usage
from headrace.wire.sse_decoder import SSEDecoder
from tests.providers.chat_bodies import (
    CALLED,
    DONE,
    STOP,
    call,
    calls,
    chunk,
    event,
    finish,
)

KEY = "canary-0123456789abcdef"


def decoder(**bounds: int) -> ChatDecoder:
    return ChatDecoder(Failures("acme", Secret(KEY)), sse=SSEDecoder(**bounds))


def decode(pieces: list[bytes], **bounds: int) -> list[Delta]:
    chat = decoder(**bounds)
    fed = list(chain.from_iterable(chat.feed(piece) for piece in pieces))
    return fed + chat.close()


def turn_of(*body: bytes) -> Turn:
    return assemble(decode([b"".join(body)]))


def error_of(*body: bytes) -> ProviderError:
    turn = turn_of(*body)
    assert turn.finish_reason == "error"
    assert turn.error is not None
    return turn.error


def said(*body: bytes) -> tuple[str, str]:
    turn = turn_of(*body)
    assert turn.error is None
    return turn.text, turn.finish_reason


# --- text ---------------------------------------------------------------------------------------


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


# --- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("eos", "stop"),
        ("eos_token", "stop"),
        ("stop_sequence", "stop"),
        ("end_turn", "stop"),
        ("whatever_comes_next", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("model_length", "length"),
        ("model_context_window_exceeded", "length"),
        ("content_filter", "content_filter"),
        ("content_filter: SAFETY", "content_filter"),
        ("SAFETY", "content_filter"),
    ],
)
def test_finish_reasons(raw: str, reason: str) -> None:
    deltas = decode([chunk("a") + finish(raw) + DONE])
    assert deltas[-1] == Finish(reason, raw)  # type: ignore[arg-type]


@pytest.mark.parametrize("raw", ["tool_calls", "function_call", "stop", "unheard_of"])
def test_a_normal_end_with_a_call_is_tool_calls(raw: str) -> None:
    turn = turn_of(calls(call(0, "a", "f", "{}")), finish(raw), DONE)
    assert turn.finish_reason == "tool_calls"


@pytest.mark.parametrize("raw", ["length", "content_filter"])
def test_a_cut_turn_with_a_call_keeps_its_reason(raw: str) -> None:
    assert turn_of(calls(call(0, "a", "f", "{")), finish(raw), DONE).finish_reason == raw


def test_a_finish_reason_without_done_is_a_whole_turn() -> None:
    assert said(chunk("a"), finish("length")) == ("a", "length")


def test_done_without_a_finish_reason_is_a_stop() -> None:
    assert said(chunk("a"), DONE) == ("a", "stop")


def test_done_may_have_blanks_around_it() -> None:
    assert said(chunk("a"), b"data:  [DONE] \r\n\r\n") == ("a", "stop")


def test_done_as_a_text_of_the_model_is_text() -> None:
    assert said(chunk("[DONE]"), chunk("."), STOP) == ("[DONE].", "stop")


def test_nothing_comes_after_done() -> None:
    chat = decoder()
    assert chat.feed(chunk("a") + STOP + chunk("b"))[-1] == Finish("stop", "stop")
    assert chat.feed(chunk("c") + event({"error": "late"})) == []
    assert chat.close() == []


def test_empty_finish_reasons_are_none() -> None:
    assert said(chunk("a", ""), chunk("b", "length"), chunk({}, None), DONE) == ("ab", "length")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        chunk("a"),
        chunk("a") + b'data: {"choices":[{"delta":{"content":"b',
        chunk("a") + b'data: {"choices":[{"delta":{"content":"b"}}]}\n',
        b'data: {"cho',
        b"da",
        b": only comments\n\n",
        calls(call(0, "a", "f", "{")),
    ],
)
def test_a_transport_that_ends_early_is_an_error_and_keeps_the_text(body: bytes) -> None:
    turn = turn_of(body)
    assert turn.finish_reason == "error"
    assert isinstance(turn.error, StreamTruncated)
    assert turn.text == ("a" if body.startswith(chunk("a")) else "")


# --- usage --------------------------------------------------------------------------------------


def counts(given: int, output: int, **more: object) -> dict[str, object]:
    return {"prompt_tokens": given, "completion_tokens": output, **more}


def test_usage_comes_after_the_finish_reason() -> None:
    body = (chunk("a"), finish(), event({"choices": [], "usage": counts(9, 3)}), DONE)
    assert turn_of(*body).usage == Usage(9, 3)


def test_usage_without_choices_counts() -> None:
    assert turn_of(finish(), event({"usage": counts(9, 3)}), DONE).usage == Usage(9, 3)


def test_no_usage_is_none() -> None:
    assert turn_of(chunk("a", usage=None), STOP).usage is None
    assert turn_of(chunk("a", usage={}), STOP).usage is None


def test_details_are_parts_of_the_sums() -> None:
    told = counts(
        9,
        8,
        prompt_tokens_details={"cached_tokens": 4},
        completion_tokens_details={"reasoning_tokens": 5},
    )
    assert turn_of(finish(), event({"choices": [], "usage": told}), DONE).usage == Usage(9, 8, 4, 5)


def test_reasoning_counted_beside_the_output_is_added_when_the_total_says_so() -> None:
    told = counts(9, 3, total_tokens=17, completion_tokens_details={"reasoning_tokens": 5})
    assert turn_of(finish(), event({"choices": [], "usage": told}), DONE).usage == Usage(9, 8, 0, 5)


def test_repeated_usage_is_cumulative_never_summed() -> None:
    body = [chunk("a", usage=counts(9, n)) for n in (1, 2, 3)]
    deltas = decode([b"".join(body) + STOP])
    told = [delta.usage for delta in deltas if isinstance(delta, UsageDelta)]
    assert told == [Usage(9, 1), Usage(9, 2), Usage(9, 3)]


def test_the_last_value_of_each_field_wins() -> None:
    body = (
        chunk("a", usage=counts(9, 1)),
        chunk("b", usage={"completion_tokens": 5, "prompt_tokens": None}),
        STOP,
    )
    assert turn_of(*body).usage == Usage(9, 5)


@pytest.mark.parametrize(
    "value",
    [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": counts(9, 3)}]},
        {"choices": [{"index": 0, "delta": {}}], "x_groq": {"usage": counts(9, 3)}},
        {"choices": [], "x_groq": {"usage": counts(9, 3)}, "usage": counts(9, 3)},
        {"choices": [], "usage": {"input_tokens": 9, "output_tokens": 3}},
    ],
)
def test_usage_told_in_other_places_counts_once(value: dict[str, object]) -> None:
    body = event(value)
    assert turn_of(body, finish(), body, DONE).usage == Usage(9, 3)


@pytest.mark.parametrize("cached", ["prompt_cache_hit_tokens", "cached_tokens"])
def test_cached_tokens_under_other_names(cached: str) -> None:
    assert turn_of(chunk("a", usage=counts(9, 3, **{cached: 4})), STOP).usage == Usage(9, 3, 4)


@pytest.mark.parametrize("bad", [-1, "7", True, 1.5, 1e300, [3], {"x": 1}])
def test_counts_that_are_none_are_ignored(bad: object) -> None:
    told = {"prompt_tokens": bad, "completion_tokens": 3}
    assert turn_of(chunk("a", usage=told), STOP).usage == Usage(0, 3)


# --- errors -------------------------------------------------------------------------------------

SHAPES: list[tuple[bytes, str]] = [
    (event({"error": {"message": "Too hot", "type": "x"}}), "Too hot"),
    (event({"error": "Too hot"}), "Too hot"),
    (event({"error": ["Too hot", "and dry"]}), "Too hot; and dry"),
    (event({"error": [{"message": "Too hot"}]}), "Too hot"),
    (event([{"error": {"message": "Too hot"}}]), "Too hot"),
    (event({"error": {"error": {"message": "Too hot"}}}), "Too hot"),
    (event({"error": {"code": 7, "metadata": {}, "msg": "Too hot"}}), "Too hot"),
    (event({"object": "error", "message": "Too hot", "code": 50001}), "Too hot"),
    (event({"type": "error", "message": "Too hot"}), "Too hot"),
    (event({"message": "Too hot", "code": "hot"}), "Too hot"),
    (event({"detail": "Too hot"}), "Too hot"),
    (event({"detail": [{"loc": ["body", "x"], "msg": "Too hot"}]}, name="error"), "Too hot"),
    (event({"message": "Too hot"}, name="error"), "Too hot"),
    (event({"error": {"message": "Too hot"}}, name="error"), "Too hot"),
    (event("Too hot", name="error"), "Too hot"),
    (event('"Too hot"', name="error"), "Too hot"),
    (chunk("", "error", error={"message": "Too hot", "code": 502}), "Too hot"),
    (chunk("", None, error="Too hot"), "Too hot"),
    (event({"choices": [], "error": {"message": "Too hot"}}), "Too hot"),
    (event({"choices": "none", "error": {"message": "Too hot"}}), "Too hot"),
    (event({"choices": [], "x_groq": {"error": "Too hot"}}), "Too hot"),
    (finish("error") + event({"error": {"message": "Too hot"}}), "Too hot"),
]


@pytest.mark.parametrize(("body", "words"), SHAPES)
def test_an_error_in_any_shape_keeps_what_came_before_it(body: bytes, words: str) -> None:
    deltas = decode([chunk({"reasoning": "hm"}) + chunk("a") + body + chunk("never") + DONE])
    turn = assemble(deltas)
    assert (turn.text, turn.reasoning, turn.finish_reason) == ("a", "hm", "error")
    assert sum(isinstance(delta, Failure | Finish) for delta in deltas) == 1
    assert turn.error is not None
    assert words in turn.error.message
    assert turn.error.message.startswith("acme: ")


def test_text_beside_an_error_is_kept() -> None:
    assert turn_of(chunk("last words", error="Too hot")).text == "last words"


def test_an_error_in_a_body_that_is_no_event_stream_is_found() -> None:
    assert "Too hot" in error_of(b'{"error": {"message": "Too hot"}}').message
    assert "Too hot" in error_of(b'\n{"message": "Too hot"}\n').message


@pytest.mark.parametrize("empty", [None, "", {}, [], False])
def test_an_empty_error_is_none(empty: object) -> None:
    assert said(chunk("a", error=empty), STOP) == ("a", "stop")


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        ({"code": 429, "message": "m"}, RateLimited, True),
        ({"code": "429", "message": "m"}, RateLimited, True),
        ({"type": "insufficient_quota", "message": "m"}, RateLimited, False),
        ({"code": "rate_limit_exceeded", "message": "m"}, RateLimited, True),
        ({"code": "invalid_api_key", "message": "m"}, AuthenticationFailed, False),
        ({"type": "invalid_request_error", "message": "m"}, RequestRejected, False),
        ({"code": "context_length_exceeded", "message": "m"}, RequestRejected, False),
        ({"type": "server_error", "message": "m"}, ProviderUnavailable, True),
        ({"code": 502, "message": "m"}, ProviderUnavailable, True),
        ("m", ProviderUnavailable, True),
        ({"code": 10**30, "message": "m"}, ProviderUnavailable, True),
    ],
)
def test_an_errors_code_says_what_kind_it_is(
    error: object, kind: type[ProviderError], retryable: bool
) -> None:
    found = error_of(event({"error": error}))
    assert type(found) is kind
    assert found.retryable is retryable


def test_line_ends_and_controls_in_an_error_are_harmless() -> None:
    message = error_of(event({"error": {"message": "a\r\nb\u2028c\x1b[31md\x00e"}})).message
    assert message.endswith("a b c [31md e")
    assert message.isprintable()


def test_an_html_error_becomes_its_title() -> None:
    page = "<html><head><title>502 Bad\nGateway</title></head><body><h1>x</h1></body></html>"
    message = error_of(event({"error": {"message": page}})).message
    assert message.endswith("502 Bad Gateway")


def test_secrets_in_an_error_are_masked() -> None:
    words = f"key {KEY} and Bearer abcdef012345 and sk-proj-ABCDEF1234 are wrong"
    error = error_of(event({"error": {"message": words}}))
    assert "key **** and Bearer **** and **** are wrong" in error.message
    assert KEY not in repr(error)


@pytest.mark.parametrize("raw", ["error", "insufficient_system_resource"])
def test_a_finish_reason_that_tells_of_trouble_is_an_error(raw: str) -> None:
    assert raw in error_of(chunk("a"), finish(raw), DONE).message


def test_geminis_malformed_call_is_an_error() -> None:
    raw = "function_call_filter: MALFORMED_FUNCTION_CALL"
    assert "MALFORMED_FUNCTION_CALL" in error_of(finish(raw), DONE).message


@pytest.mark.parametrize(
    "data",
    ["{", "garbage", '{"choices":[', "7", '"words"', "[1]", "[" * 100_000, "[DONE", "1" * 9999],
)
def test_garbage_is_an_error_never_skipped(data: str) -> None:
    turn = turn_of(chunk("a"), event(data), chunk("b"), STOP)
    assert turn.text == "a"
    assert isinstance(turn.error, InvalidResponse)
    assert len(turn.error.message) < 300


@pytest.mark.parametrize("body", [b"\x00\xff\xfe garbage", b"<h1>Hello</h1>", b"plain words\n\n"])
def test_a_body_that_is_no_event_stream_says_so(body: bytes) -> None:
    error = error_of(body)
    assert isinstance(error, InvalidResponse)
    assert "no event stream" in error.message
    assert "<" not in error.message


def test_an_endless_line_names_the_limit_and_keeps_the_text() -> None:
    turn = assemble(decode([chunk("a"), b"data: " + b"x" * 2000, b"x" * 2000], max_line=3000))
    assert turn.text == "a"
    assert isinstance(turn.error, InvalidResponse)
    assert "3000 bytes" in turn.error.message


def test_an_endless_line_that_ends_the_stream_is_found_at_the_close() -> None:
    turn = assemble(decode([chunk("a") + b"data: " + b"x" * 4000], max_line=3000))
    assert turn.text == "a"
    assert isinstance(turn.error, InvalidResponse)


# --- any cuts, any bytes ------------------------------------------------------------------------

BODIES = [
    chunk("Hel") + chunk("lo \U0001f30a") + STOP,
    chunk({"reasoning": "hm"}) + chunk("é") + finish("length") + event({"usage": counts(1, 2)}),
    calls(call(0, "a", "f", '{"x":')) + calls(call(0, None, None, "1}")) + CALLED,
    calls(call(0, "", None, '{"x":')) + calls(call(0, "a", "f", "1}")) + CALLED,
    chunk("a") + event({"error": {"message": "Too hot"}}) + chunk("b"),
    chunk("a") + b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n',
    chunk("a").replace(b"\n", b"\r\n") + STOP.replace(b"\n", b"\r"),
    b"\xef\xbb\xbf" + chunk("a") + event("garbage"),
    b'{"error": "Too hot"}',
    b"nothing of the kind",
]


def comparable(deltas: list[Delta]) -> list[object]:
    return [str(d.error) if isinstance(d, Failure) else d for d in deltas]


@pytest.mark.parametrize("body", BODIES)
def test_the_result_does_not_depend_on_the_cuts(body: bytes) -> None:
    expected = comparable(decode([body]))
    cuttings = chain(
        chunkings.bytewise(body),
        chunkings.every_cut(body),
        *(chunkings.random_cuts(body, seed) for seed in range(20)),
    )
    for pieces in cuttings:
        assert comparable(decode(pieces)) == expected


def ends_well(pieces: list[bytes]) -> None:
    deltas = decode(pieces, max_line=4096, max_event=8192)
    ends = [delta for delta in deltas if isinstance(delta, Failure | Finish)]
    assert ends == deltas[-1:]
    turn = assemble(deltas)
    turn.text.encode()
    turn.reasoning.encode()
    for made in turn.tool_calls:
        f"{made.id}{made.name}{made.arguments}".encode()
    if turn.error is not None:
        str(turn.error).encode()


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_arbitrary_bytes_never_raise_and_always_end(pieces: list[bytes]) -> None:
    ends_well(pieces)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=3,
)
names = st.sampled_from(
    "choices delta index content finish_reason usage error tool_calls function name arguments id "
    "type message reasoning reasoning_details refusal function_call x_groq prompt_tokens "
    "completion_tokens text signature extra_content object detail code".split()
)
shaped = st.recursive(
    json_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(names, shaped, max_size=4), max_size=3), st.booleans())
def test_arbitrary_json_never_raises_and_always_ends(values: list[Any], done: bool) -> None:
    ends_well([b"".join(map(event, values)) + (DONE if done else b"")])


@given(st.lists(st.dictionaries(names, shaped, max_size=4), max_size=3), st.booleans())
def test_arbitrary_deltas_never_raise_and_always_end(values: list[Any], done: bool) -> None:
    ends_well([b"".join(map(chunk, values)) + (STOP if done else b"")])


@given(st.lists(st.lists(st.dictionaries(names, shaped, max_size=4), max_size=2), max_size=3))
def test_arbitrary_calls_never_raise_and_always_end(values: list[list[Any]]) -> None:
    ends_well([b"".join(calls(*entries) for entries in values) + CALLED])
