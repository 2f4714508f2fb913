"""Each provider behind its own wire, served from loopback: what it streams and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.models.model import BaseModel
from headrace.providers.table import resolve_model
from tests.differential import (
    anthropic_bodies,
    gemini_bodies,
    groq_bodies,
    ollama_bodies,
    openai_bodies,
    openai_responses_bodies,
)
from tests.differential.harness import Case

NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class Told:
    """A provider's plain answer, as its own documentation shows it."""

    provider: str
    case: Case
    content_type: str = "text/event-stream"
    path: str = ""

    def model(self, origin: str) -> BaseModel:
        named = f"{self.provider}:some-model"
        model = resolve_model(named, base_url=origin + self.path, api_key="k", env={})
        assert isinstance(model, BaseModel)
        return model


def _plain(cases: Sequence[Case]) -> Case:
    """The first body that holds a text and nothing else; in pieces, as the tests of it demand."""
    return next(
        c for c in cases if len(c.ours.text) > 3 and c.ours == _only_text(c) and c.ours.usage
    )


def _named(cases: Sequence[Case], name: str) -> Case:
    return next(case for case in cases if case.name == name)


def _only_text(case: Case) -> object:
    return type(case.ours)(case.ours.text, (), "stop", case.ours.usage)


PROVIDERS = (
    Told("openai", _plain(openai_bodies.CASES), path="/v1"),
    Told("openai-responses", _plain(openai_responses_bodies.CASES), path="/v1"),
    Told("anthropic", _plain(anthropic_bodies.CASES)),
    Told("gemini", _named(gemini_bodies.CASES, "cumulative usage"), path="/v1beta"),
    Told("groq", _plain(groq_bodies.CASES), path="/openai/v1"),
    Told("ollama", _plain(ollama_bodies.CASES), NDJSON),
    Told("azure", _plain(openai_bodies.CASES)),
)
"""The wires that users of the five systems know, and OpenAI's second one."""
