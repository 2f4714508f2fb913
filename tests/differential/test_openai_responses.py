"""OpenAI's SDK and our Responses decoder read the same bytes."""

from __future__ import annotations

from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAIError

from headrace.models.retry import NO_RETRY
from headrace.providers.openai_responses.client import OpenAIResponses
from tests.differential.harness import Case, Seen, check, value
from tests.differential.openai_responses_bodies import CASES

DELTAS = ("response.output_text.delta", "response.refusal.delta")
ENDS = ("response.completed", "response.incomplete", "response.failed")
REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


def model(origin: str) -> OpenAIResponses:
    return OpenAIResponses("m", base_url=f"{origin}/v1", retry=NO_RETRY)


async def sdk(origin: str) -> Seen:
    """What a caller of the SDK has in hand: the answer of the last event, or the pieces so far."""
    async with AsyncOpenAI(api_key="k", base_url=f"{origin}/v1", max_retries=0) as client:
        stream = await client.responses.create(model="m", input="hi", stream=True)
        pieces: list[str] = []
        try:
            async for event in stream:
                if event.type in DELTAS:
                    pieces.append(getattr(event, "delta", ""))
                elif event.type in ENDS:
                    return ended(event.type, getattr(event, "response", None), pieces)
        except (OpenAIError, ValueError):
            return Seen("".join(pieces), (), "error")
    return Seen("".join(pieces))


def ended(kind: str, response: Any, pieces: list[str]) -> Seen:
    output = getattr(response, "output", None)
    parts = [part for item in output or () if item.type == "message" for part in item.content]
    text = "".join(p.text if p.type == "output_text" else p.refusal for p in parts)
    calls = tuple((i.name, value(i.arguments)) for i in output or () if i.type == "function_call")
    reason = "tool_calls" if calls else "stop"
    if kind == "response.incomplete":
        reason = REASONS[response.incomplete_details.reason]
    if kind == "response.failed" or output is None:
        text = "".join(pieces)
    reason = "error" if kind == "response.failed" else reason
    usage: Any = getattr(response, "usage", None)
    counts = (usage.input_tokens, usage.output_tokens) if hasattr(usage, "input_tokens") else None
    return Seen(text, calls, reason, counts)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_they_agree_or_it_is_listed_why_not(case: Case) -> None:
    await check(case, model, sdk)


def test_there_are_enough_bodies() -> None:
    assert len(CASES) >= 25
    assert len({case.name for case in CASES}) == len(CASES)
