"""The documentation in passages, and the search in them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from headrace.providers.demo.library import (
    BUILT_IN,
    SHORTEST,
    Library,
    documentation,
    pages,
    split,
    words,
)

PAGE = """# Boats

A boat carries people over the water of a river or of a lake.

## Oars

```sh
# not a heading, but a comment in a block of code
row --hard --until "the other side"
```

### Care

Short.

## Sails

A sail takes the wind; where there is no wind it takes nothing.
"""


def test_a_page_is_split_at_its_headings() -> None:
    passages = list(split("boats.md", PAGE))
    assert [p.section for p in passages] == ["Boats", "Boats > Oars", "Boats > Sails"]
    assert passages[1].text.startswith("```sh\n# not a heading")
    assert passages[1].text.endswith("```")
    assert {p.page for p in passages} == {"boats.md"}


@given(st.lists(st.sampled_from(["# a", "## b", "#### c", "", "text " * 10, "```", "~~~"])))
def test_no_text_of_a_section_is_lost_or_doubled(lines: list[str]) -> None:
    passages = list(split("p", "\n".join(lines)))
    kept = "\n".join(p.text for p in passages)
    assert kept.count("text") == 10 * lines.count("text " * 10)
    assert all(len(p.text) >= SHORTEST for p in passages)


LIBRARY = Library(split("boats.md", PAGE))


def test_the_best_passage_comes_first() -> None:
    assert LIBRARY.search("what does a sail do with the wind?")[0].section == "Boats > Sails"
    assert LIBRARY.search("rowing hard")[0].section == "Boats > Oars"
    assert LIBRARY.search("sails, rivers", limit=1)[0].section == "Boats > Sails"
    assert LIBRARY.search("the quick brown fox") == []
    assert LIBRARY.search("") == []


def test_a_word_finds_its_other_forms() -> None:
    assert words("Cancelling cancelled cancels cancel") == ["cancel"] * 4
    assert words("streaming streams, streamed") == ["stream"] * 3
    assert words("How does it do this?") == []


@given(st.text(max_size=80))
def test_the_same_query_finds_the_same(query: str) -> None:
    again = Library(split("boats.md", PAGE))
    assert LIBRARY.search(query) == again.search(query)


def test_without_pages_there_is_a_built_in_passage() -> None:
    library = Library(())
    assert library.passages == (BUILT_IN,)
    assert library.search("what is a run?") == [BUILT_IN]


def test_pages_are_named_from_the_root(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    (docs / "guide").mkdir(parents=True)
    (docs / "decisions").mkdir()
    (docs / "guide" / "boats.md").write_text(PAGE, "utf-8")
    (docs / "decisions" / "0001.md").write_text(PAGE, "utf-8")
    (docs / "bad.md").write_bytes(b"# Bad\n\n" + b"\xff" * 50)
    readme = tmp_path / "README.md"
    assert {p.page for p in pages(docs, readme)} == {"docs/bad.md", "docs/guide/boats.md"}
    readme.write_text(PAGE, "utf-8")
    assert next(iter(pages(docs, readme))).page == "README.md"
    assert list(pages(tmp_path / "missing", tmp_path / "missing.md")) == []


def test_headraces_own_documentation_is_there() -> None:
    library = documentation()
    assert library.passages
    assert all(p.page and p.section and p.text for p in library.passages)
    assert documentation() is library
