"""What the overview knows of the time before its server: the last finished runs of the store.

Each run's terminal event has its figures. What they do not say is put so that the run's own
percentiles come out again: the pieces came evenly from the first one to the end, two in a hundred
of their gaps were the 99th percentile, the others the median.
"""

from __future__ import annotations

import asyncio
import logging

from headrace.errors import HeadraceError, StoreUnavailable
from headrace.events import Cancelled, Complete, Error, Event
from headrace.runs.stores.record import RunRecord, ending_of
from headrace.runs.stores.store import Store
from headrace.server.overview import SLOT, WINDOW
from headrace.server.overview_ring import Figures, Ring, count
from headrace.usage import Metrics

SEEDS = 200
"""Finished runs that are read, the last begun."""

SEED_WAIT = 5.0
"""Seconds that reading them may take; what was read by then is shown."""

_logger = logging.getLogger("headrace.server")


async def seed(ring: Ring, store: Store, began: float, within: float = SEED_WAIT) -> None:
    """Tell the ring of the runs that ended within its window, before it began.

    Args:
        ring: Of this server.
        store: Its store.
        began: When the ring began; what ended later was counted there.
        within: Seconds that it may take.
    """
    try:
        async with asyncio.timeout(within):
            for record in await store.runs(before=began, limit=SEEDS):
                if record.ended_at is not None and began - WINDOW < record.ended_at < began:
                    await _seed_one(ring, store, record)
    except (StoreUnavailable, TimeoutError) as error:
        _logger.warning("The dashboard begins without earlier runs: %s", str(error) or "too slow")
    finally:
        ring.tidy()


async def _seed_one(ring: Ring, store: Store, record: RunRecord) -> None:
    try:
        events = await store.read(record.id, record.last_seq - 1)
    except StoreUnavailable:
        raise
    except HeadraceError:  # it, or its events, are kept no longer
        return
    if events:
        tell(ring, record.model, events[-1])


def tell(ring: Ring, model: str, end: Event) -> None:
    """Count a run by its terminal event; one too long ago, or no such event, is left out."""
    if not isinstance(end, Complete | Error | Cancelled):
        return
    _count_end(ring, model, end)
    metrics = end.metrics
    started = end.at - metrics.duration_ms / 1e3
    if (figures := _figures(ring, model, started)) is not None:
        figures.started += 1
    if metrics.time_to_first_token_ms is not None:
        first = metrics.time_to_first_token_ms / 1e3
        if (figures := _figures(ring, model, started + first)) is not None:
            figures.ttft.add(first)
        _count_pieces(ring, model, started + first, end.at, metrics)


def _count_end(ring: Ring, model: str, end: Event) -> None:
    figures, ending = _figures(ring, model, end.at), ending_of(end)
    if figures is not None and ending is not None:
        status, reason, _ = ending
        count(figures.runs, status)
        if status == "error":
            count(figures.errors, reason)


def _count_pieces(ring: Ring, model: str, first: float, end: float, metrics: Metrics) -> None:
    """Put the pieces evenly into the slots from the first one to the end, their gaps with them."""
    slots = int(end // SLOT - first // SLOT) + 1
    for i in range(max(0, slots - 1 - int(WINDOW / SLOT)), slots):
        pieces = metrics.chunks * (i + 1) // slots - metrics.chunks * i // slots
        figures = _figures(ring, model, min(first + i * SLOT, end))
        if figures is None or not pieces:
            continue
        figures.tokens += pieces
        gaps = pieces - 1 if i == 0 else pieces
        if gaps > 0 and metrics.gap_ms_p50 is not None and metrics.gap_ms_p99 is not None:
            rare = -(-gaps // 50)
            figures.gaps.add(metrics.gap_ms_p99 / 1e3, rare)
            figures.gaps.add(metrics.gap_ms_p50 / 1e3, gaps - rare)


def _figures(ring: Ring, model: str, at: float) -> Figures | None:
    slot = ring.past(at)
    return None if slot is None else slot.figures(model)
