"""Pieces of Gemini streams, for tests."""

from __future__ import annotations

import json
from typing import Any


def event(value: object, *, name: str = "") -> bytes:
    """One event with this JSON (a string is sent as it is), maybe named."""
    text = value if isinstance(value, str) else json.dumps(value)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\r\n\r\n".encode()


def chunk(*parts: object, finish: object = None, **more: object) -> bytes:
    """A chunk with candidate 0: its parts (a string is a text part), and fields beside it."""
    made = [{"text": part} if isinstance(part, str) else part for part in parts]
    candidate: dict[str, Any] = {"content": {"parts": made, "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return event({"candidates": [candidate], **more, "modelVersion": "m", "responseId": "r"})


def thought(text: str, **more: object) -> dict[str, object]:
    """A part that shows thoughts."""
    return {"text": text, "thought": True, **more}


def call(name: str, args: object = None, **more: object) -> dict[str, object]:
    """A part that calls a function; `id` goes into the call, the rest beside it."""
    id = {"id": more.pop("id")} if "id" in more else {}
    made = {"name": name, **({} if args is None else {"args": args}), **id}
    return {"functionCall": made, **more}


def counts(prompt: int, candidates: int | None = None, **more: object) -> dict[str, object]:
    """``usageMetadata`` as a field of a chunk."""
    told = {"promptTokenCount": prompt, **more}
    if candidates is not None:
        told["candidatesTokenCount"] = candidates
    return {"usageMetadata": told}


def finish(reason: object = "STOP", **more: object) -> bytes:
    """The chunk with the finish reason."""
    return chunk("", finish=reason, **more)


STOP = finish()
