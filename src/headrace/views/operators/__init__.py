"""Operators: re-pace, re-cut, time, measure and split a stream, and compose.

Each takes any async iterator of `str`, `StreamChunk` or `Event` and gives one of the same kind.
Order is kept and no text is lost: folding what comes out gives what folding what went in gives.
Deltas may be joined or cut; every other item (`headrace.events` calls it structural; a chunk with
a finish reason or metadata) stays whole and in its place. The indices of chunks count from 0
again. What the source raises comes out after everything that came before it. Closing an operator
closes its source at once and leaves no task behind.
"""

from headrace.views.operators.cut import by_chars, smooth
from headrace.views.operators.pace import buffer, throttle
from headrace.views.operators.tee import Branch, tee
from headrace.views.operators.watch import Metered, with_metrics, with_progress, with_timeout

__all__ = [
    "Branch",
    "Metered",
    "buffer",
    "by_chars",
    "smooth",
    "tee",
    "throttle",
    "with_metrics",
    "with_progress",
    "with_timeout",
]
