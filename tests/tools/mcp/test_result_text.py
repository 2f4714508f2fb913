"""What a server gave back, as text."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_types import CallToolResult, TextContent

from headrace.errors import ToolError
from headrace.tools.mcp.result_text import progress_text, result_text


def given(*texts: str, structured: Any = None, failed: bool = False) -> CallToolResult:
    content: Any = [TextContent(text=text) for text in texts]
    return CallToolResult(content=content, structured_content=structured, is_error=failed)


def test_texts_are_joined() -> None:
    assert result_text(given("one", "", "two")) == "one\ntwo"
    assert result_text(given()) == ""


@pytest.mark.parametrize(
    ("texts", "structured"),
    [
        (['{"b": 2, "a": [1]}'], {"a": [1], "b": 2}),
        (["3"], {"result": 3}),
        (["plain"], {"result": "plain"}),
        (["3"], {"result": "3"}),
        (["1", "2"], {"result": [1, 2]}),
        (["a", "b"], {"result": ["a", "b"]}),
        (['{"x": 1}'], {"result": {"x": 1}}),
    ],
)
def test_what_a_text_says_is_not_said_again(texts: list[str], structured: Any) -> None:
    assert result_text(given(*texts, structured=structured)) == "\n".join(texts)


@pytest.mark.parametrize(
    ("texts", "structured", "said"),
    [
        ([], {"x": "ü"}, '{"x": "ü"}'),
        (["3 rows"], {"rows": [1, 2, 3]}, '3 rows\n{"rows": [1, 2, 3]}'),
        (["2"], {"result": 3}, '2\n{"result": 3}'),
    ],
)
def test_structured_content_is_not_lost(texts: list[str], structured: Any, said: str) -> None:
    assert result_text(given(*texts, structured=structured)) == said


def test_a_failure_is_the_tools_error() -> None:
    with pytest.raises(ToolError, match=r"^no such file$"):
        result_text(given("no such file", failed=True))
    with pytest.raises(ToolError, match="did not say why"):
        result_text(given(failed=True))


def test_progress_is_told_in_words() -> None:
    assert progress_text(3, 10, "reading") == "reading (3/10)"
    assert progress_text(3, None, "reading") == "reading"
    assert progress_text(0.5, 1, None) == "0.5/1"
    assert progress_text(3, None, "") == "3"
