"""A connection that breaks anywhere, again and again: nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import aiohttp
import pytest

from headrace import Agent
from headrace import events as e
from headrace.events import Event
from headrace.models.deltas import Delta, Finish, ReasoningDelta, TextDelta
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest
from headrace.runs.fold import fold
from headrace.testing import check_events
from headrace.wire.sse_decoder import SSEDecoder
from tests.server.reading import has_ended, session, started
from tests.server.serving import serving

CUTS = 100
RUNS = 4


class Chatty(BaseModel):
    """Thinks and speaks so many pieces, in batches of all sizes, about one each millisecond."""

    def __init__(self, pieces: int) -> None:
        super().__init__("chatty", "one")
        self._pieces = pieces

    async def open(self, request: ModelRequest) -> _Chat:
        return _Chat(self._pieces)


class _Chat:
    def __init__(self, pieces: int) -> None:
        self._rng = random.Random(pieces)  # noqa: S311 - repeatable, not secret
        self._left = pieces

    async def read(self) -> list[Delta]:
        await asyncio.sleep(0.001)
        if self._left <= 0:
            return [Finish("stop", "stop")]
        size = self._rng.choice((1, 1, 2, 7))
        self._left -= size
        kinds: list[Callable[[str], Delta]] = [ReasoningDelta, TextDelta, TextDelta]
        return [self._rng.choice(kinds)(f"w{self._left + n} 無\n") for n in range(size)]

    async def close(self) -> None:
        """Nothing is open."""


async def read_cut(url: str, seed: int, cuts: int) -> tuple[list[Event], int]:
    """Read a run over connections that break after random bytes; gives the events and the breaks.

    What follows the last whole frame is dropped, as any reader would.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    events: list[Event] = []
    broken = 0
    async with session() as client:
        while not has_ended(events):
            last = str(events[-1].seq) if events else "0"
            async with client.get(url, headers={"Last-Event-ID": last}) as response:
                decoder = SSEDecoder()
                left = rng.choice((0, 1, 30, 200, 1000, 4000)) if broken < cuts else 10**9
                while left and not has_ended(events):
                    part = (await response.content.readany())[:left]
                    if not part:
                        break
                    left -= len(part)
                    events += [e.decode(frame.data) for frame in decoder.feed(part)]
                broken += not has_ended(events)
                abort(response)
    return events, broken


def abort(response: aiohttp.ClientResponse) -> None:
    """Break the connection without a word."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()


@pytest.mark.parametrize("store", ["memory:", "sqlite"])
async def test_live_and_finished_runs_survive_100_cuts(store: str, tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/runs.db" if store == "sqlite" else store
    async with serving([Agent("bot", Chatty(600))], store=url) as server:
        ids = [await started(server.url) for _ in range(RUNS)]
        urls = [f"{server.url}/v1/runs/{run_id}/events" for run_id in ids]
        live = await asyncio.gather(
            *(read_cut(url, seed, CUTS // RUNS) for seed, url in enumerate(urls))
        )
        over = await asyncio.gather(
            *(read_cut(url, 50 + seed, CUTS // RUNS) for seed, url in enumerate(urls))
        )
        for (events, _), (again, _), run_id in zip(live, over, ids, strict=True):
            check_events(events)
            assert again == events
            assert fold(events) == await server.runtime.snapshot(run_id)
        assert sum(broken for _, broken in over) >= CUTS
        assert sum(broken for _, broken in live) > CUTS // 4
