"""The Messages decoder, read to its end: for tests."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

from headrace.errors import (
    ProviderError,
)
from headrace.messages import Opaque
from headrace.models.assembler import Turn, assemble
from headrace.models.deltas import Delta
from headrace.providers.anthropic.decode import AnthropicDecoder
from headrace.providers.failures import Failures
from headrace.providers.secret import Secret
from headrace.wire.sse_decoder import SSEDecoder

KEY = "canary-0123456789abcdef"


def decode(pieces: list[bytes], **bounds: int) -> list[Delta]:
    decoder = AnthropicDecoder(Failures("anthropic", Secret(KEY)), sse=SSEDecoder(**bounds))
    fed = list(chain.from_iterable(decoder.feed(data) for data in pieces))
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


def items(turn: Turn) -> list[Any]:
    return [json.loads(part.data) for part in turn.message.content if isinstance(part, Opaque)]


def calls(turn: Turn) -> list[tuple[str, str, str]]:
    return [(call.id, call.name, call.arguments) for call in turn.tool_calls]
