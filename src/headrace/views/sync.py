"""Runs and streams for programs without an event loop of their own."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, Generic, TypeVar

from headrace.errors import UsageError

T = TypeVar("T")

AHEAD = 64
"""Items that the stream may be ahead of its reader; then the stream waits."""


def run_sync(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run what `make` returns to its end, in an event loop of its own; Ctrl-C cancels it.

    Raises:
        UsageError: an event loop already runs in this thread.
        BaseException: whatever the coroutine raises, unchanged.
    """
    _refuse_in_loop("await the asynchronous form, such as agent.run()")
    return asyncio.run(make())


def stream_sync(make: Callable[[], AsyncIterator[T]]) -> Generator[T]:
    """Iterate over what `make` returns, without an event loop.

    The stream lives in a thread of its own with the caller's context variables; at most `AHEAD`
    items wait for the reader. Closing or dropping the generator, and Ctrl-C, close the stream
    (a run's stream cancels its run) and wait until its thread has ended.

    Raises:
        UsageError: an event loop already runs in this thread.
        BaseException: whatever the iteration raises, unchanged, after what came before it.
    """
    _refuse_in_loop("iterate over the asynchronous form, such as agent.run_stream()")
    return _iterate(_Bridge(make))


def _refuse_in_loop(instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError(
        "An event loop already runs in this thread, and the synchronous form would block it.",
        hint=f"Use {instead}.".replace("Use await", "Await").replace("Use iterate", "Iterate"),
    )


def _iterate(bridge: _Bridge[T]) -> Generator[T]:
    try:
        while True:
            more, item = bridge.take()
            if not more:
                return
            yield item  # type: ignore[misc]
    finally:
        bridge.close()
