"""How far a viewer is behind its run: the times of events compared with their arrival. Pure.

No log knows this. Events carry the server's clock and arrivals the viewer's, and two clocks are
never compared: what is told is how much later an event came than the quickest one did. What all
of them need, the way itself, is not in it (`headrace doctor` measures the way).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from headrace.runs.metrics import Gaps

LATE_MS = 250.0
"""From which delay on a reader sees that something came late."""

NOT_MEASURED = (
    "How far viewers were behind is in no log. headrace explain RUN --server URL measures it, "
    "while a run goes on."
)
"""What is said of the sockets where only the log was looked at."""


class Lag(Struct, frozen=True):
    """How much later events arrived than the quickest one did.

    Attributes:
        arrivals: How many were measured: reads of the stream that brought events.
        p50_ms: Half of them came no later than this; within 5 %.
        p99_ms: Of a hundred, 99 did; within 5 %.
        worst_ms: The latest one.
    """

    arrivals: int
    p50_ms: float
    p99_ms: float
    worst_ms: float


class Arrivals:
    """Notes when events came.

    Only events count that were written while the viewer was there already: what was there before
    it came arrives in one heap, and says nothing.
    """

    def __init__(self) -> None:
        self._seen: list[tuple[int, float]] = []

    def add(self, seq: int, at: float, arrived: float) -> None:
        """The event `seq`, the first of those that one read brought, was written `at`."""
        self._seen.append((seq, arrived - at))

    def lag(self, after: int) -> Lag | None:
        """Of what came behind the event `after`; None where fewer than two reads did.

        Args:
            after: The run's last event at a moment when the stream was open already.
        """
        return _lag([delay for seq, delay in self._seen if seq > after])


def _lag(delays: Sequence[float]) -> Lag | None:
    if len(delays) < 2:
        return None
    least, gaps = min(delays), Gaps()
    for delay in delays:
        gaps.add(delay - least)
    worst = round((max(delays) - least) * 1e3, 3)
    p50, p99 = gaps.percentile_ms(0.5) or 0.0, gaps.percentile_ms(0.99) or 0.0
    return Lag(len(delays), min(p50, worst), min(p99, worst), worst)


def socket_words(lag: Lag | None, live: bool, seconds: float) -> str:
    """What is known of a viewer's connection, in words.

    Args:
        lag: What was measured.
        live: Whether the run went on while it was looked at.
        seconds: For how long it was looked at.
    """
    if not live:
        return (
            "The run has ended: how far viewers were behind is in no log. A run that goes on can "
            "be measured."
        )
    if lag is None:
        return f"Too little came within {seconds:g} s to tell how far a viewer here is behind."
    told = (
        f"Seen from here, half of the events came at most {_ms(lag.p50_ms)} later than the "
        f"quickest one, the latest {_ms(lag.worst_ms)} ({lag.arrivals} reads of the stream)."
    )
    if lag.worst_ms < LATE_MS:
        return told
    return f"{told} Something holds events back, on the way or here; headrace doctor tries the way."


def _ms(ms: float) -> str:
    return f"{ms:.0f} ms" if ms >= 9.95 else f"{ms:.1f} ms"
