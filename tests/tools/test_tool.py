"""`@tool`: what becomes of a function."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from headrace.errors import UsageError
from headrace.tools.tool import Tool, as_tool, tool, tool_table


@tool
def search(query: str) -> str:
    """Search for information."""
    return f"found {query}"


def test_a_tool_is_still_the_function() -> None:
    assert search("x") == "found x"
    assert search.__name__ == "search"
    assert search.__doc__ == "Search for information."
    assert repr(search) == "<Tool search>"


def test_bare_and_with_options() -> None:
    @tool(name="find-it", description="Finds.", read_only=True, idempotent=True, timeout=5)
    def find(query: str) -> str:
        """Not this."""
        return query

    assert (search.name, search.description) == ("search", "Search for information.")
    assert (search.read_only, search.idempotent, search.timeout) == (False, False, None)
    assert (find.spec.name, find.spec.description) == ("find-it", "Finds.")
    assert (find.read_only, find.idempotent, find.timeout) == (True, True, 5)
    assert find("q") == "q"


class Shelf:
    def __init__(self, books: int) -> None:
        self.books = books

    def count(self, least: int = 0) -> int:
        """Count the books."""
        return max(self.books, least)

    async def __call__(self, least: int) -> int:
        """Count as well."""
        return max(self.books, least)


def test_bound_methods_partials_and_callable_objects() -> None:
    count = as_tool(Shelf(3).count)
    assert count.spec.description == "Count the books."
    assert list(count.spec.parameters["properties"]) == ["least"]
    assert count(5) == 5
    called = Tool(Shelf(3), name="shelf")
    assert (called.kind, called.description) == ("coroutine", "Count as well.")
    part = Tool(functools.partial(Shelf(3).count, least=4), name="part")
    assert part.validate("{}") == {}
    assert part() == 4


def test_kinds() -> None:
    async def coroutine() -> None: ...

    def generator() -> Iterator[str]:
        yield ""

    async def async_generator() -> AsyncIterator[str]:
        yield ""

    kinds = [as_tool(f).kind for f in (Shelf(1).count, coroutine, generator, async_generator)]
    assert kinds == ["function", "coroutine", "generator", "async_generator"]


def _no_hint(x) -> None: ...  # type: ignore[no-untyped-def]
def _args(*x: int) -> None: ...
def _kwargs(**x: int) -> None: ...
def _positional(x: int, /) -> None: ...


@pytest.mark.parametrize(
    ("fn", "word"),
    [
        (_no_hint, "no type hint"),
        (_args, "variadic"),
        (_kwargs, "variadic"),
        (_positional, "positional-only"),
        (Shelf.count, "bound method"),
        (lambda: None, "cannot be named"),
        (3, "from int"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_at_once(fn: Callable[..., Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        as_tool(fn)


@pytest.mark.parametrize("name", ["", "a" * 65, "a b", "ä", "a.b", "a\n"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be named"):
        tool(name=name)(Shelf(1).count)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_timeout_is_more_than_nothing(seconds: float) -> None:
    with pytest.raises(UsageError, match="timeout"):
        tool(timeout=seconds)(Shelf(1).count)


def test_the_table_keeps_the_order_and_refuses_two_of_one_name() -> None:
    assert list(tool_table([search, Shelf(1).count])) == ["search", "count"]
    assert tool_table([search])["search"] is search
    with pytest.raises(UsageError, match="Two tools are named 'count'"):
        tool_table([Shelf(1).count, search, Shelf(2).count])


def test_the_decorator_does_not_import_pydantic() -> None:
    program = (
        "import sys\n"
        "from headrace.tools.tool import tool\n"
        "@tool\n"
        "def f(x: int) -> int: return x\n"
        "assert f(1) == 1\n"
        "sys.exit('pydantic' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0  # noqa: S603 - our own text
