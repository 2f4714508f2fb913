"""Names: valid for every provider, apart from each other, the same in every process."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import UsageError
from headrace.tools.mcp.tool_names import MAX_NAME, checked_prefix, tool_names
from headrace.tools.tool import is_tool_name

NEAR = st.text("ab./_-ü", max_size=4) | st.text("a.", min_size=60, max_size=70) | st.text()
PREFIX = st.text("ab_-9", max_size=32)


@given(st.lists(NEAR, max_size=8), PREFIX)
def test_every_name_is_valid_and_another(names: list[str], prefix: str) -> None:
    ours = tool_names(names, checked_prefix(prefix))
    assert set(ours) == set(names)
    assert all(is_tool_name(name) for name in ours.values())
    assert len(set(ours.values())) == len(set(names))


@given(st.lists(NEAR, max_size=8), st.randoms(use_true_random=False))
def test_a_name_does_not_depend_on_the_order(names: list[str], random: object) -> None:
    assert tool_names(names) == tool_names(reversed(names))


def test_valid_names_stay() -> None:
    assert tool_names(["read_file", "a-b"], "fs_") == {"read_file": "fs_read_file", "a-b": "fs_a-b"}
    assert tool_names(["files.list"]) == {"files.list": "files_list"}
    ours = tool_names(["a.b", "a_b", "a/b"])
    assert ours["a_b"] == "a_b"
    assert len(tool_names(["x" * 128])["x" * 128]) == MAX_NAME


@pytest.mark.parametrize("prefix", ["a.", "x" * 33, "ü"])
def test_a_bad_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(UsageError, match="cannot begin with"):
        checked_prefix(prefix)
