"""Headrace's model for each other wire: batches of deltas from a socket, every default as it is."""

from __future__ import annotations

import sys
from importlib import import_module

from bench import client, ours

MODELS = {
    "anthropic": ("headrace.providers.anthropic.client", "Anthropic", "claude-haiku-4-5"),
    "responses": ("headrace.providers.openai_responses.client", "OpenAIResponses", "gpt-5-mini"),
    "gemini": ("headrace.providers.gemini.client", "Gemini", "gemini-2.5-flash"),
    "ollama": ("headrace.providers.ollama.client", "Ollama", "llama3.2"),
}


class WireAdapter(ours.Adapter):
    """The provider's client alone."""

    def __init__(self, wire: str) -> None:
        self.wire = wire

    async def open(self, base_url: str) -> None:
        module, factory, model = MODELS[self.wire]
        make = getattr(import_module(module), factory)
        self.model = make(model, base_url=f"{base_url}/{self.wire}", api_key="test")


if __name__ == "__main__":
    client.serve_task(WireAdapter(sys.argv[1]))
