"""A thread for each call of a plain function: a tool that is stuck holds up nobody."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

from headrace.errors import ToolError

MAX_ABANDONED = 256
"""Threads that may be stuck, unstoppable, before no further one is begun."""

PENDING = 256
"""Pieces of progress on their way from a thread to the event loop, before the thread waits."""

_abandoned: set[threading.Thread] = set()


async def in_thread(work: Callable[[], Any], name: str) -> Any:
    """Run `work` in a daemon thread of its own, with a copy of the context variables.

    Not in the default executor: its threads are joined when the process ends, so that one stuck
    tool would block the exit, and there are few of them, so that some would block all others.
    Cancelling the wait abandons the thread; what it gives later is dropped.

    Raises:
        BaseException: what `work` raised.
        ToolError: too many abandoned threads are still stuck.
    """
    _abandoned.difference_update([t for t in _abandoned if not t.is_alive()])
    if len(_abandoned) >= MAX_ABANDONED:
        raise ToolError(f"{MAX_ABANDONED} earlier calls are stuck, so no further one is begun.")
    loop = asyncio.get_running_loop()
    result: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def deliver(value: Any, error: BaseException | None) -> None:
        if not result.done():
            result.set_result((value, error))

    def body() -> None:
        value, error = None, None
        try:
            value = work()
        except BaseException as raised:
            error = raised
        post(loop, deliver, value, error)

    run = contextvars.copy_context().run
    thread = threading.Thread(target=run, args=(body,), name=f"headrace-tool-{name}", daemon=True)
    thread.start()
    try:
        value, error = await result
    except asyncio.CancelledError:
        _abandoned.add(thread)
        raise
    if error is not None:
        raise error
    return value


def post(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: Any) -> None:
    """Call it in the loop, from any thread; nothing happens when the loop is closed."""
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        return


class ProgressRelay:
    """Carries progress from wherever the tool runs to the event loop, until it is closed."""

    def __init__(self, on_progress: Callable[[str], None]) -> None:
        self._on_progress = on_progress
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._slots = threading.Semaphore(PENDING)
        self._open = True

    def send(self, text: str) -> None:
        """Hand over one piece, from any thread."""
        if threading.get_ident() == self._thread:
            self._emit(text)
            return
        while self._open:
            # A thread faster than the loop waits, so that what is on its way stays bounded.
            if self._slots.acquire(timeout=0.1):
                post(self._loop, self._arrive, text)
                return

    def close(self) -> None:
        """What comes from now on is late and goes nowhere."""
        self._open = False

    def _arrive(self, text: str) -> None:
        self._slots.release()
        self._emit(text)

    def _emit(self, text: str) -> None:
        if self._open:
            self._on_progress(text)
