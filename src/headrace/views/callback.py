"""A run that calls back with each piece of its answer."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from headrace.runs.response import Response
from headrace.runs.run import Run

OnChunk = Callable[[str], Awaitable[None] | None]
"""Takes each piece of text; what it raises stops the run and comes out unchanged."""


async def call_back(run: Run, on_chunk: OnChunk, *, reason: str = "callback failed") -> Response:
    """Call `on_chunk` with each piece of the run's answer; gives the response.

    What `on_chunk` raises cancels the run with `reason` (its upstream is closed at once) and
    comes out unchanged. A cancel of the caller cancels the run.

    Raises:
        RunFailed: the run ended with `error`.
        RunCancelled: the run ended with `cancelled`.
    """
    async with run, aclosing(run.text()) as pieces:
        async for piece in pieces:
            try:
                result = on_chunk(piece)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                await run.cancel(reason)
                raise
        return await run.result()
