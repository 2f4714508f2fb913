"""aiohttp and the floor's typed decode alone: Headrace's HTTP client without Headrace."""

from __future__ import annotations

import aiohttp

from bench import client, floor


class AiohttpFloor(client.Program):
    async def open(self, base_url: str) -> None:
        self.url = f"{base_url}/chat/completions"
        self.payload = floor.payload()
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def watch(self, seen: client.Seen) -> None:
        decoder = floor.Decoder()
        async with self.session.post(self.url, json=self.payload) as response:
            async for data in response.content.iter_any():
                for text in decoder.feed(data):
                    seen(text)

    async def drain(self) -> int:
        decoder = floor.Decoder()
        chars = 0
        async with self.session.post(self.url, json=self.payload) as response:
            async for data in response.content.iter_any():
                for text in decoder.feed(data):
                    chars += len(text)
        return chars

    async def close(self) -> None:
        await self.session.close()


if __name__ == "__main__":
    client.serve_task(AiohttpFloor())
