"""A running llama.cpp server, as the tests see it."""

from __future__ import annotations

import urllib.request

import msgspec


class LlamaServer:
    """A running server and what it tells of itself."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.base_url = f"{self.url}/v1"

    def get(self, path: str) -> object:
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310
            return msgspec.json.decode(answer.read())

    def busy_slots(self) -> int:
        slots = self.get("/slots")
        assert isinstance(slots, list)
        return sum(bool(slot["is_processing"]) for slot in slots)
