"""pydantic-ai: ``Agent.run_stream`` and the text's deltas, without its debouncing."""

from __future__ import annotations

from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from bench import client


class PydanticAI(client.Program):
    async def open(self, base_url: str) -> None:
        # A client of its own: the shared one allows 100 connections, and 500 streams need more.
        self.sdk = AsyncOpenAI(base_url=base_url, api_key="test", max_retries=0)
        provider = OpenAIProvider(openai_client=self.sdk)
        self.agent = Agent(OpenAIChatModel(client.MODEL, provider=provider))

    async def watch(self, seen: client.Seen) -> None:
        async with self.agent.run_stream(client.PROMPT) as result:
            async for text in result.stream_text(delta=True, debounce_by=None):
                seen(text)

    async def close(self) -> None:
        await self.sdk.close()


if __name__ == "__main__":
    client.serve_task(PydanticAI())
