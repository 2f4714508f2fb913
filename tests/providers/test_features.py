"""Each provider's features are as its row says: asked for, they are sent; lacking, refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors import ProviderError, UsageError
from headrace.messages import File, Image, Message
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest, ToolSpec
from headrace.models.retry import NO_RETRY
from headrace.providers.features import FEATURES, asked
from headrace.providers.rows import ROWS, Row
from headrace.providers.table import resolve_model
from tests.providers import chat_bodies
from tests.providers.anthropic import messages_events
from tests.providers.gemini import gemini_bodies
from tests.providers.ollama import ollama_lines
from tests.providers.openai_responses import responses_bodies
from tests.support.loopback import Loopback, reply, stream

KEY = "canary-0123456789abcdef"
TOOL = ToolSpec("look_up", "Looks.", {"type": "object", "properties": {"x": {"type": "string"}}})
SCHEMA = {
    "type": "object",
    "properties": {"answer_marker": {"type": "string"}},
    "required": ["answer_marker"],
    "additionalProperties": False,
}
IMAGE = Image(data=b"\x89PNG image", media_type="image/png")
PAPER = File(name="paper.pdf", data=b"%PDF paper", media_type="application/pdf")

WISHES: dict[str, tuple[dict[str, Any], str]] = {
    "tools": ({"tools": [TOOL]}, "look_up"),
    "tool_choice": ({"tools": [TOOL], "tool_choice": "required"}, "look_up"),
    "images": ({"input": Message.user("Hi", IMAGE)}, "iVBORyBpbWFnZQ=="[:8]),
    "files": ({"input": Message.user("Hi", PAPER)}, "JVBERiBwYXBlcg=="[:8]),
    "json": ({"response_format": "json_object"}, "json"),
    "schema": ({"response_format": {"name": "told", "schema": SCHEMA}}, "answer_marker"),
    "effort": ({"reasoning_effort": "high"}, ""),
    "seed": ({"seed": 4711}, "4711"),
    "stop": ({"stop": ["stop_marker"]}, "stop_marker"),
}
"""Each feature that can be asked for: how, and what must then stand in the request."""

WIRES = [row for row in ROWS if row.keys]
"""The rows that ask a server."""


def request(**wish: Any) -> ModelRequest:
    return ModelRequest.of(wish.pop("input", "Hi"), **wish)


def model(row: Row, server: Loopback) -> BaseModel:
    made = resolve_model(f"{row.name}:m", base_url=server.origin, api_key=KEY, env={})
    assert isinstance(made, BaseModel)
    made.retry = NO_RETRY
    return made


async def sent(row: Row, wish: ModelRequest) -> Any:
    """The body that the server was sent; it refuses whatever it is asked."""
    async with Loopback(reply(400, {"error": {"message": "no"}})) as server:
        with pytest.raises(ProviderError):
            await model(row, server).complete(wish)
    (told,) = server.requests
    return told.json


def test_every_feature_that_can_be_asked_for_is_asked_for_here() -> None:
    assert set(WISHES) == set(FEATURES) - {"reasoning"}
    for feature, (wish, _) in WISHES.items():
        assert feature in set(asked(request(**wish)))
    assert list(asked(request())) == []


@pytest.mark.parametrize("feature", WISHES)
@pytest.mark.parametrize("row", WIRES, ids=lambda row: row.name)
async def test_a_feature_is_sent_or_refused_before_any_request(row: Row, feature: str) -> None:
    wish, marker = WISHES[feature]
    if feature not in row.supports:
        async with Loopback(reply(400, {})) as server:
            with pytest.raises(UsageError, match=row.name):
                await model(row, server).complete(request(**wish))
        assert server.requests == []
        return
    without = {"tools": [TOOL]} if feature == "tool_choice" else {}
    plain, body = await sent(row, request(**without)), await sent(row, request(**wish))
    assert body != plain
    assert marker in json.dumps(body)


@pytest.mark.parametrize("row", WIRES, ids=lambda row: row.name)
async def test_extra_is_the_way_around_a_refusal(row: Row) -> None:
    body = await sent(row, request(extra={"marker_of_mine": [1]}))
    assert body["marker_of_mine"] == [1]


NDJSON = "application/x-ndjson"
SHOWN: dict[str, tuple[bytes, str]] = {
    "openai_chat": (
        chat_bodies.chunk({"reasoning_content": "hm"}) + chat_bodies.STOP,
        "text/event-stream",
    ),
    "openai_responses": (
        responses_bodies.summary("hm") + responses_bodies.completed(),
        "text/event-stream",
    ),
    "anthropic": (
        messages_events.start() + messages_events.thought(0, "hm") + messages_events.END,
        "text/event-stream",
    ),
    "gemini": (
        gemini_bodies.chunk(gemini_bodies.thought("hm")) + gemini_bodies.STOP,
        "text/event-stream",
    ),
    "ollama": (ollama_lines.say("", thinking="hm") + ollama_lines.STOP, NDJSON),
}
"""By wire: an answer that shows reasoning, and its content type."""


@pytest.mark.parametrize(
    "row", [row for row in WIRES if "reasoning" in row.supports], ids=lambda row: row.name
)
async def test_reasoning_is_shown(row: Row) -> None:
    body, content_type = SHOWN[row.module.split(".")[2]]
    async with Loopback(stream(body, content_type=content_type)) as server:
        turn = await model(row, server).complete(request())
    assert turn.reasoning == "hm"
