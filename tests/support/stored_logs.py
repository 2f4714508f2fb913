"""What the tests of stored logs share: events, a log that has begun, a clock."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine, Sequence
from typing import Any

from headrace.errors import (
    HeadraceError,
)
from headrace.events import Complete, Event, Token
from headrace.runs.stored_log import StoredLog
from headrace.runs.viewer import Viewer
from headrace.testing.clock import run_with_fake_clock
from headrace.usage import Metrics, Usage
from tests.support.keepers import GatedKeeper

KIB = 1024


def tokens(first: int, last: int, text: str = "x") -> list[Event]:
    return [Token(seq, 1.0, "", text, seq) for seq in range(first, last + 1)]


def end(seq: int) -> Event:
    return Complete(seq, 1.0, "", "stop", Usage(), Metrics())


async def read(viewer: Viewer) -> list[Event]:
    return [event for batch in [b async for b in viewer] for event in batch]


class Failures(list[HeadraceError]):
    """What `on_failure` was told."""


def begun(keeper: GatedKeeper, failures: Failures | None = None, **options: Any) -> StoredLog:
    log = StoredLog(keeper, "run_1", **options)
    log.begin((Failures() if failures is None else failures).append)
    return log


def in_fake_time(main: Coroutine[Any, Any, None], *, told: Sequence[str] = ()) -> None:
    """The clock moves on only when nothing else is left to do; nothing is left at the end.

    Args:
        main: The test.
        told: The names of the errors that nobody else gets and the loop's handler is told of.
    """
    contexts: list[dict[str, Any]] = []

    async def watched() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        await main
        await asyncio.sleep(1)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others
        gc.collect()

    run_with_fake_clock(watched())
    assert [type(context.get("exception")).__name__ for context in contexts] == list(told)


async def kept(log: StoredLog) -> None:
    """Return when nothing more is to be committed."""
    done = asyncio.Event()
    log.when_done(done.set)
    await done.wait()


async def settled() -> None:
    await asyncio.sleep(1)
