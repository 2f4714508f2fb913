"""Measures a run as it goes: bounded memory, one small step a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import exp, log

from headrace.runs.held import Held
from headrace.usage import Metrics, Usage

_BUCKETS_PER_E = 20
"""Buckets of gaps for each factor e: a percentile is right within 5 %."""


class Gaps:
    """A histogram of durations, logarithmic, a few hundred buckets at most.

    Attributes:
        total: How many it counts.
    """

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts: defaultdict[int, int] = defaultdict(int)
        self.total = 0

    def add(self, seconds: float, count: int = 1) -> None:
        """Count a gap `count` times."""
        bucket = int(log(seconds * 1e6) * _BUCKETS_PER_E) if seconds > 1e-6 else 0
        self._counts[bucket] += count
        self.total += count

    def merge(self, other: Gaps) -> None:
        """Count what another one counts, too."""
        for bucket, count in other._counts.items():
            self._counts[bucket] += count
        self.total += other.total

    def percentile_ms(self, share: float) -> float | None:
        """The gap in milliseconds that `share` (0 to 1) of all do not exceed; None without any."""
        return self.percentiles_ms((share,))[0]

    def percentiles_ms(self, shares: Sequence[float]) -> list[float | None]:
        """`percentile_ms` of each of these shares, which rise."""
        found: list[float | None] = []
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            while len(found) < len(shares) and seen >= shares[len(found)] * self.total:
                found.append(_middle_ms(bucket))
        return found or [None] * len(shares)


def _middle_ms(bucket: int) -> float:
    return 0.0 if bucket == 0 else round(exp((bucket + 0.5) / _BUCKETS_PER_E) / 1e3, 3)


class Meter:
    """Counts tokens and times their gaps for one run.

    Attributes:
        started: When the run began (Unix seconds).
        held: How long its own log held it up.
        chunks: Pieces of text so far.
        chars: Characters in them.
    """

    def __init__(self, started: float) -> None:
        self.started = started
        self._first: float | None = None
        self._last = 0.0
        self._gaps = Gaps()
        self._model_seconds = 0.0
        self.held = Held()
        self.chunks = 0
        self.chars = 0

    def tokens(self, count: int, chars: int, at: float) -> None:
        """`count` pieces of text with `chars` characters in all came at `at`, in one batch."""
        if self._first is None:
            self._first = at
        else:
            self._gaps.add(at - self._last)
        if count > 1:
            self._gaps.add(0.0, count - 1)
        self._last = at
        self.chunks += count
        self.chars += chars

    def step(self, seconds: float) -> None:
        """A model call took so long."""
        self._model_seconds += seconds

    def metrics(self, at: float, usage: Usage) -> Metrics:
        """The run's figures at `at`."""
        seconds = self._model_seconds
        first = None if self._first is None else round((self._first - self.started) * 1e3, 3)
        return Metrics(
            time_to_first_token_ms=first,
            duration_ms=round((at - self.started) * 1e3, 3),
            chunks=self.chunks,
            chars=self.chars,
            tokens_per_second=round(usage.output / seconds, 1) if seconds > 0 else 0.0,
            gap_ms_p50=self._gaps.percentile_ms(0.5),
            gap_ms_p99=self._gaps.percentile_ms(0.99),
            held_ms=self.held.ms,
        )
