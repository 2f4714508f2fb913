"""Decoding a Responses body, for tests."""

from __future__ import annotations

from itertools import chain

from headrace.errors import (
    ProviderError,
)
from headrace.messages import Opaque
from headrace.models.assembler import Turn, assemble
from headrace.models.deltas import Delta
from headrace.providers.failures import Failures
from headrace.providers.openai_responses.decode import ResponsesDecoder
from headrace.providers.secret import Secret
from headrace.wire.sse_decoder import SSEDecoder
from tests.providers.openai_responses.responses_bodies import (
    added,
    completed,
    created,
    done,
    event,
    message,
    text,
)

KEY = "canary-0123456789abcdef"


def decoder(**bounds: int) -> ResponsesDecoder:
    return ResponsesDecoder(Failures("acme", Secret(KEY)), sse=SSEDecoder(**bounds))


def decode(pieces: list[bytes], **bounds: int) -> list[Delta]:
    made = decoder(**bounds)
    fed = list(chain.from_iterable(made.feed(piece) for piece in pieces))
    return fed + made.close()


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


def calls_of(*body: bytes) -> list[tuple[str, str, str]]:
    turn = turn_of(*body)
    assert turn.error is None
    assert turn.finish_reason == "tool_calls"
    return [(made.id, made.name, made.arguments) for made in turn.tool_calls]


def opaque_of(*body: bytes) -> list[str]:
    parts = turn_of(*body).message.content
    return [part.data for part in parts if isinstance(part, Opaque)]


def whole(*words: str) -> bytes:
    """A text in all the four places that it comes in."""
    joined = "".join(words)
    part = {"type": "output_text", "text": joined}
    return b"".join(
        (
            created(),
            added(message()),
            event("content_part.added", output_index=0, content_index=0, part={**part, "text": ""}),
            *map(text, words),
            event("output_text.done", output_index=0, content_index=0, text=joined),
            event("content_part.done", output_index=0, content_index=0, part=part),
            done(message(joined)),
            completed(message(joined)),
        )
    )
