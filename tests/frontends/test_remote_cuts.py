"""A real server behind a connection that breaks after random bytes: the run comes over whole."""

from __future__ import annotations

import random

from headrace import Agent
from headrace.events import Event
from headrace.frontends.remote import Remote, RemoteRun
from headrace.models.retry import RetryPolicy
from headrace.runs.fold import fold
from headrace.testing import Gate, ScriptedModel, Step
from tests.server.serving import serving
from tests.support.cutting_proxy import CuttingProxy

PIECES = [f"w{n} 無\n" for n in range(300)]
CUTS = 50
PATIENT = RetryPolicy(retries=CUTS, base=0.001, longest=0.002)


async def seen_of(run: RemoteRun, gate: Gate) -> list[Event]:
    """All events of a run that goes on when half of its words are there."""
    events: list[Event] = []
    async for batch in run.batches():
        events += batch
        if PIECES[149] in fold(events).text:
            gate.open()
    return events


async def test_nothing_is_lost_doubled_or_out_of_order() -> None:
    gate = Gate()
    agent = Agent("bot", ScriptedModel([Step(text=[*PIECES[:150], gate, *PIECES[150:]])]))
    chance = random.Random(7)  # noqa: S311 - repeatable, not secret
    cuts = [chance.choice((0, 10, 200, 400, 1000, 4000)) for _ in range(CUTS)]
    async with serving([agent]) as served, CuttingProxy(served.url, cuts) as proxy:
        run = await Remote(proxy.url, resume=PATIENT, ask=PATIENT).start("Go")
        while True:  # live, then finished, until every cut was made
            events = await seen_of(run, gate)
            seqs = [event.seq for event in events]
            assert seqs == sorted(set(seqs))
            assert fold(events).text == "".join(PIECES)
            if not proxy.cuts:
                break
        log = await served.runtime.store.read(run.id, 0)
    assert (events[-1], fold(events)) == (log[-1], fold(log))
