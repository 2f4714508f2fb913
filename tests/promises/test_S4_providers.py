"""S4, sage-adk: OpenAI, Anthropic and Gemini, chosen by the environment, compared in a table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace import Agent
from headrace.providers.table import find_row, resolve_model
from tests.promises.providers_told import PROVIDERS, Told
from tests.support.loopback import Loopback, stream

DOCS = Path(__file__).parents[2] / "docs"
THREE = [told for told in PROVIDERS if told.provider in ("openai", "anthropic", "gemini")]


@pytest.mark.parametrize("told", THREE, ids=lambda told: told.provider)
async def test_S4_1_the_provider_that_the_environment_names_answers(told: Told) -> None:
    name = told.provider.upper()
    async with Loopback(stream(told.case.body)) as server:
        env = {
            "LLM_PROVIDER": told.provider,
            f"{name}_API_KEY": "the-key",
            f"{name}_MODEL": "my-model",
            f"{name}_BASE_URL": server.origin + told.path,
        }
        response = await Agent(model=resolve_model(env=env)).run("Tell me a story about AI")
        (request,) = server.requests
    assert response.content == told.case.ours.text
    assert response.model == f"{told.provider}:my-model"
    assert "the-key" in str(request.headers.values())
    assert "the-key" not in request.target
    assert "my-model" in request.target + request.body.decode()


@pytest.mark.parametrize("told", THREE, ids=lambda told: told.provider)
def test_S4_3_each_of_the_three_has_a_default_model(told: Told) -> None:
    row = find_row(told.provider)[0]
    env = {"LLM_PROVIDER": told.provider, row.keys[0]: "k"}
    assert row.model
    assert resolve_model(env=env).name == f"{told.provider}:{row.model}"


def test_S4_17_the_docs_compare_the_providers_in_a_table() -> None:
    page = (DOCS / "providers.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \|(.*)\|$", page, re.MULTILINE))
    for provider in ("openai", "anthropic", "gemini"):
        assert rows[provider].count("✓") >= 4
