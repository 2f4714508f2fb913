"""What the tests of protocols share: a run's bytes, in any cuts, and how they are read back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec

from headrace import events as e
from headrace.events import Event
from headrace.protocols.encoder import Encoder
from headrace.runs.policies import join_deltas
from headrace.wire.sse_decoder import SSEDecoder, SSEEvent


def cuts(events: Sequence[Event], seed: int) -> list[list[Event]]:
    """The events in batches, cut and joined at random."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    batches: list[list[Event]] = []
    at = 0
    while at < len(events):
        size = rng.choice((1, 1, 2, 3, 10, 50))
        batch = list(events[at : at + size])
        batches.append(join_deltas(batch) if rng.random() < 0.5 else batch)
        at += size
    return batches


def encoded(encoder: Encoder, batches: Sequence[Sequence[Event]]) -> bytes:
    """All bytes; each batch goes to a fork, as for viewers that share."""
    parts = []
    for batch in batches:
        encoder = encoder.fork()
        parts.append(encoder.encode(batch))
    return b"".join(parts)


def frames(data: bytes) -> list[SSEEvent]:
    """The event stream, read by the decoder of floor 1."""
    decoder = SSEDecoder()
    found = decoder.feed(data)
    decoder.close()
    return found


def data_of(frame: SSEEvent) -> Any:
    """A frame's JSON."""
    return msgspec.json.decode(frame.data)


def ended(log: Sequence[Event], end: type[Event]) -> list[Event]:
    """The log with another end in place of its answer and `complete`."""
    from headrace.usage import Metrics, Receipt, Usage

    kept = [event for event in log if not isinstance(event, e.Answer | e.Complete)]
    seq, at = len(kept) + 1, kept[-1].at
    if end is e.Error:
        return [*kept, e.Error(seq, at, "", "gap", "It fell silent.", True, Metrics(), Usage(1, 1))]
    return [*kept, e.Cancelled(seq, at, "", "enough", Usage(1, 1), Metrics(), Receipt())]
