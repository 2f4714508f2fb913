"""An event loop in a thread of its own: where a connection lives in a program without a loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from headrace.errors import UsageError

T = TypeVar("T")


class Home:
    """The loop; it runs until `close`.

    Raises:
        UsageError: an event loop runs in this thread already, and would be blocked.
    """

    def __init__(self) -> None:
        _refuse_in_loop()
        self._loop: concurrent.futures.Future[asyncio.AbstractEventLoop] = (
            concurrent.futures.Future()
        )
        self._over = asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._live()), name="headrace-mcp", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it there, and wait here for its end; Ctrl-C cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop.result())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.result().call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _live(self) -> None:
        self._loop.set_result(asyncio.get_running_loop())
        await self._over.wait()


def _refuse_in_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError(
        "An event loop runs in this thread, and connecting would block it.",
        hint="Write `async with mcp_tools(…) as tools:`.",
    )
