"""What Gemini's decoder makes of bytes, for tests."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

from headrace.errors import ProviderError
from headrace.messages import Opaque
from headrace.models.assembler import Turn, assemble
from headrace.models.deltas import Delta
from headrace.providers.failures import Failures
from headrace.providers.gemini.decode import GeminiDecoder
from headrace.providers.secret import Secret
from headrace.wire.sse_decoder import SSEDecoder

KEY = "canary-0123456789abcdef"
HOT = {"error": {"code": 503, "message": "Too hot", "status": "UNAVAILABLE"}}


def decode(pieces: list[bytes], **bounds: int) -> list[Delta]:
    failures = Failures("gemini", Secret(KEY), key_variable="GEMINI_API_KEY")
    decoder = GeminiDecoder(failures, sse=SSEDecoder(**bounds))
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


def opaque(turn: Turn) -> list[Any]:
    return [json.loads(part.data) for part in turn.message.content if isinstance(part, Opaque)]
