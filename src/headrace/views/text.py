"""A run as pieces of text."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

from headrace.errors import RunCancelled, RunFailed
from headrace.runs.run import Run

INTERRUPTED = "\n[Error: Stream interrupted]"
"""What a reader of marked text sees after the last piece of a run that did not end well."""


async def text(run: Run, *, on_error: Literal["raise", "mark"] = "raise") -> AsyncGenerator[str]:
    """Each piece of the answer's text; abandoning the iteration cancels the run.

    Args:
        run: A run that nobody has entered yet.
        on_error: ``raise`` the error after the text so far, or ``mark`` it: end with
            `INTERRUPTED` as the last piece.

    Raises:
        RunFailed: the run ended with `error`.
        RunCancelled: the run ended with `cancelled`.
    """
    async with run, aclosing(run.text()) as pieces:
        try:
            async for piece in pieces:
                yield piece
        except (RunFailed, RunCancelled):
            if on_error == "raise":
                raise
            yield INTERRUPTED
