"""What the dashboard draws: the figures of one server process, as they stand in JSON.

``GET /v1/overview`` gives one `Overview`. ``GET /v1/overview/events`` (server-sent events) gives
one in each ``data:`` line: the first at once and whole, then one a second while something
changes, each with the slots that may have changed. `Overview.since` says from when on `series` is
whole; so a reader keeps its older slots and takes the rest from what came::

    slots = slots.filter((slot) => slot.at < told.since).concat(told.series)

That is right for the first one, and for one after a reconnect, too. Times are Unix seconds of the
server; `*_ms` are milliseconds. All fields are always there.
"""

from __future__ import annotations

from msgspec import Struct

SLOT = 10.0
"""Seconds that one slot of the series covers."""

WINDOW = 3600.0
"""Seconds that the series reaches back."""

RECENT = 300.0
"""Seconds that the totals are about."""


class Percentiles(Struct, frozen=True):
    """Of durations in milliseconds, each right within 5 %; None where there was none.

    Attributes:
        count: How many durations there were.
    """

    p50: float | None
    p95: float | None
    p99: float | None
    count: int


class LiveRun(Struct, frozen=True):
    """A run that goes on in this process.

    Attributes:
        run_id: The run; its page and its events go by this.
        agent: Its agent's name.
        model: Its model, of a fallback's models the one that answered last.
        provider: What stands before the colon of `model`; ``""`` where nothing does.
        user: Whom it belongs to; ``""`` where there are no users.
        session: Its conversation, None for none.
        started_at: When it began; its age is `Overview.at` less this.
        state: ``waiting`` (for its model), ``thinking`` (reasoning, or a call's arguments),
            ``answering``, or what is going on: ``tool:NAME``, ``agent:NAME``, ``approval:NAME``
            (a person is asked). Of several the one that began last.
        steps: Model calls that it has begun, its sub-agents' included.
        tokens: Pieces of content so far: text, reasoning, arguments.
        tokens_per_second: Pieces of the last seconds, 0 when none come.
        viewers: Who watch it here.
        lag: Events that the slowest of them is behind.
    """

    run_id: str
    agent: str
    model: str
    provider: str
    user: str
    session: str | None
    started_at: float
    state: str
    steps: int
    tokens: int
    tokens_per_second: float
    viewers: int
    lag: int


class SlotFigures(Struct, frozen=True):
    """What happened in `SLOT` seconds, with one model, or with all of them together.

    Slots in which nothing happened are left out. The last one is still going on.

    Attributes:
        at: The slot's begin, a multiple of `SLOT`.
        model: ``""``: all together; ``other``: those that have no row of their own.
        provider: What stands before the colon of `model`; ``""`` where nothing does.
        started: Runs that began.
        runs: Runs that ended, by status: ``complete``, ``error``, ``cancelled``.
        errors: Runs that failed, by the code of their error.
        retries: Model calls that were asked again, by how: ``retry``, ``fallback``, ``reconnect``.
        retracts: Texts that were withdrawn, by reason.
        recovered: Runs that were taken up again after their process was lost.
        tokens: Pieces of content.
        ttft_ms: From a run's start to its first piece of answer.
        gap_ms: Between neighbouring pieces of content of one model call.
        viewers: Most viewers that were seen, of runs that went on.
        lag: Most events that a viewer was seen behind.
    """

    at: float
    model: str
    provider: str
    started: int
    runs: dict[str, int]
    errors: dict[str, int]
    retries: dict[str, int]
    retracts: dict[str, int]
    recovered: int
    tokens: int
    ttft_ms: Percentiles
    gap_ms: Percentiles
    viewers: int
    lag: int


class Totals(Struct, frozen=True):
    """The large numbers.

    Attributes:
        live: Runs that go on.
        viewers: Who watch runs here, finished ones included.
        lag: Events that the slowest of them is behind now.
        tokens_per_second: Of all live runs together, now.
        errors_per_minute: Runs that failed in the last minute.
        seconds: How far back the rest reaches: `RECENT`.
        runs: As in `SlotFigures`.
        errors: As in `SlotFigures`.
        ttft_ms: As in `SlotFigures`.
        gap_ms: As in `SlotFigures`.
    """

    live: int
    viewers: int
    lag: int
    tokens_per_second: float
    errors_per_minute: int
    seconds: float
    runs: dict[str, int]
    errors: dict[str, int]
    ttft_ms: Percentiles
    gap_ms: Percentiles


class Overview(Struct, frozen=True):
    """A server's figures at one time.

    Attributes:
        at: When.
        since: From when on `series` is whole.
        slot_seconds: `SLOT`.
        window_seconds: How far back a reader that asked for this window keeps slots.
        runs: Live runs, the last begun first; at most 200 (`totals.live` says how many there are).
        series: By time, then by model, ``""`` first.
        totals: Over all models.
    """

    at: float
    since: float
    slot_seconds: float
    window_seconds: float
    runs: list[LiveRun]
    series: list[SlotFigures]
    totals: Totals
