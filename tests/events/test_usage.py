"""Usage adds up, and says whether it is exact."""

from __future__ import annotations

from hypothesis import given

from headrace.usage import Receipt, Usage
from tests.strategies import of

USAGES = of(Usage)


@given(USAGES, USAGES)
def test_adding_adds_each_field(a: Usage, b: Usage) -> None:
    total = a + b
    for name in ("input", "output", "cached", "reasoning"):
        assert getattr(total, name) == getattr(a, name) + getattr(b, name)
    assert total.exact is (a.exact and b.exact)
    assert total == b + a
    assert total.total == a.total + b.total


@given(USAGES)
def test_nothing_added_changes_nothing(usage: Usage) -> None:
    assert usage + Usage() == usage


def test_cached_and_reasoning_are_parts_and_are_not_counted_again() -> None:
    assert Usage(input=100, output=20, cached=90, reasoning=15).total == 120


def test_receipts_share_no_tools() -> None:
    first, second = Receipt(), Receipt()
    first.tools["call_1"] = "running"
    assert second.tools == {}
