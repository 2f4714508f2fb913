"""S2, goagents: four providers and more, Ollama's NDJSON, and enough tests of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.messages import Message
from headrace.providers.ollama.client import Ollama
from tests.promises.providers_told import NDJSON, PROVIDERS, Told
from tests.support.loopback import Loopback, stream

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("told", PROVIDERS, ids=lambda told: told.provider)
async def test_S2_7_each_provider_streams_a_chat_and_a_completion(told: Told) -> None:
    answer = stream(told.case.body, content_type=told.content_type)
    async with Loopback(answer) as server:
        model = told.model(server.origin)
        chat = [c.content async for c in model.chat_stream([Message.user("Hello")])]
        completion = [c.content async for c in model.complete_stream("Hello")]
    assert "".join(chat) == "".join(completion) == told.case.ours.text
    assert chat == completion
    assert sum(bool(piece) for piece in chat) > 1  # pieces, not the whole answer named a piece


async def test_S2_11_ollama_sends_a_line_of_json_for_each_piece() -> None:
    lines = [
        b'{"model":"llama3.2","message":{"role":"assistant","content":"Hello"},"done":false}\n',
        b'{"model":"llama3.2","message":{"role":"assistant","content":" world"},"done":false}\n',
        b'{"model":"llama3.2","message":{"role":"assistant","content":"!"},"done":true,'
        b'"done_reason":"stop","prompt_eval_count":3,"eval_count":4}\n',
    ]
    async with Loopback(stream(*lines, content_type=NDJSON)) as server:
        model = Ollama("llama3.2", base_url=server.origin)
        chunks = [chunk async for chunk in model.chat_stream("Hi")]
        (request,) = server.requests
    assert request.target == "/api/chat"
    assert request.json["stream"] is True
    assert [chunk.content for chunk in chunks[:-1]] == ["Hello", " world", "!"]
    assert [chunk.index for chunk in chunks] == [0, 1, 2, 3]
    assert chunks[-1].is_final
    assert chunks[-1].finish_reason == "stop"
    assert chunks[-1].metadata is not None
    assert chunks[-1].metadata["tokens"] == 7


def _tests_in(folder: Path) -> Iterator[str]:
    for path in folder.rglob("test_*.py"):
        yield from re.findall(
            r"^(?:async )?def (test_\w+)\(", path.read_text("utf-8"), re.MULTILINE
        )


@pytest.mark.parametrize(
    "provider", ["anthropic", "gemini", "ollama", "openai_chat", "openai_responses"]
)
def test_S2_18_each_provider_has_at_least_eight_tests(provider: str) -> None:
    assert len(list(_tests_in(TESTS / "providers" / provider))) >= 8


def test_S2_18_there_are_at_least_thirty_of_streaming_and_ten_of_the_agent() -> None:
    assert len(list(_tests_in(TESTS / "agents"))) >= 10
    assert len(list(_tests_in(TESTS))) >= 30
