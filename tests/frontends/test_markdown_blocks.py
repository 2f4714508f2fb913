"""The splitter loses nothing, does not depend on cuts, and ends blocks where Markdown does."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.frontends.markdown_blocks import MAX_BLOCK, Block, BlockSplitter

PIECES = st.sampled_from(
    [
        *("\n", "\n", "\n\n", "\r\n", "\r", " ", "  ", "    ", "\t", "\x0b", "a", "word ", "é✓"),
        *(
            "```",
            "```py\n",
            "````",
            "~~~",
            "~",
            "`",
            "- ",
            "* ",
            "-",
            "1. ",
            "12)",
            "3",
            "# ",
            "##",
        ),
        *("> ", "| a | b |\n", "|---|---|\n", "===", "---", "x" * (MAX_BLOCK // 2), "l\n" * 900),
    ]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join)


def split(pieces: list[str]) -> list[Block]:
    splitter = BlockSplitter()
    done = [block for piece in pieces for block in splitter.feed(piece)]
    return done + splitter.close()


def cut(text: str, at: list[int]) -> list[str]:
    places = sorted({min(i, len(text)) for i in at} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(places)]


def texts(markdown: str) -> list[str]:
    return [block.text for block in split([markdown])]


@given(TEXTS, st.lists(st.integers(0, 400), max_size=30))
def test_blocks_joined_are_the_text_and_never_depend_on_cuts(text: str, at: list[int]) -> None:
    whole = split([text])
    assert "".join(block.text for block in whole) == text
    assert split(cut(text, at)) == whole


@given(TEXTS)
def test_one_character_at_a_time_is_the_same_and_open_is_always_the_rest(text: str) -> None:
    text = text[:2000]
    splitter = BlockSplitter()
    done: list[Block] = []
    for i, char in enumerate(text, 1):
        done += splitter.feed(char)
        assert "".join(b.text for b in done) + splitter.open.text == text[:i]
    assert done + splitter.close() == split([text])


@given(TEXTS)
def test_no_block_passes_the_bound(text: str) -> None:
    assert all(len(block.text) <= MAX_BLOCK for block in split([text]))


@pytest.mark.parametrize(
    ("markdown", "blocks"),
    [
        ("one\ntwo\n\nthree", ["one\ntwo\n\n", "three"]),
        ("# Title\ntext\n", ["# Title\n", "text\n"]),
        ("text\n## Next\n", ["text\n", "## Next\n"]),
        (
            "see:\n```py\na = 1\n\nb = 2\n```\nafter",
            ["see:\n", "```py\na = 1\n\nb = 2\n```\n", "after"],
        ),
        ("````\n```\n\n````\nx", ["````\n```\n\n````\n", "x"]),
        ("~~~\n```\n~~~\nx", ["~~~\n```\n~~~\n", "x"]),
        ("```not ` a fence\n\nx", ["```not ` a fence\n\n", "x"]),
        ("    ```\n\nx", ["    ```\n\n", "x"]),
        ("- a\n- b\n\nx", ["- a\n- b\n\n", "x"]),
        ("- a\n\n- b\n\n  more\n\nx", ["- a\n\n- b\n\n  more\n\n", "x"]),
        (
            "1. a\n   ```\n   code\n\n   ```\n2. b\n\nx",
            ["1. a\n   ```\n   code\n\n   ```\n2. b\n\n", "x"],
        ),
        ("steps:\n- a\n\n- b\n\nx", ["steps:\n", "- a\n\n- b\n\n", "x"]),
        ("title\n-----\nx\n\n", ["title\n-----\nx\n\n"]),
        ("| a |\n|---|\n| 1 |\n\nx", ["| a |\n|---|\n| 1 |\n\n", "x"]),
        ("> a\n> b\n\nx", ["> a\n> b\n\n", "x"]),
        ("", []),
    ],
)
def test_where_blocks_end(markdown: str, blocks: list[str]) -> None:
    assert texts(markdown) == blocks


def test_a_fence_is_open_until_it_is_closed() -> None:
    splitter = BlockSplitter()
    assert splitter.feed("```\nline\n\nline\n``") == []
    assert splitter.open.text == "```\nline\n\nline\n``"
    assert [block.text for block in splitter.feed("`\n")] == ["```\nline\n\nline\n```\n"]
    assert splitter.open.text == ""


def test_a_list_is_done_as_soon_as_a_paragraph_begins_after_it() -> None:
    splitter = BlockSplitter()
    assert splitter.feed("1. a\n\n") == []
    assert splitter.feed("2") == []
    assert splitter.feed(" is no item") == [Block("1. a\n\n")]
    assert splitter.open.text == "2 is no item"


def test_an_endless_code_block_comes_in_pieces_that_each_keep_the_fence() -> None:
    line = "x = 1\n"
    blocks = split(["```python\n" + line * 3000 + "```\nafter"])
    assert len(blocks) > 2
    assert blocks[0].fence == ""
    assert {block.fence for block in blocks[1:-1]} == {"```python\n"}
    assert blocks[1].markdown.startswith("```python\nx = 1\n")
    assert blocks[-1] == Block("after")


def test_the_tail_of_a_long_open_code_block_is_its_last_lines_in_its_fence() -> None:
    splitter = BlockSplitter()
    splitter.feed("```py\n" + "".join(f"{i}\n" for i in range(100)) + "rest")
    assert splitter.tail(2) == Block("98\n99\nrest", "```py\n")
    assert splitter.tail(200) == splitter.open
    splitter.feed("\n```\n" + "text\n" * 100)
    assert splitter.tail(2) == splitter.open
