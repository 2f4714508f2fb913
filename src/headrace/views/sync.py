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
from headrace.views.operators.pump import close

T = TypeVar("T")

AHEAD = 64
"""Items that the stream may be ahead of its reader; then the stream waits."""


def run_sync(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run what `make` returns to its end, in an event loop of its own; Ctrl-C cancels it.

    Raises:
        UsageError: an event loop already runs in this thread.
        BaseException: whatever the coroutine raises, unchanged.
    """
    _refuse_in_loop("Await the asynchronous form, such as agent.run().")
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
    _refuse_in_loop("Iterate over the asynchronous form, such as agent.run_stream().")
    return _iterate(_Bridge(make))


def _refuse_in_loop(instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError(
        "An event loop already runs in this thread, and the synchronous form would block it.",
        hint=instead,
    )


def _iterate(bridge: _Bridge[T]) -> Generator[T]:
    try:
        while True:
            yield bridge.take()
    except _Over:
        return
    finally:
        bridge.close()


class _Over(Exception):
    """The stream has ended and everything was read."""


class _Bridge(Generic[T]):
    """Items from an event loop in one thread to a reader in another."""

    def __init__(self, make: Callable[[], AsyncIterator[T]]) -> None:
        self._make = make
        self._items: deque[T] = deque()
        self._ready = threading.Condition()
        self._over = False
        self._stop = False
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._work,), name="headrace-stream", daemon=True
        )

    def take(self) -> T:
        """The next item; the first call starts the stream.

        Raises:
            _Over: after the last item.
            BaseException: the stream's own error.
        """
        if self._thread.ident is None:
            self._thread.start()
        with self._ready:
            while not self._items and not self._over:
                self._ready.wait()
            if self._items:
                item = self._items.popleft()
                if len(self._items) == AHEAD // 2:
                    self._call(self._room.set)
                return item
        if self._error is not None:
            raise self._error
        raise _Over

    def close(self) -> None:
        """Cancel the stream if it still runs, and wait for its thread."""
        with self._ready:
            self._stop = True
            if self._task is not None:
                self._call(self._task.cancel)
        if self._thread.ident is not None:
            self._thread.join()

    def _call(self, what: Callable[[], object]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has closed: nothing waits there any more
                self._loop.call_soon_threadsafe(what)

    def _work(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # carried to the reader's thread
            self._error = error
        with self._ready:
            self._over = True
            self._ready.notify_all()

    async def _main(self) -> None:
        with self._ready:
            if self._stop:
                return
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.current_task()
        items = aiter(self._make())
        try:
            async for item in items:
                if self._put(item):
                    await self._room.wait()
        finally:
            await close(items)

    def _put(self, item: T) -> bool:
        """Hand over; true when the reader is behind and must be waited for."""
        with self._ready:
            self._items.append(item)
            self._ready.notify()
            if len(self._items) < AHEAD:
                return False
            self._room.clear()
            return True
