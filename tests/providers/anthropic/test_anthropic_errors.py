"""The Messages decoder: errors in any shape, any cuts of the bytes, any bytes."""

from __future__ import annotations

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
)
from headrace.models.assembler import assemble
from headrace.models.deltas import Delta, Failure, Finish, OpaqueDelta
from headrace.testing import chunkings
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
from tests.providers.anthropic.reading import KEY, calls, decode, error_of, turn_of

# --- errors -------------------------------------------------------------------------------------

SHAPES = [
    error(message="Too hot"),
    event({"error": {"message": "Too hot"}}, name="error"),
    event({"error": {"type": "api_error", "message": "Too hot"}}, name=""),
    event({"type": "error", "error": "Too hot"}),
    event({"type": "error", "message": "Too hot"}),
    event({"type": "overloaded_error", "message": "Too hot"}, name="message"),
    event({"error": ["Too hot", "and dry"]}, name="message"),
    event([{"error": {"message": "Too hot"}}], name="error"),
    event({"message": "Too hot"}, name="error"),
    event({"message": "Too hot"}, name=""),
    event({"detail": "Too hot"}, name=""),
    event("Too hot", name="error"),
    event('"Too hot"', name="error"),
    event({"type": "message_stop", "error": {"message": "Too hot"}}),
    event({"type": "message_delta", "delta": 7, "error": {"message": "Too hot"}}),
    ending("end_turn") + error(message="Too hot"),
]


@pytest.mark.parametrize("body", SHAPES)
def test_an_error_in_any_shape_keeps_what_came_before_it(body: bytes) -> None:
    before = start() + thought(0, "hm") + words(1, "a")
    deltas = decode([before + body + words(2, "never") + END])
    turn = assemble(deltas)
    assert (turn.text, turn.reasoning, turn.finish_reason) == ("a", "hm", "error")
    assert sum(isinstance(delta, Failure | Finish) for delta in deltas) == 1
    assert turn.error is not None
    assert "Too hot" in turn.error.message
    assert turn.error.message.startswith("anthropic: ")


def test_text_beside_an_error_is_kept() -> None:
    value = {"type": "content_block_delta", "index": 0, "error": "Too hot"}
    delta = {"type": "text_delta", "text": "last words"}
    assert turn_of(start(), event({**value, "delta": delta})).text == "last words"


@pytest.mark.parametrize(
    ("kind", "made", "retryable"),
    [
        ("overloaded_error", ProviderUnavailable, True),
        ("api_error", ProviderUnavailable, True),
        ("timeout_error", ProviderUnavailable, True),
        ("something_new_error", ProviderUnavailable, True),
        ("rate_limit_error", RateLimited, True),
        ("invalid_request_error", RequestRejected, False),
        ("not_found_error", RequestRejected, False),
        ("request_too_large", RequestRejected, False),
        ("billing_error", RequestRejected, False),
        ("authentication_error", AuthenticationFailed, False),
        ("permission_error", AuthenticationFailed, False),
    ],
)
def test_an_errors_type_says_what_kind_it_is(
    kind: str, made: type[ProviderError], retryable: bool
) -> None:
    found = error_of(start(), error(kind, "m"))
    assert type(found) is made
    assert found.retryable is retryable


def test_an_error_in_a_body_that_is_no_event_stream_is_found() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Too hot"}}'
    assert "Too hot" in error_of(body).message


def test_secrets_and_line_ends_in_an_error_are_harmless() -> None:
    message = error_of(start(), error("api_error", f"bad\r\nkey {KEY}\u2028!")).message
    assert message.endswith("bad key **** !")
    assert KEY not in repr(error_of(error("api_error", KEY)))


@pytest.mark.parametrize("name", ["content_block_delta", "message", "message_stop"])
@pytest.mark.parametrize(
    "data", ["{", "garbage", '{"type":"content', "7", '"a"', "[1]", "[" * 9999]
)
def test_garbage_is_an_error_never_skipped(name: str, data: str) -> None:
    turn = turn_of(start(), words(0, "a"), event(data, name=name), words(1, "b"), END)
    assert turn.text == "a"
    assert isinstance(turn.error, InvalidResponse)
    assert len(turn.error.message) < 300


@pytest.mark.parametrize("body", [b"\x00\xff\xfe garbage", b"<h1>Hello</h1>", b"plain words\n\n"])
def test_a_body_that_is_no_event_stream_says_so(body: bytes) -> None:
    found = error_of(body)
    assert isinstance(found, InvalidResponse)
    assert "no event stream" in found.message


@pytest.mark.parametrize("cut", [2000, 4000])
def test_an_endless_line_names_the_limit_and_keeps_the_text(cut: int) -> None:
    pieces = [words(0, "a"), b"data: " + b"x" * cut, b"x" * (4000 - cut)]
    turn = assemble(decode(pieces, max_line=3000))
    assert turn.text == "a"
    assert isinstance(turn.error, InvalidResponse)
    assert "3000 bytes" in turn.error.message


# --- any cuts, any bytes ------------------------------------------------------------------------

BODIES = [
    start() + words(0, "Hel", "lo \U0001f30a") + END,
    start() + thought(0, "é") + words(1, "a") + ending("max_tokens"),
    start() + call(0, "a", "f", '{"x":', "1}") + call(1, "b", "g", "{}") + CALLED,
    start() + call_start(0, "a", "f", input={"x": [1]}) + CALLED,
    start() + begin(0, SEARCH) + arguments(0, '{"query":1}') + stop(0) + begin(1, FOUND) + END,
    start() + words(0, "a") + error() + words(1, "b"),
    (start() + PING + words(0, "a")).replace(b"\n", b"\r\n") + END.replace(b"\n", b"\r"),
    b"\xef\xbb\xbf" + words(0, "a") + event("garbage"),
    b'{"type":"error","error":{"message":"Too hot"}}',
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


def test_a_body_cut_short_anywhere_never_ends_well_before_its_end() -> None:
    body = start() + thought(0, "hm") + call(1, "a", "f", '{"x":1}') + CALLED
    told = body.index(ending("tool_use")) + len(ending("tool_use"))
    for at in range(told):
        assert isinstance(decode([body[:at]])[-1], Failure)
    assert isinstance(decode([body[:told]])[-1], Finish)


def ends_well(pieces: list[bytes]) -> None:
    deltas = decode(pieces, max_line=4096, max_event=8192)
    ends = [delta for delta in deltas if isinstance(delta, Failure | Finish)]
    assert ends == deltas[-1:]
    turn = assemble(deltas)
    turn.text.encode()
    turn.reasoning.encode()
    for made in turn.tool_calls:
        f"{made.id}{made.name}{made.arguments}".encode()
    for delta in deltas:
        if isinstance(delta, OpaqueDelta):
            delta.item.data.encode()
    if turn.error is not None:
        str(turn.error).encode()


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_arbitrary_bytes_never_raise_and_always_end(pieces: list[bytes]) -> None:
    ends_well(pieces)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
kinds = st.sampled_from(
    "message_start content_block_start content_block_delta content_block_stop message_delta "
    "message_stop ping error text thinking redacted_thinking tool_use server_tool_use "
    "web_search_tool_result text_delta thinking_delta signature_delta input_json_delta "
    "end_turn tool_use refusal new".split()
)
names = st.sampled_from(
    "type index delta content_block message usage error stop_reason stop_details explanation id "
    "name input text thinking signature partial_json data input_tokens output_tokens "
    "output_tokens_details detail".split()
)
shaped = st.recursive(
    leaves | kinds,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(names, shaped, max_size=5), max_size=4), st.booleans())
def test_arbitrary_json_never_raises_and_always_ends(values: list[Any], done: bool) -> None:
    ends_well([b"".join(map(event, values)) + (STOP if done else b"")])


@given(st.lists(st.tuples(st.integers(0, 2), shaped, shaped), max_size=4), kinds, kinds)
def test_arbitrary_blocks_never_raise_and_always_end(
    values: list[tuple[int, Any, Any]], block: str, delta: str
) -> None:
    body = b""
    for index, one, two in values:
        body += begin(index, {"type": block, **one} if isinstance(one, dict) else one)
        body += piece(index, {"type": delta, **two} if isinstance(two, dict) else two)
    ends_well([body + END])


@pytest.mark.parametrize("number", ["1" * 9999, "[" * 900 + "]" * 900])
def test_json_that_python_cannot_hold_is_passed_on_as_text(number: str) -> None:
    block = f'{{"type":"tool_use","id":"a","name":"f","input":{{"x":{number}}}}}'
    raw = f'{{"type":"content_block_start","index":0,"content_block":{block}}}'
    turn = turn_of(start(), event(raw, name="content_block_start"), stop(0), CALLED)
    assert calls(turn) == [("a", "f", f'{{"x":{number}}}')]
