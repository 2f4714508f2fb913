"""docs/agents.md: each kind emits what it promises, in a legal order, in each view."""

from __future__ import annotations

import asyncio

import pytest

from headrace.events import TERMINAL
from tests.agents import kinds_table as table
from tests.agents.kind_views import VIEWS, Seen, structural
from tests.agents.kinds import KINDS, Kind

PATIENCE = 30.0
TERMINALS = {str(kind.__struct_config__.tag) for kind in TERMINAL}


def wrong(kind: Kind, view: str, seen: Seen) -> list[str]:
    """Where a view shows something else than the kind promises."""
    unlike = table.difference(kind, view)
    promise = unlike.promise if unlike and unlike.promise else kind.promise
    content = unlike.content if unlike and unlike.content is not None else kind.content
    expected = promise if seen.whole else structural(promise)
    found = []
    if seen.types != expected:
        found.append(f"{seen.types}, not {expected}")
    if seen.text != content:
        found.append(f"the answer is {seen.text!r}, not {content!r}")
    if (promise.split()[-1] == "complete") != (seen.end in ("stop", "content_filter")):
        found.append(f"it ends with {seen.end}")
    return found


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.short)
async def test_a_kind_emits_what_it_promises_in_every_view(kind: Kind, view: str) -> None:
    async with asyncio.timeout(PATIENCE), kind.make() as agent:
        seen = await VIEWS[view](agent, kind)
        assert wrong(kind, view, seen) == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.short)
def test_a_broken_promise_is_found(kind: Kind) -> None:
    well, ill = "stop", "internal"
    if not kind.promise.endswith("complete"):
        well, ill = ill, well
    promise, content = kind.promise, kind.content
    assert wrong(kind, "start", Seen(promise, True, content, well)) == []
    assert wrong(kind, "start", Seen(promise.partition(" ")[2], True, content, well))
    assert wrong(kind, "start", Seen(structural(promise), True, content, well))
    assert wrong(kind, "start", Seen(promise, True, content + "!", well))
    assert wrong(kind, "start", Seen(promise, True, content, ill))


def test_the_page_is_up_to_date() -> None:
    page = table.PAGE.read_text("utf-8")
    assert page == table.written(page), f"run `{table.COMMAND}` (or `make docs`)"


def test_every_event_is_in_the_tables_once_or_may_come_anywhere() -> None:
    promised = {type_ for kind in KINDS for type_ in kind.promise.split()}
    assert promised | set(table.ANY) == set(table.types())
    for kind in KINDS:
        *before, last = kind.promise.split()
        assert last in TERMINALS
        assert not TERMINALS & set(before)


def test_a_changed_kind_changes_the_page() -> None:
    page = table.PAGE.read_text("utf-8")
    KINDS.append(Kind("odd", "odd one", KINDS[0].make, "run_start input complete", ""))
    try:
        assert "| odd one |" in table.written(page)
        assert "| `input` |" in table.written(page)
    finally:
        KINDS.pop()
