"""What a run used and how it felt: token counts, times and the receipt of a cancel."""

from __future__ import annotations

from msgspec import Struct


class Usage(Struct, frozen=True, gc=False):
    """Token counts of one step or one run.

    Attributes:
        input: All prompt tokens, cached ones included.
        output: All generated tokens, reasoning included.
        cached: The part of `input` that came from the provider's cache; 0 where not told.
        reasoning: The part of `output` that was reasoning; 0 where not told.
        exact: False where estimated, as after a cancel.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0
    exact: bool = True

    @property
    def total(self) -> int:
        """`input + output`."""
        return self.input + self.output

    def __add__(self, other: Usage) -> Usage:
        """Add two steps; the sum is exact only where both are."""
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
            self.exact and other.exact,
        )


class Timing(Struct, frozen=True, gc=False):
    """How long one step took, in milliseconds.

    Attributes:
        duration_ms: From the request to the end of the answer.
        first_content_ms: From the request to its first content, or None when none came.
        held_ms: The part of it in which the run's own log held the step up (see `Metrics`).
    """

    duration_ms: float
    first_content_ms: float | None = None
    held_ms: float = 0.0


class Metrics(Struct, frozen=True, gc=False):
    """How a run felt to whoever watched it.

    Attributes:
        time_to_first_token_ms: From the run's start to its first `token`; None without one.
        duration_ms: From the run's start to its end.
        chunks: Number of `token` events.
        chars: Number of characters (code points) in them.
        tokens_per_second: Generated tokens over the time spent in model calls; 0.0 when unknown.
        gap_ms_p50: Median gap between contents, None with fewer than two.
        gap_ms_p99: 99th percentile of the gaps, None with fewer than two.
        held_ms: How long the run was held up by its own log: by a store that lags, by the commit
            that a tool waits for, or by a viewer that blocks.
    """

    time_to_first_token_ms: float | None = None
    duration_ms: float = 0.0
    chunks: int = 0
    chars: int = 0
    tokens_per_second: float = 0.0
    gap_ms_p50: float | None = None
    gap_ms_p99: float | None = None
    held_ms: float = 0.0


class Receipt(Struct, frozen=True, gc=False):
    """What a cancel found and did.

    Attributes:
        content: The answer's text that had been generated, kept.
        tools: Call id to state when the cancel came: ``finished``, ``running`` or ``waiting``.
        upstream_closed_ms: From the cancel to the closed upstream stream; None if none was open.
    """

    content: str = ""
    tools: dict[str, str] = {}
    upstream_closed_ms: float | None = None
