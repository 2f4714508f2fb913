"""openai-agents: ``Runner.run_streamed`` over chat completions, tracing off."""

from __future__ import annotations

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI

from bench import client


class OpenAIAgents(client.Program):
    async def open(self, base_url: str) -> None:
        set_tracing_disabled(True)
        self.sdk = AsyncOpenAI(base_url=base_url, api_key="test", max_retries=0)
        model = OpenAIChatCompletionsModel(model=client.MODEL, openai_client=self.sdk)
        self.agent = Agent(name="bench", model=model)

    async def watch(self, seen: client.Seen) -> None:
        result = Runner.run_streamed(self.agent, client.PROMPT)
        async for event in result.stream_events():
            if event.type != "raw_response_event":
                continue
            if event.data.type == "response.output_text.delta":
                seen(event.data.delta)

    async def close(self) -> None:
        await self.sdk.close()


if __name__ == "__main__":
    client.serve_task(OpenAIAgents())
