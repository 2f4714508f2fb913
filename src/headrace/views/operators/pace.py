"""Operators that let text out at a pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from itertools import takewhile
from typing import TypeVar

from headrace.views.operators.items import Held, Item, Numbering, join, kind
from headrace.views.operators.pump import Pump

T = TypeVar("T", bound=Item)


async def buffer(source: AsyncIterable[T], seconds: float = 0.05) -> AsyncGenerator[T]:
    """Join the text that comes within `seconds` of its first piece.

    Nothing waits longer than that. A structural item comes out at once, after the text that
    stands before it; so does the remainder at the end. (`throttle` lets the first piece through.)
    """
    now = asyncio.get_running_loop().time
    number = Numbering()
    held: Held[T] = Held()
    due: float | None = None
    async with Pump(source).tap() as tap:
        while not tap.over:
            fresh = await tap.read(until=due)
            held.add(fresh)
            ripe: list[T] = []
            if any(kind(item) is None for item in fresh):
                ripe, rest = _split_after_structural(held.take())
                held.add(rest)
                due = None
            elif due is not None and now() >= due:
                ripe, due = held.take(), None
            if held and due is None:
                due = now() + seconds
            for item in join(ripe):
                yield number(item)
        for item in join(held.take()):
            yield number(item)
        tap.check()


def _split_after_structural(items: list[T]) -> tuple[list[T], list[T]]:
    tail = len(list(takewhile(lambda item: kind(item) is not None, reversed(items))))
    return items[: len(items) - tail], items[len(items) - tail :]


async def throttle(source: AsyncIterable[T], seconds: float) -> AsyncGenerator[T]:
    """Let text out at most once in `seconds`, joined to one item; the first piece at once.

    The last text waits for its turn and is always sent. A structural item follows the text that
    stands before it without a wait of its own.
    """
    now = asyncio.get_running_loop().time
    number = Numbering()
    held: Held[T] = Held()
    due = now()
    async with Pump(source).tap() as tap:
        while held or not tap.over:
            waits = bool(held)  # then text stands first, and waits for its turn
            if tap.over:
                await asyncio.sleep(due - now())
            else:
                held.add(await tap.read(until=due if waits else None))
            if waits and now() < due:
                continue
            items = join(held.take())
            sent = 0
            for item in items:
                if kind(item) is not None:
                    if now() < due:
                        break
                    due = now() + seconds
                sent += 1
                yield number(item)
            held.add(items[sent:])
        tap.check()
