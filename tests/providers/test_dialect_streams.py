"""Streams as each compatible server sends them, through its row of the table.

Written after each one's documentation: what is peculiar to it stands in its body.
"""

from __future__ import annotations

import json

import pytest

from headrace.errors import ProviderError
from headrace.messages import Opaque
from headrace.models.assembler import Turn
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest
from headrace.models.retry import NO_RETRY
from headrace.providers.table import resolve_model
from headrace.usage import Usage
from tests.providers.chat_bodies import DONE, STOP, chunk, event
from tests.support.loopback import Loopback, reply, stream

KEY = "canary-0123456789abcdef"
COUNTS = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}
REASONED = {"completion_tokens_details": {"reasoning_tokens": 5}}
ENCRYPTED = {"type": "reasoning.encrypted", "data": "gAAA==", "index": 1, "format": "x"}

STREAMS: dict[str, tuple[list[bytes], Usage]] = {
    "groq": (
        [
            chunk({"role": "assistant", "content": ""}, x_groq={"id": "req_1"}),
            chunk({"reasoning": "hm", "channel": "analysis"}),
            chunk("a"),
            chunk({}, "stop", x_groq={"id": "req_1", "usage": {**COUNTS, "queue_time": 0.1}}),
            DONE,
        ],
        Usage(9, 8),
    ),
    "openrouter": (
        [
            b": OPENROUTER PROCESSING\n\n",
            chunk({"content": "", "reasoning": "hm", "reasoning_details": [ENCRYPTED]}),
            b": OPENROUTER PROCESSING\n\n",
            chunk("a", None, provider="someone"),
            chunk({}, "stop"),
            chunk({"content": ""}, None, usage={**COUNTS, **REASONED, "cost": 0.1}),
            DONE,
        ],
        Usage(9, 8, 0, 5),
    ),
    "deepseek": (
        [
            b": keep-alive\n\n",
            chunk({"content": None, "reasoning_content": "hm"}),
            chunk({"content": "a", "reasoning_content": None}),
            chunk({"content": ""}, "stop", usage={**COUNTS, "prompt_cache_hit_tokens": 4}),
            DONE,
        ],
        Usage(9, 8, 4),
    ),
    "mistral": (
        [
            chunk(
                {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}
            ),
            chunk({"content": [{"type": "text", "text": "a"}]}),
            chunk({"content": ""}, "stop", usage=COUNTS),
            DONE,
        ],
        Usage(9, 8),
    ),
    "xai": (
        [
            chunk({"reasoning_content": "hm"}, usage={**COUNTS, "completion_tokens": 0}),
            chunk("a"),
            chunk({}, "stop"),
            event({"choices": [], "usage": {**COUNTS, "completion_tokens": 3, **REASONED}}),
            DONE,
        ],
        Usage(9, 8, 0, 5),
    ),
    "together": (
        [
            chunk({"content": "", "reasoning": "hm", "token_id": 1}, usage=None, warnings=None),
            chunk({"content": "a", "token_id": 2}),
            chunk({"content": "", "tool_calls": []}, "eos", usage=COUNTS),
            DONE,
        ],
        Usage(9, 8),
    ),
    "vllm": (
        [
            chunk({"role": "assistant", "content": ""}),
            chunk({"reasoning": "hm", "reasoning_content": "hm"}),
            chunk("a"),
            event(
                {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": 2}]}
            ),
            event({"choices": [], "usage": {**COUNTS, "prompt_tokens_details": None}}),
            DONE,
        ],
        Usage(9, 8),
    ),
    "llamacpp": (
        [
            chunk({"role": "assistant", "content": None}),
            chunk({"reasoning_content": "hm"}),
            chunk("a"),
            chunk({}, "stop"),
            event({"choices": [], "usage": COUNTS, "timings": {"prompt_n": 9, "predicted_n": 8}}),
            DONE,
        ],
        Usage(9, 8),
    ),
    "lmstudio": (
        [
            chunk({"role": "assistant", "reasoning_content": "hm"}),
            chunk({"role": "assistant", "content": "a"}),
            chunk({}, "stop"),
            event({"choices": [], "usage": COUNTS}),
            DONE,
        ],
        Usage(9, 8),
    ),
}

BROKEN: dict[str, list[bytes]] = {
    "groq": [event({"error": {"message": "Too hot", "code": "over_capacity"}}, name="error")],
    "openrouter": [
        event(
            {
                "error": {"code": "server_error", "message": "Too hot"},
                "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
            }
        )
    ],
    "deepseek": [chunk({}, "insufficient_system_resource"), DONE],
    "mistral": [event({"object": "error", "message": "Too hot", "type": "x", "code": 3000})],
    "xai": [event({"code": "Some service is down", "error": "Too hot"})],
    "together": [event({"error": {"message": "Too hot", "type": "server_error"}}), DONE],
    "vllm": [event({"object": "error", "message": "Too hot", "type": "x", "code": 400}), DONE],
    "llamacpp": [event({"error": {"code": 500, "message": "Too hot", "type": "server_error"}})],
    "lmstudio": [event({"error": {"message": "Too hot"}}, name="error")],
    "azure": [event({"error": {"message": "Too hot", "code": "content_filter", "status": 400}})],
}


def model(name: str, server: Loopback) -> BaseModel:
    made = resolve_model(f"{name}:m", base_url=server.url, api_key=KEY, env={})
    assert isinstance(made, BaseModel)
    made.retry = NO_RETRY
    return made


async def answer(name: str, body: list[bytes]) -> Turn:
    async with Loopback(stream(*body)) as server:
        return await model(name, server).complete(ModelRequest.of("Hi"))


@pytest.mark.parametrize("name", STREAMS)
async def test_its_own_way_of_streaming(name: str) -> None:
    body, usage = STREAMS[name]
    turn = await answer(name, body)
    assert (turn.text, turn.reasoning, turn.finish_reason) == ("a", "hm", "stop")
    assert turn.usage == usage


@pytest.mark.parametrize("name", BROKEN)
async def test_its_own_way_of_breaking_off(name: str) -> None:
    with pytest.raises(ProviderError) as caught:
        await answer(name, [chunk("a"), *BROKEN[name]])
    turn = caught.value.turn
    assert isinstance(turn, Turn)
    assert (turn.text, turn.finish_reason) == ("a", "error")
    assert caught.value.provider == name
    assert "Too hot" in str(caught.value) or "insufficient_system_resource" in str(caught.value)


async def test_openrouters_encrypted_reasoning_is_kept_for_the_next_turn() -> None:
    turn = await answer("openrouter", STREAMS["openrouter"][0])
    (item,) = [part for part in turn.message.content if isinstance(part, Opaque)]
    assert json.loads(item.data) == {"reasoning_details": [ENCRYPTED]}


async def test_azure_refuses_a_prompt_with_a_status() -> None:
    filtered = {"message": "The prompt was filtered.", "code": "content_filter", "status": 400}
    async with Loopback(reply(400, {"error": filtered})) as server:
        with pytest.raises(ProviderError, match="The prompt was filtered") as caught:
            await model("azure", server).complete(ModelRequest.of("Hi"))
    assert not caught.value.retryable


@pytest.mark.parametrize("name", STREAMS)
async def test_its_key_is_sent_as_a_bearers(name: str) -> None:
    async with Loopback(stream(STOP)) as server:
        await model(name, server).complete(ModelRequest.of("Hi"))
    (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.target == "/v1/chat/completions"
    usage = request.json.get("stream_options")
    assert usage == (None if name == "mistral" else {"include_usage": True})
