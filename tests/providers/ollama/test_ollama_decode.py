"""The decoder of Ollama's lines by the rules of provider turns."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import (
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    StreamTruncated,
)
from headrace.models.assembler import Turn, assemble
from headrace.models.deltas import Delta, Failure, Finish, TextDelta, UsageDelta
from headrace.providers.failures import Failures
from headrace.providers.ollama.decode import OllamaDecoder
from headrace.providers.secret import Secret
from headrace.testing import chunkings
from headrace.usage import Usage
from headrace.wire.ndjson_decoder import NDJSONDecoder
from tests.providers.ollama.ollama_lines import STOP, call, calls, done, generated, line, say

KEY = "canary-0123456789abcdef"


def decode(pieces: list[bytes], **bounds: int) -> list[Delta]:
    decoder = OllamaDecoder(Failures("ollama", Secret(KEY)), lines=NDJSONDecoder(**bounds))
    fed = list(chain.from_iterable(decoder.feed(piece) for piece in pieces))
    return fed + decoder.close()


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


# --- text and reasoning -------------------------------------------------------------------------


def test_each_piece_of_text_is_a_delta_of_its_own() -> None:
    deltas = decode([say("a") + say("") + say("b") + done()])
    assert deltas == [TextDelta("a"), TextDelta("b"), Finish("stop", "stop")]


def test_a_generated_answer_is_read_too() -> None:
    turn = turn_of(
        generated("", thinking="hm"),
        generated("Hel"),
        generated("lo"),
        line(response="", done=True),
    )
    assert (turn.text, turn.reasoning, turn.finish_reason) == ("Hello", "hm", "stop")


def test_thinking_is_reasoning() -> None:
    turn = turn_of(say("", thinking="h"), say("", thinking="m"), say("a", thinking=""), STOP)
    assert (turn.reasoning, turn.text) == ("hm", "a")


def test_words_on_the_last_line_count() -> None:
    assert said(say("a"), line(message={"content": "b"}, done=True)) == ("ab", "stop")


@pytest.mark.parametrize(
    "body",
    [
        b"\n",
        b"  \r\n",
        b"null\n",
        b"{}\n",
        line(status="pulling manifest"),
        line(message=None, done=False),
        line(message={"role": "assistant"}, done=False),
        line(message={"role": "assistant", "content": None, "images": None}, done=False),
        line(model="m", logprobs=[{"token": "x"}]),
    ],
)
def test_lines_without_anything_in_them_are_harmless(body: bytes) -> None:
    assert said(body, say("a"), body, say("b"), body, STOP) == ("ab", "stop")


@pytest.mark.parametrize(
    "message",
    [
        {"content": 7},
        {"content": ["a"]},
        {"thinking": {"x": 1}},
        {"content": "", "tool_calls": 7},
        {"content": "", "tool_calls": [7, None, "x", {}, {"function": "f"}]},
    ],
)
def test_a_wrong_type_in_one_field_does_not_kill_the_stream(message: dict[str, Any]) -> None:
    assert said(line(message=message, done=False), say("."), STOP) == (".", "stop")


def test_a_wrong_type_around_the_message_does_not_either() -> None:
    odd = line(message=[1], done="no", done_reason=3, eval_count="x")
    assert said(odd, say("a", thinking=[]), done(reason=None)) == ("a", "stop")


def test_crlf_a_mark_of_byte_order_and_a_last_line_without_lf() -> None:
    body = b"\xef\xbb\xbf" + say("a").replace(b"\n", b"\r\n") + STOP.rstrip(b"\n")
    assert said(body) == ("a", "stop")


def test_only_lf_ends_a_line() -> None:
    text = "a\u2028b\u0085c\x0bd"
    raw = f'{{"message":{{"content":"{text}"}},"done":false}}\n'.encode()
    assert said(raw, STOP) == (text, "stop")


def test_bad_bytes_and_lone_surrogates_become_something_that_utf8_encodes() -> None:
    bad = b'{"message":{"content":"a\xffb"},"done":false}\n'
    lone = b'{"message":{"content":"c\\ud83dd"},"done":false}\n'
    text, _ = said(bad, lone, STOP)
    assert text == "a\ufffdbc\ufffdd"
    assert text.encode()


# --- tool calls ---------------------------------------------------------------------------------


def made(turn: Turn) -> list[tuple[str, Any]]:
    return [(one.name, json.loads(one.arguments)) for one in turn.tool_calls]


def test_calls_have_objects_for_arguments_and_made_up_ids() -> None:
    turn = turn_of(calls(call("add", {"x": 1}), call("add", {"x": 1})), calls(call("f", {})), STOP)
    assert made(turn) == [("add", {"x": 1}), ("add", {"x": 1}), ("f", {})]
    assert len({one.id for one in turn.tool_calls}) == 3
    assert turn.finish_reason == "tool_calls"


@pytest.mark.parametrize("arguments", [None, "", {}])
def test_no_arguments_are_an_empty_object(arguments: object) -> None:
    assert turn_of(calls(call("f", arguments)), STOP).tool_calls[0].arguments == "{}"


def test_arguments_that_are_text_stay_as_they_are() -> None:
    turn = turn_of(calls(call("f", '{"x":1}'), call("g", "not json")), STOP)
    assert [one.arguments for one in turn.tool_calls] == ['{"x":1}', "not json"]


def test_large_numbers_in_arguments_keep_their_digits() -> None:
    turn = turn_of(calls(call("f", {"x": 2**70})), STOP)
    assert turn.tool_calls[0].arguments == f'{{"x":{2**70}}}'


def test_ids_that_are_told_are_kept_and_stay_unique() -> None:
    body = calls(call("f", {}, id="call_1"), call("g", {}), call("h", {}, id="call_1"))
    ids = [one.id for one in turn_of(body, STOP).tool_calls]
    assert ids[0] == "call_1"
    assert len(set(ids)) == 3


def test_text_beside_a_call_is_kept() -> None:
    turn = turn_of(say("Look: ", tool_calls=[call("f", {})]), STOP)
    assert (turn.text, turn.finish_reason) == ("Look: ", "tool_calls")


# --- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("LENGTH", "length"),
        ("load", "stop"),
        ("unload", "stop"),
        ("whatever_comes_next", "stop"),
    ],
)
def test_done_reasons(raw: str, reason: str) -> None:
    assert decode([say("a") + done(raw)])[-1] == Finish(reason, raw)  # type: ignore[arg-type]


def test_done_without_a_reason_is_a_stop() -> None:
    assert said(say("a"), line(done=True)) == ("a", "stop")


def test_a_reason_without_done_is_a_whole_turn() -> None:
    assert said(say("a"), line(message={"content": ""}, done_reason="length")) == ("a", "length")


def test_a_cut_turn_with_a_call_keeps_its_reason() -> None:
    assert turn_of(calls(call("f", {})), done("length")).finish_reason == "length"


def test_nothing_comes_after_done() -> None:
    decoder = OllamaDecoder(Failures("ollama"))
    assert decoder.feed(say("a") + done() + say("b"))[-1] == Finish("stop", "stop")
    assert decoder.feed(line(error="late")) == []
    assert decoder.close() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        say("a"),
        say("a") + b'{"message":{"content":"b',
        say("a") + b"{",
        calls(call("f", {})),
    ],
)
def test_a_transport_that_ends_early_is_an_error_and_keeps_the_text(body: bytes) -> None:
    turn = turn_of(body)
    assert turn.finish_reason == "error"
    assert isinstance(turn.error, StreamTruncated)
    assert turn.text == ("a" if body.startswith(say("a")) else "")


# --- usage --------------------------------------------------------------------------------------


def test_counts_come_with_the_end() -> None:
    assert turn_of(say("a"), STOP).usage == Usage(9, 3)


def test_counts_that_a_line_leaves_out_stay() -> None:
    body = (line(message={}, done=False, prompt_eval_count=9), done("stop", eval_count=3))
    deltas = decode([b"".join(body)])
    assert [d.usage for d in deltas if isinstance(d, UsageDelta)] == [Usage(9, 0), Usage(9, 3)]


def test_no_counts_are_none() -> None:
    assert turn_of(say("a"), done()).usage is None


@pytest.mark.parametrize("bad", [-1, "7", True, 1.5, 1e300, [3], None])
def test_counts_that_are_none_are_ignored(bad: object) -> None:
    assert turn_of(done("stop", prompt_eval_count=bad, eval_count=3)).usage == Usage(0, 3)


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        line(error="Too hot"),
        line(error={"message": "Too hot", "code": 500}),
        line(error=["Too hot"]),
        line(error={"error": {"message": "Too hot"}}),
        line(message="Too hot"),
        line(detail="Too hot"),
        line(type="error", message="Too hot"),
        line(error="Too hot", done=True),
        b'[{"error":"Too hot"}]\n',
    ],
)
def test_an_error_in_any_shape_keeps_what_came_before_it(body: bytes) -> None:
    deltas = decode([say("a", thinking="hm") + body, say("never") + STOP])
    turn = assemble(deltas)
    assert (turn.text, turn.reasoning, turn.finish_reason) == ("a", "hm", "error")
    assert sum(isinstance(delta, Failure | Finish) for delta in deltas) == 1
    assert turn.error is not None
    assert turn.error.message.startswith("ollama: ")
    assert "Too hot" in turn.error.message


def test_an_error_on_a_last_line_without_lf_is_told() -> None:
    assert "Too hot" in error_of(say("a"), b'{"error":"Too hot"}').message


def test_text_beside_an_error_is_kept() -> None:
    assert turn_of(line(message={"content": "last words"}, error="Too hot")).text == "last words"


@pytest.mark.parametrize("empty", [None, "", {}, [], False])
def test_an_empty_error_is_none(empty: object) -> None:
    body = line(message={"content": "a"}, error=empty, done=False)
    assert said(body, STOP) == ("a", "stop")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("an unexpected error", ProviderUnavailable),
        ({"code": 429, "message": "slow"}, RateLimited),
    ],
)
def test_kinds_of_errors(error: object, kind: type[ProviderError]) -> None:
    assert type(error_of(line(error=error))) is kind


def test_secrets_controls_and_html_in_an_error_are_harmless() -> None:
    words = f"key {KEY}\r\n\x1b[31m<html><title>Bad\ngateway</title></html>"
    message = error_of(line(error=words)).message
    assert message.isprintable()
    assert KEY not in message
    assert "Bad gateway" in message
    assert KEY not in error_of(line(error=f"key {KEY}")).message


@pytest.mark.parametrize(
    "data", ["garbage", "7", '"words"', "[1]", "[" * 100_000, "data: {}", "1" * 9999, '{"a":}']
)
def test_garbage_is_an_error_never_skipped(data: str) -> None:
    turn = turn_of(say("a"), data.encode() + b"\n", say("b"), STOP)
    assert turn.text == "a"
    assert isinstance(turn.error, InvalidResponse)
    assert len(turn.error.message) < 300


@pytest.mark.parametrize("body", [b"\x00\xff garbage", b"<h1>Hello</h1>", b"plain words\n\n"])
def test_a_body_that_is_no_json_at_all_says_so(body: bytes) -> None:
    error = error_of(body)
    assert isinstance(error, InvalidResponse)
    assert "no JSON" in error.message
    assert "<" not in error.message


@pytest.mark.parametrize("pieces", [[b'{"x":"' + b"x" * 4000], [b"x" * 2000, b"x" * 2000]])
def test_an_endless_line_names_the_limit_and_keeps_the_text(pieces: list[bytes]) -> None:
    turn = assemble(decode([say("a"), *pieces], max_line=3000))
    assert turn.text == "a"
    assert isinstance(turn.error, InvalidResponse)
    assert "3000 bytes" in turn.error.message


# --- any cuts, any bytes ------------------------------------------------------------------------

BODIES = [
    say("Hel") + say("lo \U0001f30a") + STOP,
    say("", thinking="hm") + say("é") + done("length", eval_count=2),
    say("a") + calls(call("f", {"x": [1]}), call("g", None)) + STOP.rstrip(b"\n"),
    generated("a", thinking="hm") + generated("b") + line(response="", done=True, context=[1]),
    say("a") + line(error="Too hot") + say("b"),
    (say("a") + STOP).replace(b"\n", b"\r\n"),
    say("a") + b'{"message":{"content":"\\ud83d"}}\n\n',
    b"\xef\xbb\xbf" + say("a") + b"garbage\n",
    say("a") + b'{"message',
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
    deltas = decode(pieces, max_line=4096)
    assert [d for d in deltas if isinstance(d, Failure | Finish)] == deltas[-1:]
    turn = assemble(deltas)
    turn.text.encode()
    turn.reasoning.encode()
    for one in turn.tool_calls:
        f"{one.id}{one.name}{one.arguments}".encode()
    if turn.error is not None:
        str(turn.error).encode()


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_arbitrary_bytes_never_raise_and_always_end(pieces: list[bytes]) -> None:
    ends_well(pieces)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=3,
)
names = st.sampled_from(
    "message response thinking content tool_calls function name arguments id done done_reason "
    "prompt_eval_count eval_count error type detail".split()
)
shaped = st.recursive(
    values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(names, shaped, max_size=4), max_size=3), st.booleans())
def test_arbitrary_json_never_raises_and_always_ends(given_: list[Any], whole: bool) -> None:
    ends_well([b"".join(line(**fields) for fields in given_) + (STOP if whole else b"")])


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_arguments_that_are_no_json_do_not_become_json(number: str) -> None:
    body = calls(call("f", {"x": 5})).decode().replace("5", number)
    (made,) = turn_of(body.encode() + done()).tool_calls
    assert made.arguments == f'{{"x":{number}}}'
