"""Whether something streams is a question that a program can ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from headrace import Agent, Network, ReActAgent
from headrace.agents.streaming import StreamingAgent
from headrace.models.chunk import StreamChunk
from headrace.models.model import Model
from headrace.models.streaming import StreamingModel
from headrace.providers.table import resolve_model
from headrace.testing import ScriptedModel


@pytest.mark.parametrize("kind", [Agent, ReActAgent])
def test_every_kind_of_agent_streams(kind: type[Agent]) -> None:
    assert isinstance(kind("a", ScriptedModel()), StreamingAgent)


def test_a_network_streams() -> None:
    below = Agent("below", description="Is below.")
    assert isinstance(Network("n", agents=[below]), StreamingAgent)


@pytest.mark.parametrize(
    "name", ["openai:x", "anthropic:x", "gemini:x", "groq:x", "ollama:x", "demo"]
)
def test_every_model_streams(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in ("OPENAI", "ANTHROPIC", "GEMINI", "GROQ"):
        monkeypatch.setenv(f"{provider}_API_KEY", "no-key")
    assert isinstance(resolve_model(name), StreamingModel)


class Half:
    """What has only one half of a capability."""

    name = provider = "half"

    def run_stream(self, message: str) -> AsyncIterator[StreamChunk]:
        raise NotImplementedError

    def stream(self, request: Any) -> Any:
        raise NotImplementedError

    def chat_stream(self, messages: Any, **options: Any) -> AsyncIterator[StreamChunk]:
        raise NotImplementedError


def test_half_a_capability_is_none() -> None:
    assert isinstance(Half(), Model)
    assert not isinstance(Half(), StreamingModel)
    assert not isinstance(Half(), StreamingAgent)


def test_an_agent_is_no_model_and_a_model_no_agent() -> None:
    assert not isinstance(Agent(model=ScriptedModel()), StreamingModel)
    assert not isinstance(ScriptedModel(), StreamingAgent)
