"""A tool is named to llama.cpp's server, which knows a tool choice as a word only."""

from __future__ import annotations

import pytest

from headrace.models.deltas import ToolCallDelta
from headrace.models.request import ModelRequest, ToolSpec
from headrace.providers.table import resolve_model
from tests.e2e.llama_server import LlamaServer

TOOLS = [
    ToolSpec(name, "", {"type": "object", "properties": {"x": {"type": "integer"}}})
    for name in ("alpha", "beta")
]


@pytest.mark.parametrize("name", ["alpha", "beta"])
async def test_the_named_tool_is_called(llama_tools: LlamaServer, name: str) -> None:
    model = resolve_model("llamacpp", base_url=llama_tools.base_url)
    request = ModelRequest.of("Hi", tools=TOOLS, tool_choice=name, max_tokens=60)
    names = set()
    async with model.stream(request) as batches:
        async for batch in batches:
            names |= {delta.name for delta in batch if isinstance(delta, ToolCallDelta)}
    assert names == {name}
