"""Every provider's wire is recorded through its client and played through its decoder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace import resolve_model
from headrace.errors import AuthenticationFailed
from headrace.models.request import ModelRequest
from headrace.providers.cassette.recording import RecordedModel
from headrace.providers.rows import ROWS
from headrace.providers.table import find_row
from tests.support.loopback import Loopback, Script, reply, stream

KEY = "canary-0123456789abcdef"
SAID = f"Héllo, {KEY}"
ASK = ModelRequest.of("Hi")


def sse(*values: object, name: bool = False) -> bytes:
    """Events with this JSON, named by their type where the wire does so."""
    out = ""
    for value in values:
        kind = value.get("type") if name and isinstance(value, dict) else None
        out += (f"event: {kind}\n" if kind else "") + f"data: {json.dumps(value)}\n\n"
    return out.encode()


def chat(text: str) -> bytes:
    def chunk(delta: object, reason: str | None = None) -> object:
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    return sse(chunk({"content": text}), chunk({}, "stop")) + b"data: [DONE]\n\n"


def responses(text: str) -> bytes:
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "m1", "role": "assistant", "content": [part]}
    return sse(
        {"type": "response.created", "response": {"id": "r1", "status": "in_progress"}},
        {
            "type": "response.output_text.delta",
            "item_id": "m1",
            "output_index": 0,
            "content_index": 0,
            "delta": text,
        },
        {
            "type": "response.completed",
            "response": {"id": "r1", "status": "completed", "output": [item]},
        },
        name=True,
    )


def anthropic(text: str) -> bytes:
    start = {"id": "m1", "type": "message", "role": "assistant", "content": [], "model": "m"}
    return sse(
        {"type": "message_start", "message": {**start, "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}},
        {"type": "message_stop"},
        name=True,
    )


def gemini(text: str) -> bytes:
    content = {"role": "model", "parts": [{"text": text}]}
    return sse({"candidates": [{"content": content, "finishReason": "STOP", "index": 0}]})


def ollama(text: str) -> bytes:
    lines = [
        {"model": "m", "message": {"role": "assistant", "content": text}, "done": False},
        {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True},
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


WIRES = {
    "openai_chat": ("groq", chat, "text/event-stream"),
    "openai_responses": ("openai-responses", responses, "text/event-stream"),
    "anthropic": ("anthropic", anthropic, "text/event-stream"),
    "gemini": ("gemini", gemini, "text/event-stream"),
    "ollama": ("ollama", ollama, "application/x-ndjson"),
}


def wires_of_the_table() -> set[str]:
    modules = [row.module.split(".") for row in ROWS]
    return {parts[-2] for parts in modules if parts[-1] == "client"}


def recording(provider: str, server: Loopback, path: Path) -> RecordedModel:
    model = resolve_model(
        f"{provider}:m", base_url=server.origin, api_key=KEY, env={}, record_to=path
    )
    assert isinstance(model, RecordedModel)
    return model


def test_no_wire_is_missing_here() -> None:
    assert set(WIRES) == wires_of_the_table()


@pytest.mark.parametrize("wire", WIRES)
async def test_an_answer_is_recorded_without_the_key_and_played(wire: str, tmp_path: Path) -> None:
    provider, body, kind = WIRES[wire]
    path = tmp_path / "a.cassette"
    whole = body(SAID)
    for size in (len(whole), 7):  # the key whole in one read, and cut over several
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        script: Script = stream(*pieces, content_type=kind)
        async with Loopback(script) as server:
            live = await recording(provider, server, path).complete(ASK)
        assert live.text == SAID
        written = path.read_bytes()
        assert KEY.encode() not in written
        header = json.loads(written.split(b"\n")[0])
        assert (header["provider"], header["wire"]) == (find_row(provider)[0].name, wire)
        played = await resolve_model(f"cassette:{path}?speed=0").complete(ASK)  # type: ignore[attr-defined]
        assert played.text == SAID.replace(KEY, "****")
        assert (played.finish_reason, played.usage) == (live.finish_reason, live.usage)


@pytest.mark.parametrize("wire", WIRES)
async def test_a_refusal_is_recorded_without_the_key_and_played(wire: str, tmp_path: Path) -> None:
    provider, _, _ = WIRES[wire]
    path = tmp_path / "a.cassette"
    async with Loopback(reply(401, {"error": {"message": f"No {KEY}", "type": "x"}})) as server:
        with pytest.raises(AuthenticationFailed) as live:
            await recording(provider, server, path).complete(ASK)
    assert KEY.encode() not in path.read_bytes()
    with pytest.raises(AuthenticationFailed) as played:
        await resolve_model(f"cassette:{path}").complete(ASK)  # type: ignore[attr-defined]
    assert played.value.message == live.value.message
