"""Ollama's SDK and our decoder read the same bytes."""

from __future__ import annotations

from typing import Any

import pytest
from ollama import AsyncClient

from headrace.models.retry import NO_RETRY
from headrace.providers.ollama.client import Ollama
from tests.differential.harness import Case, Seen, check
from tests.differential.ollama_bodies import CASES


def model(origin: str) -> Ollama:
    return Ollama("m", base_url=origin, retry=NO_RETRY)


class Reader:
    """Adds the SDK's lines up, as Ollama's own examples do."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: list[tuple[str, Any]] = []
        self.reason = "stop"
        self.usage: tuple[int, int] | None = None

    def take(self, part: Any) -> None:
        self.text += part.message.content or ""
        for call in part.message.tool_calls or ():
            self.calls.append((call.function.name, dict(call.function.arguments)))
        if part.prompt_eval_count is not None or part.eval_count is not None:
            self.usage = (part.prompt_eval_count or 0, part.eval_count or 0)
        # Ollama has no word of its own for calls: whoever reads them knows.
        ended = "tool_calls" if self.calls else "stop"
        self.reason = "length" if part.done_reason == "length" else ended

    @property
    def seen(self) -> Seen:
        return Seen(self.text, tuple(self.calls), self.reason, self.usage)


async def sdk(origin: str) -> Seen:
    reader = Reader()
    async with AsyncClient(host=origin) as client:
        try:
            messages = [{"role": "user", "content": "hi"}]
            async for part in await client.chat(model="m", messages=messages, stream=True):
                reader.take(part)
        except Exception:  # whatever the SDK raises
            reader.reason = "error"
    return reader.seen


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_they_agree_or_it_is_listed_why_not(case: Case) -> None:
    await check(case, model, sdk, content_type="application/x-ndjson")


def test_there_are_enough_bodies() -> None:
    assert len(CASES) >= 25
    assert len({case.name for case in CASES}) == len(CASES)
