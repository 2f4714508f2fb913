"""litellm: ``acompletion(stream=True)``."""

from __future__ import annotations

import litellm

from bench import client


class LiteLLM(client.Program):
    async def open(self, base_url: str) -> None:
        self.base_url = base_url

    async def watch(self, seen: client.Seen) -> None:
        stream = await litellm.acompletion(
            model=f"openai/{client.MODEL}",
            api_base=self.base_url,
            api_key="test",
            messages=[{"role": "user", "content": client.PROMPT}],
            stream=True,
            num_retries=0,
        )
        async for chunk in stream:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                seen(text)


if __name__ == "__main__":
    client.serve_task(LiteLLM())
