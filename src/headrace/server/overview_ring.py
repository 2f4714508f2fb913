"""Time in slots, with the figures of each model: what the overview's series is made of.

Pure: times are given. Bounded: an hour of slots, few models and codes in each, and histograms only
for the slots that may still change or that the totals are about.
"""

from __future__ import annotations

from math import floor

from headrace.runs.metrics import Gaps
from headrace.server.overview import RECENT, SLOT, WINDOW, Percentiles, SlotFigures

MODELS = 16
"""Models of one slot that have figures of their own."""

CODES = 32
"""Words of one count (of errors, retries, retracts) that are counted apart."""

OTHER = "other"
"""What is beyond these bounds."""

_SLOTS = floor(WINDOW / SLOT)
_OPEN = floor(RECENT / SLOT)
_SHARES = (0.5, 0.95, 0.99)


class Figures:
    """What happened with one model in one slot; its attributes are those of `SlotFigures`."""

    __slots__ = (
        "errors",
        "gaps",
        "lag",
        "recovered",
        "retracts",
        "retries",
        "runs",
        "started",
        "tokens",
        "ttft",
        "viewers",
    )

    def __init__(self) -> None:
        self.started = 0
        self.runs: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        self.retries: dict[str, int] = {}
        self.retracts: dict[str, int] = {}
        self.recovered = 0
        self.tokens = 0
        self.ttft = Gaps()
        self.gaps = Gaps()
        self.viewers = 0
        self.lag = 0

    def merge(self, other: Figures) -> None:
        """Count what another one counts, too; not its viewers, who may be the same ones."""
        self.started += other.started
        self.recovered += other.recovered
        self.tokens += other.tokens
        self.ttft.merge(other.ttft)
        self.gaps.merge(other.gaps)
        for mine, theirs in (
            (self.runs, other.runs),
            (self.errors, other.errors),
            (self.retries, other.retries),
            (self.retracts, other.retracts),
        ):
            for word, number in theirs.items():
                count(mine, word, number)

    def seen(self, viewers: int, lag: int) -> None:
        """So many viewers there are, and so far behind is the slowest."""
        self.viewers = max(self.viewers, viewers)
        self.lag = max(self.lag, lag)

    def row(self, at: float, model: str) -> SlotFigures:
        """As it is shown."""
        return SlotFigures(
            at=at,
            model=model,
            provider=provider_of(model),
            started=self.started,
            runs=dict(self.runs),
            errors=dict(self.errors),
            retries=dict(self.retries),
            retracts=dict(self.retracts),
            recovered=self.recovered,
            tokens=self.tokens,
            ttft_ms=percentiles(self.ttft),
            gap_ms=percentiles(self.gaps),
            viewers=self.viewers,
            lag=self.lag,
        )


class Slot:
    """The figures of one slot, by model.

    Attributes:
        at: Its begin.
        end: The begin of the next.
    """

    __slots__ = ("_models", "_rows", "_whole", "at", "end")

    def __init__(self, index: int) -> None:
        self.at = index * SLOT
        self.end = (index + 1) * SLOT
        self._models: dict[str, Figures] = {}
        self._whole = Figures()  # of all models together only who watches is counted apart
        self._rows: list[SlotFigures] | None = None

    def figures(self, model: str) -> Figures:
        """Those of a model, or of the other ones where there are too many."""
        found = self._models.get(model)
        if found is None:
            if len(self._models) >= MODELS:
                model = OTHER
            found = self._models.setdefault(model, Figures())
        return found

    def seen(self, viewers: int, lag: int) -> None:
        """Of all models together: so many viewers there are, so far behind is the slowest."""
        self._whole.seen(viewers, lag)

    def together(self) -> Figures:
        """Those of all models."""
        found = Figures()
        found.seen(self._whole.viewers, self._whole.lag)
        for figures in self._models.values():
            found.merge(figures)
        return found

    def rows(self) -> list[SlotFigures]:
        """As they are shown: all models together, then each."""
        if self._rows is not None:
            return self._rows
        rows = [self._models[model].row(self.at, model) for model in sorted(self._models)]
        return [self.together().row(self.at, ""), *rows] if rows else []

    def close(self) -> None:
        """Nothing more comes: keep what is shown, and let go of the histograms."""
        if self._rows is None:
            self._rows = self.rows()
            self._models.clear()


class Ring:
    """The slots of the last hour.

    Args:
        now: When it begins. What is told of earlier times (`past`) is kept in the slots before.
    """

    def __init__(self, now: float) -> None:
        self._first = _index(now)
        self._slots: dict[int, Slot] = {}
        self._slot = self._open(self._first)

    @property
    def end(self) -> float:
        """When its newest slot is over."""
        return self._slot.end

    def slot(self, at: float) -> Slot:
        """The slot of a time; what comes later than `RECENT` counts as of now."""
        slot = self._slot
        if slot.at <= at < slot.end:
            return slot
        index, newest = _index(at), _index(slot.at)
        if index > newest:
            self._slot = self._open(index)
            self.tidy()
            return self._slot
        if index <= newest - _OPEN or index < self._first:
            return slot
        return self._slots.get(index) or self._open(index)

    def past(self, at: float) -> Slot | None:
        """The slot of a time before the ring began, until `tidy`; None for one too long ago.

        What was in the very slot in which the ring began counts in the one before.
        """
        index = min(_index(at), self._first - 1)
        if index <= _index(self._slot.at) - _SLOTS:
            return None
        return self._slots.get(index) or self._open(index)

    def tidy(self) -> None:
        """Close the slots that nothing more is told of, and forget those that are too old."""
        newest = _index(self._slot.at)
        for index in list(self._slots):
            if index <= newest - _SLOTS:
                del self._slots[index]
            elif index <= newest - _OPEN:
                self._slots[index].close()

    def rows(self, since: float) -> list[SlotFigures]:
        """What is shown of the slots that begin at `since` or later."""
        indexes = sorted(index for index in self._slots if index * SLOT >= since)
        return [row for index in indexes for row in self._slots[index].rows()]

    def recent(self, now: float, seconds: float = RECENT) -> Figures:
        """All models together, in the slots of the last `seconds`, at most `RECENT`."""
        found = Figures()
        oldest = _index(now) - floor(seconds / SLOT)
        for index, slot in self._slots.items():
            if index > oldest:
                found.merge(slot.together())
        return found

    def _open(self, index: int) -> Slot:
        slot = self._slots[index] = Slot(index)
        return slot


def slot_of(at: float) -> float:
    """The begin of the slot of a time."""
    return _index(at) * SLOT


def count(counts: dict[str, int], word: str, number: int = 1) -> None:
    """Count a word; where there are too many already, under `OTHER`."""
    if word not in counts and len(counts) >= CODES:
        word = OTHER
    counts[word] = counts.get(word, 0) + number


def percentiles(durations: Gaps) -> Percentiles:
    """As they are shown."""
    p50, p95, p99 = durations.percentiles_ms(_SHARES)
    return Percentiles(p50, p95, p99, durations.total)


def provider_of(model: str) -> str:
    """What stands before the colon of a model's name; ``""`` where nothing does."""
    provider, colon, _ = model.partition(":")
    return provider if colon else ""


def _index(at: float) -> int:
    return floor(at / SLOT)
