"""langchain: ``ChatOpenAI.astream``."""

from __future__ import annotations

from langchain_openai import ChatOpenAI

from bench import client


class LangChain(client.Program):
    async def open(self, base_url: str) -> None:
        self.chat = ChatOpenAI(model=client.MODEL, base_url=base_url, api_key="test", max_retries=0)

    async def watch(self, seen: client.Seen) -> None:
        async for chunk in self.chat.astream(client.PROMPT):
            if chunk.content:
                seen(chunk.content)


if __name__ == "__main__":
    client.serve_task(LangChain())
