"""The Chat Completions decoder: how a turn ends, and usage."""

from __future__ import annotations

import pytest

from headrace.errors import StreamTruncated
from headrace.models.deltas import Finish, UsageDelta
from headrace.usage import Usage
from tests.providers.chat_bodies import DONE, STOP, call, calls, chunk, event, finish
from tests.providers.openai_chat.chat_decoding import counts, decode, decoder, said, turn_of


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


# --- usage ---------------------------------------------------------------------------------------


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
