"""The same answer in the wires of other providers, as their servers send it, rendered once.

Each event travels in an HTTP chunk of its own. Shapes: Anthropic's "Streaming Messages", OpenAI's
"Responses streaming events", Google's "Generate content", Ollama's "Generate a chat completion".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from bench.bodies import HEAD, http_chunk, words

_MODEL_ID = "msg_0d1b2c3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _named(type: str, **fields: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (type.encode(), _json({"type": type, **fields}))


def _anthropic(texts: list[str]) -> Iterator[bytes]:
    usage = {
        "input_tokens": 14,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 1,
        "service_tier": "standard",
    }
    message: dict[str, object] = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    yield _named("message_start", message=message)
    yield _named("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield _named("ping")
    for text in texts:
        delta = {"type": "text_delta", "text": text}
        yield _named("content_block_delta", index=0, delta=delta)
    yield _named("content_block_stop", index=0)
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    yield _named("message_delta", delta=end, usage={"output_tokens": len(texts)})
    yield _named("message_stop")


def _responses(texts: list[str]) -> Iterator[bytes]:
    place = {"item_id": _MODEL_ID, "output_index": 0, "content_index": 0}
    response: dict[str, object] = {
        "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
        "object": "response",
        "created_at": 1760000000,
        "status": "in_progress",
        "model": "gpt-5-mini-2025-08-07",
        "output": [],
        "usage": None,
    }
    item: dict[str, object] = {"id": _MODEL_ID, "type": "message", "role": "assistant"}
    begun = item | {"status": "in_progress", "content": []}
    part: dict[str, object] = {"type": "output_text", "annotations": [], "logprobs": []}
    yield _named("response.created", sequence_number=0, response=response)
    yield _named("response.in_progress", sequence_number=1, response=response)
    yield _named("response.output_item.added", sequence_number=2, output_index=0, item=begun)
    empty = part | {"text": ""}
    yield _named("response.content_part.added", sequence_number=3, **place, part=empty)
    for number, text in enumerate(texts, 4):
        yield _named(
            "response.output_text.delta",
            sequence_number=number,
            **place,
            delta=text,
            logprobs=[],
            obfuscation="x" * (16 - len(text) % 16),  # the server pads events to hide lengths
        )
    number, whole = len(texts) + 4, "".join(texts)
    full = part | {"text": whole}
    done = item | {"status": "completed", "content": [full]}
    usage = {
        "input_tokens": 14,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": len(texts),
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 14 + len(texts),
    }
    ended = response | {"status": "completed", "output": [done], "usage": usage}
    yield _named("response.output_text.done", sequence_number=number, **place, text=whole)
    yield _named("response.content_part.done", sequence_number=number + 1, **place, part=full)
    yield _named("response.output_item.done", sequence_number=number + 2, output_index=0, item=done)
    yield _named("response.completed", sequence_number=number + 3, response=ended)


def _gemini(texts: list[str]) -> Iterator[bytes]:
    for count, text in enumerate(texts, 1):
        candidate: dict[str, object] = {
            "content": {"parts": [{"text": text}], "role": "model"},
            "index": 0,
        }
        if count == len(texts):
            candidate["finishReason"] = "STOP"
        usage = {
            "promptTokenCount": 14,
            "candidatesTokenCount": count,
            "totalTokenCount": 14 + count,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 14}],
        }
        value = {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": "gemini-2.5-flash",
            "responseId": "QkfnaKrTH8qQmNAPtZ6PiQ0",
        }
        yield b"data: " + _json(value) + b"\r\n\r\n"


def _ollama(texts: list[str]) -> Iterator[bytes]:
    start = {"model": "llama3.2", "created_at": "2025-10-09T08:53:20.123456789Z"}
    for text in texts:
        message = {"role": "assistant", "content": text}
        yield _json({**start, "message": message, "done": False}) + b"\n"
    counts = {
        "total_duration": 4883583458,
        "load_duration": 1334875,
        "prompt_eval_count": 26,
        "prompt_eval_duration": 342546000,
        "eval_count": len(texts),
        "eval_duration": 4535599000,
    }
    empty = {"role": "assistant", "content": ""}
    end = {"message": empty, "done_reason": "stop", "done": True, **counts}
    yield _json({**start, **end}) + b"\n"


WIRES: dict[str, Callable[[list[str]], Iterator[bytes]]] = {
    "anthropic": _anthropic,
    "responses": _responses,
    "gemini": _gemini,
    "ollama": _ollama,
}


def body(wire: str, count: int) -> bytes:
    """A whole HTTP answer of this wire with `count` pieces of text."""
    head = HEAD
    if wire == "ollama":
        head = HEAD.replace(b"text/event-stream; charset=utf-8", b"application/x-ndjson")
    return head + b"".join(map(http_chunk, WIRES[wire](words(count)))) + http_chunk(b"")
