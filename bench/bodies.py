"""The bodies that the replay server sends: OpenAI chat.completions streams, rendered once.

Standard library only, as the peers' environments read the expected lengths from here too.
Each server-sent event travels in an HTTP chunk of its own, as real servers send them.
"""

from __future__ import annotations

import json

FLAT_CHUNKS = 1_000
FIRST_CHUNKS = 5
STAMP_DIGITS = 16  # microseconds of CLOCK_MONOTONIC, which all processes of a machine share
STAMP_CHARS = STAMP_DIGITS + 1  # the digits and a blank

# A line feed, quotes, an escape, accents and an emoji: a decoder meets all of them in real text.
WORDS = (
    "The", " head", "race", " carries", " water", ",", " steady", " and", " whole", ",", " to",
    " the", " wheel", ".", "\n\n", "It", " is", " a", ' "', "channel", '"', " —", " caf", "é",
    " 東京", " 🌊", " of", " stone", ";", " its", " flow", " never", " runs", " dry", "!", " So",
    " turns", " the", " mill", ".",
)  # fmt: skip

# A very long answer is plain ASCII, so that its text takes one byte of memory a character.
PLAIN_WORDS = tuple(word for word in WORDS if word.isascii())

HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def words(count: int, cycle: tuple[str, ...] = WORDS) -> list[str]:
    """The texts of a body of `count` content chunks."""
    whole, rest = divmod(count, len(cycle))
    return list(cycle) * whole + list(cycle[:rest])


def chars(count: int, cycle: tuple[str, ...] = WORDS) -> int:
    """How many characters a whole answer of `count` content chunks has."""
    whole, rest = divmod(count, len(cycle))
    return sum(map(len, cycle)) * whole + sum(map(len, cycle[:rest]))


def http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(choices: list[dict[str, object]], **more: object) -> bytes:
    value = {
        "id": "chatcmpl-CQ4bX1Yk0rG7v2LhTz8NwMdEaJs5U",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": "gpt-4o-mini-2024-07-18",
        "system_fingerprint": "fp_560af6e559",
        "choices": choices,
        **more,
    }
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return http_chunk(b"data: " + text.encode() + b"\n\n")


def _choice(delta: dict[str, object], finish_reason: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def content_event(text: str) -> bytes:
    return _event([_choice({"content": text})])


def opening() -> bytes:
    """The response's head and the chunk that names the role."""
    return HEAD + _event([_choice({"role": "assistant", "content": "", "refusal": None})])


def ending(chunks: int) -> bytes:
    """Finish reason, usage, ``[DONE]`` and the last HTTP chunk."""
    usage = {"prompt_tokens": 9, "completion_tokens": chunks, "total_tokens": 9 + chunks}
    finish = _event([_choice({}, "stop")]) + _event([], usage=usage)
    return finish + http_chunk(b"data: [DONE]\n\n") + http_chunk(b"")


def body(count: int) -> bytes:
    """A whole response with `count` content chunks."""
    return opening() + b"".join(map(content_event, words(count))) + ending(count)


def stamp_parts() -> tuple[bytes, bytes]:
    """What stands before and after the stamp in a paced chunk (its width never changes)."""
    before, after = content_event("0" * STAMP_DIGITS + " ").split(b"0" * STAMP_DIGITS)
    return before, after
