"""The vendor's own SDK: ``chat.completions.create(stream=True)``."""

from __future__ import annotations

from openai import AsyncOpenAI

from bench import client


class OpenAI(client.Program):
    async def open(self, base_url: str) -> None:
        self.sdk = AsyncOpenAI(base_url=base_url, api_key="test", max_retries=0)

    async def watch(self, seen: client.Seen) -> None:
        stream = await self.sdk.chat.completions.create(
            model=client.MODEL,
            messages=[{"role": "user", "content": client.PROMPT}],
            stream=True,
        )
        async for chunk in stream:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                seen(text)

    async def close(self) -> None:
        await self.sdk.close()


if __name__ == "__main__":
    client.serve_task(OpenAI())
