"""docs/providers.md is what the rows and the differential tests say."""

from __future__ import annotations

from headrace.providers.features import FEATURES
from headrace.providers.rows import ROWS
from tests.differential import openai_bodies, page
from tests.differential.harness import Case, Seen


def test_the_page_is_up_to_date() -> None:
    written = page.PAGE.read_text("utf-8") if page.PAGE.exists() else ""
    assert written == page.page(), f"run `{page.COMMAND}` (or `make docs`) and look at the changes"


def test_every_provider_and_feature_is_on_it() -> None:
    lines = page.page().splitlines()
    for row in ROWS:
        if row.keys:
            (line,) = [line for line in lines if line.startswith(f"| `{row.name}` |")]
            assert line.count("✓") == len(row.supports)
            assert line.count("✓") + line.count("✗") == len(FEATURES)


def test_every_disagreement_is_on_it() -> None:
    text = page.page()
    for module in page._modules():
        for case in module.CASES:
            assert case.differs in text
            assert "|" not in case.name + case.differs


def test_a_changed_body_changes_the_page() -> None:
    before = page.page()
    openai_bodies.CASES.append(Case("odd", b"", Seen(), "Because.", frozenset({"text"})))
    try:
        assert page.page() != before
        assert "| odd |" in page.page()
    finally:
        openai_bodies.CASES.pop()
