"""Lines about each run for the person at the console: what came in, when it began, how it ended."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing

from headrace.errors import HeadraceError
from headrace.events import Cancelled, Complete, Error, Event, Token
from headrace.runtime.handle import DetachedRun
from headrace.runtime.runtime import Runtime
from headrace.runtime.spec import decode_spec

PROMPT_MAX = 2000
"""Characters of a prompt or answer that a log line shows, where prompts are logged at all."""

_logger = logging.getLogger("headrace.runs")


class RunTeller:
    """Follows each run to its first token and waits for its end: two wakings, however long it is.

    Args:
        runtime: Has the runs.
        prompts: Whether to show what was asked and answered.
    """

    def __init__(self, runtime: Runtime, prompts: bool = False) -> None:
        self._runtime = runtime
        self._prompts = prompts
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, run: DetachedRun, user: str) -> None:
        """Write this run's lines, now and as it goes."""
        if not _logger.isEnabledFor(logging.INFO):
            return
        text = "".join(message.text for message in decode_spec(run.record.spec).input)
        who = f", user {user}" if user else ""
        shown = f": {_short(text)}" if self._prompts else ""
        _logger.info(
            "%s received %d characters for %s on %s%s%s",
            run.id, len(text), run.record.agent, run.record.model, who, shown,
        )  # fmt: skip
        task = asyncio.create_task(self._follow(run.id), name=f"tell {run.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Tell no more."""
        for task in self._tasks:
            task.cancel()

    async def _follow(self, run_id: str) -> None:
        try:
            await self._first_token(run_id)
            end = await self._runtime.wait(run_id)
        except HeadraceError as error:
            _logger.info("%s cannot be followed: %s", run_id, error.message)
            return
        _logger.info("%s %s", run_id, ending(end))
        if self._prompts:
            _logger.info("%s answered: %s", run_id, _short(await self._text(run_id)))

    async def _first_token(self, run_id: str) -> None:
        started = 0.0
        async with aclosing(await self._runtime.attach(run_id)) as batches:
            async for batch in batches:
                started = started or batch[0].at
                for event in batch:
                    if type(event) is Token and not event.agent:
                        _logger.info("%s first chunk after %.0f ms", run_id, _ms(started, event))
                        return

    async def _text(self, run_id: str) -> str:
        return (await self._runtime.snapshot(run_id)).text


def ending(end: Event) -> str:
    """How a run ended, in words."""
    match end:
        case Complete():
            how = f"complete ({end.finish_reason})"
        case Error():
            how = f"failed: {end.code}: {' '.join(end.message.split())[:300]}"
        case Cancelled():
            how = f"cancelled: {end.reason}"
        case _:
            return "ended"
    metrics = end.metrics
    return (
        f"{how}: {metrics.chunks} chunks, {metrics.chars} characters "
        f"in {metrics.duration_ms / 1e3:.1f} s"
    )


def _ms(started: float, event: Event) -> float:
    return (event.at - started) * 1e3


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= PROMPT_MAX else text[: PROMPT_MAX - 1] + "…")
