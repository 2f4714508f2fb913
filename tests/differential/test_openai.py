"""OpenAI's SDK and our Chat Completions decoder read the same bytes."""

from __future__ import annotations

import pytest
from openai import AsyncOpenAI

from headrace.models.retry import NO_RETRY
from headrace.providers.openai_chat.client import OpenAIChat
from tests.differential.chat_chunks import ChunkReader
from tests.differential.harness import Case, Seen, check
from tests.differential.openai_bodies import CASES


def model(origin: str) -> OpenAIChat:
    return OpenAIChat("m", base_url=f"{origin}/v1", retry=NO_RETRY)


async def sdk(origin: str) -> Seen:
    async with AsyncOpenAI(api_key="k", base_url=f"{origin}/v1", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        return await ChunkReader().read(stream)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_they_agree_or_it_is_listed_why_not(case: Case) -> None:
    await check(case, model, sdk)


def test_there_are_enough_bodies() -> None:
    assert len(CASES) >= 25
    assert len({case.name for case in CASES}) == len(CASES)
