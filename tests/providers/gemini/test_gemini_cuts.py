"""Gemini's decoder: any cuts, any bytes."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.messages import Opaque
from headrace.models.assembler import assemble
from headrace.models.deltas import Delta, Failure, Finish, UsageDelta
from headrace.testing import chunkings
from tests.providers.gemini.gemini_bodies import STOP, call, chunk, counts, event, finish, thought
from tests.providers.gemini.gemini_decoding import HOT, decode

BODIES = [
    chunk("Hel") + chunk("lo \U0001f30a") + finish(**counts(5, 3)),
    chunk(thought("hm"), **counts(1)) + chunk("é", finish="MAX_TOKENS", **counts(1, 2)),
    chunk("a", call("f", {"x": 1}, thoughtSignature="s"), call("g")) + STOP,
    chunk({"text": "a", "thoughtSignature": "s"}) + chunk({"text": "", "thoughtSignature": "t"}),
    event({"promptFeedback": {"blockReason": "SAFETY"}}),
    chunk("a") + event(HOT) + chunk("b"),
    chunk("a") + json.dumps(HOT, indent=2).encode(),
    chunk("a").replace(b"\r\n", b"\r") + json.dumps([HOT], indent=1).encode(),
    b"\xef\xbb\xbf" + chunk("a") + event("garbage"),
    b'data: {"candidates":\ndata: [{"content":{"parts":[{"text":"{\\n{"}]}}]}\n\n' + STOP,
    json.dumps([HOT]).encode(),
    b"nothing of the kind",
]


def comparable(deltas: list[Delta]) -> list[object]:
    """Usage is told once a read and is cumulative: the last one counts."""
    usages = [d for d in deltas if isinstance(d, UsageDelta)]
    others = [d for d in deltas if not isinstance(d, UsageDelta)]
    return [*(str(d.error) if isinstance(d, Failure) else d for d in others), *usages[-1:]]


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
    f"{turn.text}{turn.reasoning}{turn.error}".encode()
    for made in turn.tool_calls:
        f"{made.id}{made.name}{made.arguments}".encode()
    assert len({made.id for made in turn.tool_calls}) == len(turn.tool_calls)
    for part in turn.message.content:
        if isinstance(part, Opaque):
            part.data.encode()


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
    "candidates content parts text thought thoughtSignature functionCall name args id index error "
    "finishReason finishMessage usageMetadata promptTokenCount candidatesTokenCount inlineData "
    "mimeType executableCode promptFeedback blockReason blockReasonMessage message code".split()
)
shaped = st.recursive(
    json_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=6,
)
objects = st.lists(st.dictionaries(names, shaped, max_size=4), max_size=3)


@given(objects)
def test_arbitrary_json_never_raises_and_always_ends(values: list[Any]) -> None:
    ends_well([b"".join(map(event, values))])


@given(objects, st.booleans())
def test_arbitrary_parts_never_raise_and_always_end(values: list[Any], done: bool) -> None:
    ends_well([chunk(*values) + (STOP if done else b"")])


@given(objects)
def test_arbitrary_calls_never_raise_and_always_end(values: list[Any]) -> None:
    ends_well([chunk(*({"functionCall": value} for value in values)) + STOP])
