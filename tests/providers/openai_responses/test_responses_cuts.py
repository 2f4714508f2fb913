"""The Responses decoder: any cuts, any bytes."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.assembler import assemble
from headrace.models.deltas import Delta, Failure, Finish
from headrace.testing import chunkings
from tests.providers.openai_responses.responses_bodies import (
    END,
    called,
    completed,
    done,
    event,
    incomplete,
    raw,
    reasoning,
    summary,
    text,
    usage,
)
from tests.providers.openai_responses.responses_decoding import (
    decode,
    whole,
)

BODIES = [
    whole("Hel", "lo \U0001f30a"),
    summary("hm") + done(reasoning(summary="hm", encrypted_content="gA==")) + text("é", 1) + END,
    called("a", "f", '{"x":1}') + called("b", "g", "{}", 1) + completed(usage=usage(1, 2)),
    text("a") + event("error", message="Too hot") + text("b"),
    text("a") + b'data: {"type":"response.output_text.delta","delta":"\\ud83d"}\n\n',
    text("a").replace(b"\n", b"\r\n") + incomplete().replace(b"\n", b"\r"),
    b"\xef\xbb\xbf" + text("a") + raw("garbage"),
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
    msgspec.json.encode(turn.message)
    turn.reasoning.encode()
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
    "delta text refusal arguments name output_index content_index summary_index item_id item part "
    "response error id type call_id content summary status phase output usage input_tokens message "
    "sequence_number incomplete_details reason code encrypted_content".split()
)
kinds = st.sampled_from(
    "output_text.delta output_text.done refusal.done content_part.done output_item.added "
    "output_item.done function_call_arguments.delta function_call_arguments.done reasoning.delta "
    "reasoning_text.delta reasoning_summary_text.done reasoning_summary_part.done created "
    "completed incomplete failed".split()
)
shaped = st.recursive(
    json_values
    | st.sampled_from(["message", "function_call", "reasoning", "output_text", "mcp_call"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=6,
)
events = st.tuples(kinds, st.dictionaries(names, shaped, max_size=5))


@given(st.lists(st.dictionaries(names, shaped, max_size=4), max_size=3), st.booleans())
def test_arbitrary_json_never_raises_and_always_ends(values: list[Any], ended: bool) -> None:
    ends_well([b"".join(raw(json.dumps(v)) for v in values) + (END if ended else b"")])


@given(st.lists(events, max_size=4), st.booleans())
def test_arbitrary_events_never_raise_and_always_end(
    values: list[tuple[str, dict[str, Any]]], ended: bool
) -> None:
    body = (raw(json.dumps({**v, "type": f"response.{kind}"})) for kind, v in values)
    ends_well([b"".join(body) + (END if ended else b"")])
