"""Which calls of a tool a person is asked about."""

from __future__ import annotations

import functools

import pytest

from headrace.errors import UsageError
from headrace.tools.context import RunContext
from headrace.tools.tool import Tool, tool


def test_a_tool_asks_no_one_by_default() -> None:
    @tool
    def look(at: str) -> str:
        """Look."""
        return at

    assert not look.approval
    assert not look.needs_approval({"at": "x"})


def test_a_predicate_gets_what_the_tool_would_get() -> None:
    seen: list[object] = []

    def asks(amount: int, to: str = "its own") -> bool:
        seen.append((amount, to))
        return amount > 100

    @tool(approval=asks)
    def pay(amount: int, run: RunContext, to: str = "the tool's") -> str:
        """Pay."""
        return f"{amount} {to} {run}"

    assert not pay.needs_approval(pay.validate('{"amount": "100"}'))  # converted
    assert pay.needs_approval(pay.validate('{"amount": 101, "to": "x"}'))
    assert seen == [(100, "the tool's"), (101, "x")]


@pytest.mark.parametrize("says", [functools.partial(lambda least, amount: amount > least, 5), min])
def test_partials_and_builtins_serve(says: object) -> None:
    def pay(amount: int) -> int:
        """Pay."""
        return amount

    made = Tool(pay, approval=says)  # type: ignore[arg-type]
    assert made.needs_approval({"amount": 6})  # and `min` refuses, so a person is asked
    if says is not min:
        assert not made.needs_approval({"amount": 5})


def test_an_object_with_a_coroutine_is_refused() -> None:
    class Later:
        async def __call__(self, amount: int) -> bool:
            return True

    def pay(amount: int) -> int:
        """Pay."""
        return amount

    with pytest.raises(UsageError, match="coroutine"):
        Tool(pay, approval=Later())
