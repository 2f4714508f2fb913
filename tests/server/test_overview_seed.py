"""What the overview knows of runs that ended before its server began."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from headrace import Agent
from headrace import events as e
from headrace.errors import StoreUnavailable
from headrace.events import Event
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.record import RunRecord, RunStatus
from headrace.runs.stores.store import READ_BYTES
from headrace.server import overview_seed
from headrace.server.overview import WINDOW, SlotFigures
from headrace.server.overview_ring import Ring, Slot
from headrace.server.overview_seed import SEEDS, seed, tell
from headrace.testing import ScriptedModel, Step
from headrace.usage import Metrics, Receipt, Usage
from tests.server.reading import asked, started
from tests.server.serving import serving, until

NOW = 1_000_000.0
MODEL = "demo:demo"

TOLD = Metrics(
    time_to_first_token_ms=500.0,
    duration_ms=30_000.0,
    chunks=300,
    chars=900,
    gap_ms_p50=80.0,
    gap_ms_p99=400.0,
)


def complete(at: float, metrics: Metrics = TOLD, seq: int = 2) -> e.Complete:
    return e.Complete(seq, at, "", "stop", Usage(), metrics)


def rows(ring: Ring, model: str = MODEL) -> list[SlotFigures]:
    return [row for row in ring.rows(0.0) if row.model == model]


def test_a_run_s_figures_are_put_where_they_were() -> None:
    ring = Ring(NOW)
    tell(ring, MODEL, complete(NOW - 12.0))  # from -42, first word at -41.5
    ring.tidy()
    told = rows(ring)
    assert [row.at - NOW for row in told] == [-50, -40, -30, -20]
    assert [row.started for row in told] == [1, 0, 0, 0]
    assert [row.runs for row in told] == [{}, {}, {}, {"complete": 1}]
    assert [row.tokens for row in told] == [75, 75, 75, 75]
    assert [row.ttft_ms.count for row in told] == [1, 0, 0, 0]
    assert told[0].ttft_ms.p50 == pytest.approx(500, rel=0.05)
    assert sum(row.gap_ms.count for row in told) == 299
    for row in told:
        assert row.gap_ms.p50 == pytest.approx(80, rel=0.05)
        assert row.gap_ms.p99 == pytest.approx(400, rel=0.05)


@pytest.mark.parametrize(
    ("end", "runs", "errors"),
    [
        (complete(NOW - 5.0), {"complete": 1}, {}),
        (e.Error(2, NOW - 5.0, "", "overloaded", "…", True, TOLD), {"error": 1}, {"overloaded": 1}),
        (e.Cancelled(2, NOW - 5.0, "", "stop", Usage(), TOLD, Receipt()), {"cancelled": 1}, {}),
        (e.Warn(2, NOW - 5.0, "", "slow", "…"), {}, {}),
    ],
)
def test_every_end_counts(end: Event, runs: dict[str, int], errors: dict[str, int]) -> None:
    ring = Ring(NOW)
    tell(ring, MODEL, end)
    last = ring.recent(NOW)
    assert (last.runs, last.errors) == (runs, errors)


def test_a_run_without_a_word_has_no_pieces() -> None:
    ring = Ring(NOW)
    tell(ring, MODEL, complete(NOW - 5.0, Metrics(duration_ms=1000.0)))
    (row,) = rows(ring)
    assert (row.tokens, row.ttft_ms.count, row.gap_ms.count) == (0, 0, 0)
    assert (row.started, row.runs) == (1, {"complete": 1})


def test_a_run_of_days_costs_no_more_than_the_window() -> None:
    class Asked(Ring):
        times = 0

        def past(self, at: float) -> Slot | None:
            self.times += 1
            return super().past(at)

    ring = Asked(NOW)
    days = Metrics(time_to_first_token_ms=1.0, duration_ms=30 * 86_400e3, chunks=10**9)
    tell(ring, MODEL, complete(NOW - 5.0, days))
    ring.tidy()
    assert len(rows(ring)) <= WINDOW / 10
    assert ring.times < WINDOW / 10 + 5
    assert rows(ring)[-1].tokens == pytest.approx(10**9 / (30 * 8640), rel=0.01)


# From a store ---------------------------------------------------------------------------------


async def keep(
    store: MemoryStore, run_id: str, created: float, ended: float | None, model: str = MODEL
) -> None:
    """A run in the store, finished or not."""
    await store.create(RunRecord(run_id, "bot", model, created))
    start = e.RunStart(1, created, "", run_id, "bot", model)
    if ended is None:
        await store.append(run_id, 0, [start])
    else:
        await store.end(run_id, 0, [start, complete(ended)])


async def seeded(store: MemoryStore, began: float = NOW) -> Ring:
    ring = Ring(began)
    await seed(ring, store, began)
    return ring


def ended(ring: Ring) -> int:
    return sum(sum(row.runs.values()) for row in rows(ring))


class Counting(MemoryStore):
    """Counts how often a log is read."""

    reads = 0

    async def read(self, run_id: str, after: int, max_bytes: int = READ_BYTES) -> list[Event]:
        self.reads += 1
        return await super().read(run_id, after, max_bytes)


async def test_the_runs_that_ended_within_the_window_are_read() -> None:
    store = Counting()
    await keep(store, "run_old", NOW - WINDOW - 100, NOW - WINDOW - 50)
    await keep(store, "run_1", NOW - WINDOW - 100, NOW - WINDOW + 50)
    await keep(store, "run_2", NOW - 60, NOW - 30)
    await keep(store, "run_live", NOW - 60, None)
    await keep(store, "run_taken_up", NOW - 60, NOW + 1)  # it ended here, and was counted
    await keep(store, "run_new", NOW + 5, NOW + 6)
    assert ended(await seeded(store)) == 2
    assert store.reads == 2


async def test_newer_runs_do_not_crowd_out_the_earlier_ones() -> None:
    store = MemoryStore()
    await keep(store, "run_1", NOW - 60, NOW - 30)
    for i in range(SEEDS + 1):
        await keep(store, f"run_new_{i}", NOW + 1, NOW + 2)
    assert ended(await seeded(store)) == 1


async def test_events_that_are_kept_no_longer_are_left_out() -> None:
    store = MemoryStore()
    await keep(store, "run_1", NOW - 60, NOW - 30)
    await keep(store, "run_2", NOW - 60, NOW - 30)
    await store.prune(NOW, 0.0)
    await keep(store, "run_3", NOW - 60, NOW - 30)
    assert ended(await seeded(store)) == 1


async def test_200_runs_are_read_and_no_more() -> None:
    store = Counting()
    for i in range(SEEDS + 20):
        await keep(store, f"run_{i}", NOW - 600 + i, NOW - 300 + i)
    ring = await seeded(store)
    assert store.reads == SEEDS == 200
    assert ended(ring) == SEEDS


async def test_a_store_that_fails_leaves_what_was_read(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(MemoryStore):
        async def read(self, run_id: str, after: int, max_bytes: int = READ_BYTES) -> list[Event]:
            if run_id == "run_1":
                raise StoreUnavailable("The disk is gone.")
            return await super().read(run_id, after, max_bytes)

    store = Failing()
    await keep(store, "run_1", NOW - 90, NOW - 30)
    await keep(store, "run_2", NOW - 60, NOW - 30)
    assert ended(await seeded(store)) == 1
    assert "The disk is gone" in caplog.text


async def test_a_store_that_hangs_is_waited_for_so_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Hanging(MemoryStore):
        async def runs(
            self,
            *,
            user: str | None = None,
            session: str | None = None,
            status: RunStatus | None = None,
            before: float | None = None,
            limit: int = 50,
        ) -> list[RunRecord]:
            await asyncio.Event().wait()
            return []

    ring = Ring(NOW)
    await seed(ring, Hanging(), NOW, within=0.01)
    assert ended(ring) == 0
    assert "too slow" in caplog.text
    assert overview_seed.SEED_WAIT == 5.0


async def test_after_a_restart_the_dashboard_is_not_empty(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/runs.db"

    def agents(steps: Sequence[Step]) -> list[Agent]:
        return [Agent("bot", ScriptedModel(steps))]

    async with serving(agents([Step(text="Hello"), Step(finish_reason=None)]), store=store) as one:
        for _ in range(2):
            await started(one.url)
            await until(lambda: not one.runtime.live)
    async with serving(agents([Step(text="Hello")]), store=store) as two:
        await started(two.url)
        await until(lambda: not two.runtime.live)
        for _ in range(2):  # the second time nothing is counted again
            _, told = await asked(f"{two.url}/v1/overview")
            together = [row for row in told["series"] if row["model"] == ""]
            assert len(together) >= 2
            assert [row["runs"] for row in together[:-1]] == [{"complete": 1, "error": 1}]
            assert together[-1]["runs"] == {"complete": 1}
            assert told["totals"]["runs"] == {"complete": 2, "error": 1}
            assert told["totals"]["errors"] == {"stream_truncated": 1}
