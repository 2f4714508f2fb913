"""Decoding a Chat Completions body, for tests."""

from __future__ import annotations

from itertools import chain

from headrace.errors import ProviderError
from headrace.models.assembler import Turn, assemble
from headrace.models.deltas import Delta
from headrace.providers.failures import Failures
from headrace.providers.openai_chat.decode import ChatDecoder
from headrace.providers.secret import Secret
from headrace.wire.sse_decoder import SSEDecoder

KEY = "canary-0123456789abcdef"


def decoder(**bounds: int) -> ChatDecoder:
    return ChatDecoder(Failures("acme", Secret(KEY)), sse=SSEDecoder(**bounds))


def decode(pieces: list[bytes], **bounds: int) -> list[Delta]:
    chat = decoder(**bounds)
    fed = list(chain.from_iterable(chat.feed(piece) for piece in pieces))
    return fed + chat.close()


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


def counts(given: int, output: int, **more: object) -> dict[str, object]:
    return {"prompt_tokens": given, "completion_tokens": output, **more}
