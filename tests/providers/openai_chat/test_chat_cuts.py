"""The Chat Completions decoder: any cuts, any bytes."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.assembler import assemble
from headrace.models.deltas import Delta, Failure, Finish
from headrace.testing import chunkings
from tests.providers.chat_bodies import CALLED, DONE, STOP, call, calls, chunk, event, finish
from tests.providers.openai_chat.chat_decoding import counts, decode

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
