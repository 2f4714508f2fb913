"""S1, Cogent: the providers that stream."""

from __future__ import annotations

import pytest

from headrace import Agent
from tests.promises.providers_told import PROVIDERS, Told
from tests.support.loopback import Loopback, stream


@pytest.mark.parametrize("told", PROVIDERS, ids=lambda told: told.provider)
async def test_S1_18_every_provider_streams_through_the_same_agent(told: Told) -> None:
    async with Loopback(stream(told.case.body, content_type=told.content_type)) as server:
        agent = Agent("writer", told.model(server.origin), stream=True)
        chunks = [chunk async for chunk in agent.run_stream("Write a poem about AI")]
    assert "".join(chunk.content for chunk in chunks) == told.case.ours.text
    assert sum(bool(chunk.content) for chunk in chunks) > 1
    assert [chunk.is_final for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    final = chunks[-1]
    assert final.finish_reason == "stop"
    assert final.metadata is not None
    assert (final.metadata["usage"].input, final.metadata["usage"].output) == told.case.ours.usage
