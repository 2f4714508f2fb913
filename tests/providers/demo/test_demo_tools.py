"""The demo's tools, run as a model's calls are."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.messages import ToolCall
from headrace.providers.demo.library import documentation
from headrace.providers.demo.tools import DEMO_TOOLS, MAX_PASSAGE, shortened
from headrace.tools.context import RunContext
from headrace.tools.execute import ToolOutcome, execute
from headrace.tools.tool import tool_table

TOOLS = tool_table(DEMO_TOOLS)


async def run(name: str, **arguments: Any) -> ToolOutcome:
    call = ToolCall("c1", name, json.dumps(arguments))
    return await execute(TOOLS[name], call, RunContext(), timeout=30, on_progress=print)


def test_they_are_read_only_and_well_described() -> None:
    assert list(TOOLS) == ["calculator", "clock", "search_docs"]
    for each in DEMO_TOOLS:
        assert each.read_only
        assert each.spec.description
        jsonschema.Draft202012Validator.check_schema(each.spec.parameters)
        for parameter in each.spec.parameters["properties"].values():
            assert parameter["description"]


async def test_the_calculator() -> None:
    assert (await run("calculator", expression="123 * 456")).output == "56088"
    failed = await run("calculator", expression="1/0")
    assert failed.error == "Cannot calculate: '1/0' has no value: division by zero."


async def test_the_clock() -> None:
    assert (await run("clock")).output.endswith("(UTC)")
    for zone in ("Mars/Base", "../../etc/passwd", "Europe", "", "\x00"):
        assert "There is no time zone" in str((await run("clock", timezone=zone)).error)


async def test_the_search_gives_pages_and_passages() -> None:
    outcome = await run("search_docs", query="What is Headrace: runs, streams, tools?")
    found = json.loads(outcome.output)
    assert 1 <= len(found) <= 3
    known = {(p.page, p.section) for p in documentation().passages}
    for passage in found:
        assert (passage["page"], passage["section"]) in known
        assert 0 < len(passage["text"]) <= MAX_PASSAGE + 10
    assert (await run("search_docs", query="zzzz")).output == "[]"


@given(
    st.lists(st.sampled_from(["word ", "\n\n", "```\n", "\n```", "x" * 30])), st.integers(20, 90)
)
def test_shortened_markdown_is_bounded(parts: list[str], limit: int) -> None:
    text = "".join(parts)
    short = shortened(text, limit)
    assert short == text or len(short) <= limit + len("\n```\n\n…")


@pytest.mark.parametrize("limit", range(20, 70))
def test_a_code_block_stays_closed(limit: int) -> None:
    text = "Before.\n\n```sh\nrun this\n\nand that\n```\n\nAfter all of it."
    assert shortened(text, limit).count("```") % 2 == 0
