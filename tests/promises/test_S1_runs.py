"""What users of Cogent know, for runs that outlive their viewers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from headrace import Agent, Runtime
from headrace.events import Cancelled, Token
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.testing import check_events
from tests.promises.story import PATIENCE
from tests.providers.chat_bodies import chunk
from tests.support.loopback import STALL, Loopback, stream

pytestmark = pytest.mark.anyio


async def test_S1_2_a_detached_run_is_cancelled_in_flight_not_by_leaving_it(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(PATIENCE),
        Loopback(stream(chunk("Roses"), chunk(" are"), end=STALL)) as server,
        Runtime(f"sqlite:///{tmp_path}/runs.db") as runtime,
    ):
        agent = Agent("writer", OpenAIChat("m", base_url=server.url))
        run = await runtime.submit(agent, "A poem")
        async for event in run.events():
            if isinstance(event, Token) and event.content == " are":
                break
        assert runtime.live == [run.id]  # whoever leaves, it goes on
        end = await runtime.cancel(run.id, "user pressed stop")
        await server.closed(0)
        assert isinstance(end, Cancelled)
        assert (end.reason, end.receipt.content) == ("user pressed stop", "Roses are")
        check_events([event async for event in run.events()])
