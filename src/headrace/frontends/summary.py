"""One-line summaries of how a tool or a run went. Pure."""

from __future__ import annotations

from headrace.events import AgentEnd, Cancelled, Complete, ToolEnd
from headrace.frontends.escapes import one_line
from headrace.usage import Metrics, Usage


def milliseconds(ms: float) -> str:
    """``12 ms``; below one, one digit more: ``0.4 ms``."""
    return f"{ms:.0f} ms" if ms >= 0.95 else f"{ms:.1f} ms"


def tool_line(event: ToolEnd | AgentEnd) -> str:
    """``✓ name (N ms)`` or ``✗ name (N ms): what failed``."""
    line = f"{one_line(event.name, 80)} ({milliseconds(event.duration_ms)})"
    return f"✓ {line}" if event.error is None else f"✗ {line}: {one_line(event.error)}"


STOPPED = "user pressed stop"
"""The reason of a cancel that a person at the keyboard asked for."""


def footer(event: Complete | Cancelled) -> str:
    """What an answer cost and how it felt: ``first token 12 ms · 34 tokens · 56 tokens/s``.

    An estimated count carries ``≈``; an end other than ``stop`` is named.
    """
    parts = _figures(event.metrics, event.usage)
    if isinstance(event, Cancelled):
        asked = event.reason == STOPPED
        parts.insert(0, "stopped" if asked else f"stopped: {one_line(event.reason)}")
    elif event.finish_reason != "stop":
        parts.append(event.finish_reason)
    return " · ".join(parts)


def _figures(metrics: Metrics, usage: Usage) -> list[str]:
    parts = []
    if metrics.time_to_first_token_ms is not None:
        parts.append(f"first token {milliseconds(metrics.time_to_first_token_ms)}")
    if usage.output:
        about = "" if usage.exact else "≈"
        parts.append(f"{about}{usage.output} token{'s' if usage.output != 1 else ''}")
    elif metrics.chunks:
        parts.append(f"{metrics.chunks} chunks")
    if metrics.tokens_per_second:
        parts.append(f"{metrics.tokens_per_second:.0f} tokens/s")
    return parts
