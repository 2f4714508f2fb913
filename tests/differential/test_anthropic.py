"""Anthropic's own SDK and our decoder read the same Messages streams."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic import AnthropicError, AsyncAnthropic
from anthropic.types import Message

from headrace.models.retry import NO_RETRY
from headrace.providers.anthropic.client import Anthropic
from tests.differential.anthropic_bodies import CASES
from tests.differential.harness import Case, Seen, check

REASONS = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


def ours(origin: str) -> Anthropic:
    return Anthropic("claude-haiku-5-5", base_url=origin, api_key="test", retry=NO_RETRY)


async def theirs(origin: str) -> Seen:
    """What the SDK's helper for streams has put together, at the end or when it raised."""
    question: Any = [{"role": "user", "content": "hi"}]
    async with (
        AsyncAnthropic(api_key="test", base_url=origin, max_retries=0) as client,
        client.messages.stream(
            model="claude-haiku-5-5", max_tokens=100, messages=question
        ) as stream,
    ):
        try:
            async for _ in stream:
                pass
        except (AnthropicError, ValueError, RuntimeError):
            return seen(snapshot(stream), failed=True)
        message = snapshot(stream)
        return seen(message, failed=message is None)


def snapshot(stream: Any) -> Message | None:
    """The message so far; the SDK has none before `message_start`."""
    try:
        message: Message = stream.current_message_snapshot
    except AssertionError:
        return None
    return message


def seen(message: Message | None, *, failed: bool) -> Seen:
    if message is None:
        return Seen(finish_reason="error")
    text = "".join(block.text for block in message.content if block.type == "text")
    calls = tuple((b.name, b.input) for b in message.content if b.type == "tool_use")
    usage = message.usage
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    reason = REASONS.get(message.stop_reason or "", "tool_calls" if calls else "stop")
    counts = (usage.input_tokens + cached, usage.output_tokens)
    return Seen(text, calls, "error" if failed else reason, counts)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_sdk_and_we_see_the_same(case: Case) -> None:
    await check(case, ours, theirs)
