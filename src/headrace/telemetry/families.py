"""Counters, gauges and histograms with labels: what is counted, and never too much of it. Pure.

Values of labels come from outside: a model may write any tool's name. So a family has a bound on
its series; what would be one more is counted under ``other``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

MAX_SERIES = 200
"""Series of one metric; further ones are counted together."""

MAX_LABEL = 128
"""Characters of a label's value; the rest is cut off."""

MORE = "other"
"""The labels of all series beyond `MAX_SERIES`."""

Labels = tuple[str, ...]


class Series:
    """Which sets of labels a metric has: the first `MAX_SERIES`, and `MORE` for all others."""

    def __init__(self, size: int, most: int = MAX_SERIES) -> None:
        self._more = (MORE,) * size
        self._most = most
        self._known: set[Labels] = set()

    def admit(self, labels: Labels) -> Labels:
        """The labels under which to count: these, cut to their bound, or `MORE`."""
        if labels in self._known:
            return labels
        labels = tuple(value[:MAX_LABEL] for value in labels)
        if labels not in self._known:
            if len(self._known) >= self._most:
                return self._more
            self._known.add(labels)
        return labels


class Buckets:
    """A histogram's counts.

    Args:
        bounds: The upper bounds of its buckets, rising, each in its bucket; one without a bound
            follows.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def merge(self, other: Buckets) -> None:
        """Count what another with the same bounds has counted."""
        self.counts = [mine + more for mine, more in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)


class Family:
    """A metric: what all its series share.

    Args:
        name: As it is told, with its unit.
        help: One line for people.
        labels: Names of its labels.

    Attributes:
        kind: ``counter`` or ``gauge``, or ``histogram``.
    """

    kind = ""

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.help = help
        self.labels = tuple(labels)
        self._series = Series(len(self.labels))


class Counter(Family):
    """Only grows."""

    kind = "counter"

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, help, labels)
        self.values: dict[Labels, float] = {}
        if not labels:
            self.values[()] = 0

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        """Count."""
        labels = self._series.admit(labels)
        self.values[labels] = self.values.get(labels, 0) + amount


class Gauge(Counter):
    """Rises and falls."""

    kind = "gauge"

    def set(self, value: float, labels: Labels = ()) -> None:
        """Be this."""
        self.values[self._series.admit(labels)] = value


class Histogram(Family):
    """Counts values by size.

    Args:
        name: As it is told, with its unit.
        help: One line for people.
        bounds: See `Buckets`.
        labels: Names of its labels.
    """

    kind = "histogram"

    def __init__(
        self, name: str, help: str, bounds: Sequence[float], labels: Sequence[str] = ()
    ) -> None:
        super().__init__(name, help, labels)
        self.bounds = tuple(bounds)
        self.values: dict[Labels, Buckets] = {}

    def add(self, value: float, labels: Labels = ()) -> None:
        """Count a value."""
        self._of(labels).add(value)

    def merge(self, buckets: Buckets, labels: Labels = ()) -> None:
        """Count many at once."""
        self._of(labels).merge(buckets)

    def _of(self, labels: Labels) -> Buckets:
        labels = self._series.admit(labels)
        if labels not in self.values:
            self.values[labels] = Buckets(self.bounds)
        return self.values[labels]
