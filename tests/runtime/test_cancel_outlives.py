"""A cancel is a wish that outlives the process that was told; what was shown is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from headrace import Agent, Runtime, fold
from headrace.errors import StoreUnavailable
from headrace.events import Cancelled, Error, Event, Input, RunStart, StepStart, Token, type_of
from headrace.runs.stores.record import Signal
from headrace.runs.stores.store import Store
from headrace.testing import Gate, ScriptedModel, Step
from tests.runtime.orphans import log_of, orphan, record_of, recover, recovered
from tests.runtime.stores import MAKERS, MoodyStore
from tests.runtime.test_runtime import until_shown

pytestmark = pytest.mark.anyio


@pytest.fixture(params=list(MAKERS))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Store]:
    made = MAKERS[request.param](tmp_path)
    yield made
    await made.close()


HALF: list[Event] = [
    RunStart(1, 1.0, "", "run_1", "half", "scripted:scripted"),
    StepStart(2, 1.0, "", 1, "scripted:scripted"),
    Token(3, 1.0, "", "Half", 0),
]


def never() -> tuple[Agent, ScriptedModel]:
    """An agent whose model must not be asked."""
    model = ScriptedModel([])
    return Agent("half", model), model


async def test_a_lost_run_that_is_cancelled_keeps_its_text(store: Store) -> None:
    run_id = await orphan(store, record_of("run_1", "half", session="talk"), HALF)
    agent, model = never()
    async with Runtime(store, agents=[agent], recover=False) as runtime:
        end = await runtime.cancel(run_id, "user pressed stop")
    assert isinstance(end, Cancelled)
    assert (end.reason, end.receipt.content) == ("user pressed stop", "Half")
    log = await log_of(store, run_id)
    assert fold(log).text == "Half"
    assert "retract" not in map(type_of, log)
    assert [m.text for m in (await store.session("talk")).messages] == ["key", "Half"]
    assert model.requests == []


@pytest.mark.parametrize("events", [HALF, HALF[:1], []], ids=["half", "begun", "not begun"])
async def test_a_cancel_is_carried_out_by_whoever_takes_the_run_up(
    events: list[Event], store: Store
) -> None:
    run_id = await orphan(store, record_of("run_1", "half"), events)
    await store.post(Signal(run_id, "cancel", "enough"))
    agent, model = never()
    end = (await recovered(store, run_id, agent))[-1]
    assert isinstance(end, Cancelled)
    assert end.reason == "enough"
    assert model.requests == []


async def test_a_cancel_that_could_not_be_kept_is_not_forgotten() -> None:
    store = MoodyStore()
    model = ScriptedModel([Step(text=["Half", Gate()])])
    async with Runtime(store, lease=0.2) as runtime:
        run = await runtime.submit(Agent("half", model), "Go on")
        await until_shown(runtime, run.id, "Half")
        store.broken = True
        with pytest.raises(StoreUnavailable):
            await run.cancel("enough")
        assert model.open_streams == 0  # it costs nothing any more
        store.broken = False
        async for batch in await runtime.attach(run.id):
            end = batch[-1]
    assert isinstance(end, Cancelled)
    assert end.reason == "enough"
    assert len(model.requests) == 1


async def test_a_run_without_its_agent_ends_with_the_text_that_was_shown(store: Store) -> None:
    run_id = await orphan(store, record_of("run_1", "nobody", session="talk"), HALF)
    log = await recovered(store, run_id)
    end = log[-1]
    assert isinstance(end, Error)
    assert end.code == "agent_unknown"
    assert fold(log).text == "Half"
    assert [m.text for m in (await store.session("talk")).messages] == ["key", "Half"]


async def test_a_message_waits_for_whoever_takes_the_run_up(store: Store) -> None:
    run_id = await orphan(store, record_of("run_1", "half"), HALF)
    await store.post(Signal(run_id, "input", "In French!"))
    gate = Gate()
    model = ScriptedModel([Step(text=["Hello", gate]), Step(text=" Bonjour")])
    agent = Agent("half", model)

    async def open_when_it_is_heard() -> None:
        async for batch in store.follow(run_id):
            if any(isinstance(event, Input) for event in batch):
                gate.open()

    heard = asyncio.create_task(open_when_it_is_heard())
    await recover(store, [run_id], agent)
    await heard
    log = await log_of(store, run_id)
    assert [event.content for event in log if isinstance(event, Input)] == ["In French!"]
    assert fold(log).text == "Hello Bonjour"
    assert await store.signals("anyone") == []
