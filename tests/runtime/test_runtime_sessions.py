"""Conversations over runs: history, one live run a session, what a stopped answer leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from headrace import Agent, RunCancelled, RunFailed
from headrace.errors import SessionBusy, SessionNotFound
from headrace.messages import Message
from headrace.runs.stores.store import Store
from headrace.runtime import Runtime
from headrace.runtime.session_queue import MAX_WAITING
from headrace.testing import Gate, ScriptedModel, Step
from tests.runtime.stores import MAKERS
from tests.runtime.test_runtime import until_shown

pytestmark = pytest.mark.anyio


@pytest.fixture(params=list(MAKERS))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Store]:
    made = MAKERS[request.param](tmp_path)
    yield made
    await made.close()


async def texts(store: Store, session: str) -> list[tuple[str, str]]:
    return [(m.role, m.text) for m in (await store.session(session)).messages]


async def test_a_session_carries_the_conversation_over_runs(store: Store) -> None:
    model = ScriptedModel([Step(text="Hello Ann."), Step(text="You are Ann.")])
    async with Runtime(store) as runtime:
        agent = Agent("friend", model)
        await (await runtime.submit(agent, "I am Ann.", session="s")).result()
        await (await runtime.submit(agent, "Who am I?", session="s")).result()
    assert [m.text for m in model.requests[1].messages] == ["I am Ann.", "Hello Ann.", "Who am I?"]
    assert await texts(store, "s") == [
        ("user", "I am Ann."),
        ("assistant", "Hello Ann."),
        ("user", "Who am I?"),
        ("assistant", "You are Ann."),
    ]


async def test_a_second_live_run_is_refused_by_default(store: Store) -> None:
    gate = Gate()
    agent = Agent("half", ScriptedModel([Step(text=["Half", gate]), Step(text="Next")]))
    async with Runtime(store) as runtime:
        run = await runtime.submit(agent, "One", session="s")
        with pytest.raises(SessionBusy, match=run.id):
            await runtime.submit(agent, "Two", session="s")
        gate.open()
        await run.result()
        assert (await (await runtime.submit(agent, "Two", session="s")).result()).content == "Next"


async def test_a_second_run_can_wait_its_turn_in_order(store: Store) -> None:
    gate = Gate()
    steps = [Step(text=["One", gate]), Step(text="Two"), Step(text="Three")]
    model = ScriptedModel(steps)
    async with Runtime(store, busy="queue") as runtime:
        agent = Agent("half", model)
        first = await runtime.submit(agent, "1", session="s")
        waiting = [
            asyncio.create_task(runtime.submit(agent, text, session="s")) for text in ("2", "3")
        ]
        await until_shown(runtime, first.id, "One")
        assert not any(task.done() for task in waiting)
        gate.open()
        for task in waiting:
            await (await task).result()
    assert [text for _, text in await texts(store, "s")] == ["1", "One", "2", "Two", "3", "Three"]


async def test_a_queue_is_bounded(store: Store) -> None:
    gate = Gate()
    model = ScriptedModel([Step(text=[gate, "x"])] + [Step(text="x")] * (MAX_WAITING + 1))
    async with Runtime(store, busy="queue") as runtime:
        agent = Agent("slow", model)
        await runtime.submit(agent, "0", session="s")
        tasks = [
            asyncio.create_task(runtime.submit(agent, "n", session="s")) for _ in range(MAX_WAITING)
        ]
        await gate.reached.wait()
        with pytest.raises(SessionBusy, match=f"{MAX_WAITING} runs wait"):
            await runtime.submit(agent, "n", session="s")
        gate.open()
        for task in tasks:
            await (await task).result()


async def test_a_second_run_can_replace_the_live_one(store: Store) -> None:
    model = ScriptedModel([Step(text=["Half", Gate()]), Step(text="New")])
    async with Runtime(store) as runtime:
        agent = Agent("half", model)
        old = await runtime.submit(agent, "One", session="s")
        await until_shown(runtime, old.id, "Half")
        new = await runtime.submit(agent, "Two", session="s", busy="replace")
        assert (await new.result()).content == "New"
        with pytest.raises(RunCancelled, match="replaced"):
            await old.result()
    # What the reader saw of the stopped answer is a part of the conversation.
    assert [text for _, text in await texts(store, "s")] == ["One", "Half", "Two", "New"]


async def test_a_failed_run_leaves_the_question_and_what_was_shown(store: Store) -> None:
    model = ScriptedModel([Step(text=text, finish_reason=None) for text in ("Half", "Half more")])
    async with Runtime(store) as runtime:
        run = await runtime.submit(Agent("cut", model), "One", session="s")
        with pytest.raises(RunFailed):
            await run.result()
    assert await texts(store, "s") == [("user", "One"), ("assistant", "Half more")]


async def test_another_users_session_is_not_there(store: Store) -> None:
    async with Runtime(store) as runtime:
        agent = Agent("a", ScriptedModel([Step(text="Hi"), Step(text="Hi")]))
        await (await runtime.submit(agent, "One", session="s", user="ann")).result()
        with pytest.raises(SessionNotFound):
            await runtime.submit(agent, "Two", session="s", user="bob")


async def test_a_history_that_is_given_stands_in_place_of_the_sessions(store: Store) -> None:
    model = ScriptedModel([Step(text="One"), Step(text="Two")])
    agent = Agent("a", model)
    async with Runtime(store) as runtime:
        await (await runtime.submit(agent, "first", session="s")).result()
        edited = [Message.user("edited"), Message.assistant("so")]
        await (await runtime.submit(agent, "x", session="s", history=edited)).result()
    assert model.requests[1].messages == (*edited, Message.user("x"))
    assert [text for _, text in await texts(store, "s")] == ["edited", "so", "x", "Two"]


async def test_an_empty_history_begins_anew(store: Store) -> None:
    model = ScriptedModel([Step(text="One"), Step(text="Two")])
    async with Runtime(store) as runtime:
        await (await runtime.submit(Agent("a", model), "first", session="s")).result()
        run = await runtime.submit(runtime.agents["a"], "x", session="s", history=[])
        await run.result()
    assert model.requests[1].messages == (Message.user("x"),)
