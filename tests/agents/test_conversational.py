"""Conversations in this process and in a runtime: what is kept, whose turn it is, every view."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from threading import Thread
from typing import Any

import pytest

from headrace import (
    Channel,
    ConversationalAgent,
    Message,
    ModelRequest,
    RunFailed,
    Runtime,
    StreamChunk,
    tool,
)
from headrace.agents.conversation import MAX_MESSAGES, MAX_SIZE, MAX_WAITING, Conversation
from headrace.agents.memory import last_messages, summary
from headrace.agents.streaming import StreamingAgent
from headrace.errors import ConnectionFailed, RunCancelled, SessionBusy, UsageError
from headrace.events import Error, RunStart
from headrace.runs.stores.memory import MemoryStore
from headrace.testing import Gate, ScriptedModel, Step, check_events

PATIENCE = 10.0


def echo(request: ModelRequest) -> Step:
    """Says how much it was shown, and the last of it."""
    return Step(text=[f"{len(request.messages)}:", request.messages[-1].text])


def agent_of(*steps: Any, **more: Any) -> ConversationalAgent[Any]:
    return ConversationalAgent("bot", ScriptedModel(steps or [echo] * 50), **more)


def texts(talk: Conversation) -> list[str]:
    return [message.text for message in talk.messages]


async def test_what_was_said_is_known_in_the_next_turn() -> None:
    talk = agent_of().conversation()
    assert (await talk.run("Hello")).content == "1:Hello"
    response = await talk.run("Again")
    assert response.content == "3:Again"
    assert response.messages == talk.messages
    assert texts(talk) == ["Hello", "1:Hello", "Again", "3:Again"]


async def test_the_agent_itself_remembers_nothing_of_single_turns() -> None:
    agent = agent_of()
    assert (await agent.run("Hello")).content == "1:Hello"
    assert (await agent.run("Again")).content == "1:Again"
    assert agent.conversation("bot").messages == ()


async def by_run(talk: Conversation) -> str:
    return (await talk.run("Hi")).content


async def by_run_stream(talk: Conversation) -> str:
    chunks = [chunk async for chunk in talk.run_stream("Hi")]
    assert chunks[-1].is_final
    return "".join(chunk.content for chunk in chunks)


async def by_start(talk: Conversation) -> str:
    async with talk.start("Hi") as run:
        events = [event async for event in run.events()]
        check_events(events)
        assert isinstance(events[0], RunStart)
        assert events[0].session == "ada"
        assert run.asked[-1].text == "Hi"
        return (await run.result()).content


async def by_execute_stream(talk: Conversation) -> str:
    channel = Channel[str](100)
    await talk.execute_stream("Hi", channel)
    return "".join([piece async for piece in channel])


async def by_callback(talk: Conversation) -> str:
    pieces: list[str] = []
    await talk.run_callback("Hi", pieces.append)
    return "".join(pieces)


async def by_run_sync(talk: Conversation) -> str:
    return (await asyncio.to_thread(talk.run_sync, "Hi")).content


async def by_stream_sync(talk: Conversation) -> str:
    def read() -> list[StreamChunk]:
        return list(talk.stream_sync("Hi"))

    return "".join(chunk.content for chunk in await asyncio.to_thread(read))


VIEWS = [
    by_run,
    by_run_stream,
    by_start,
    by_execute_stream,
    by_callback,
    by_run_sync,
    by_stream_sync,
]


@pytest.mark.parametrize("view", VIEWS)
async def test_every_view_is_a_turn(view: Callable[[Conversation], Awaitable[str]]) -> None:
    talk = agent_of().conversation("ada", history=[Message.user("a"), Message.assistant("b")])
    assert isinstance(talk, StreamingAgent)
    assert await view(talk) == "3:Hi"
    assert texts(talk) == ["a", "b", "Hi", "3:Hi"]
    assert await view(talk) == "5:Hi"
    assert len(talk.messages) == 6


async def test_tools_are_kept_with_their_results() -> None:
    @tool
    def look() -> str:
        """Look."""
        return "seen"

    talk = agent_of(Step(tool_calls=[("look", {})]), echo, echo, tools=[look]).conversation()
    await talk.run("Look")
    assert [message.role for message in talk.messages] == ["user", "assistant", "tool", "assistant"]
    assert (await talk.run("And?")).content == "5:And?"


async def test_turns_wait_for_each_other_in_their_order() -> None:
    gate = Gate()
    talk = agent_of(Step(text=["one", gate]), echo, echo).conversation()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(talk.run("1"))
        await gate.reached.wait()
        second = group.create_task(talk.run("2"))
        await asyncio.sleep(0)
        third = group.create_task(talk.run("3"))
        await asyncio.sleep(0)
        with pytest.raises(SessionBusy):
            talk.clear()
        gate.open()
    assert [second.result().content, third.result().content] == ["3:2", "5:3"]
    assert texts(talk) == ["1", "one", "2", "3:2", "3", "5:3"]
    talk.clear()
    assert talk.messages == ()


async def test_too_many_that_wait_are_refused() -> None:
    gate = Gate()
    talk = agent_of(Step(text=["one", gate]), *[echo] * MAX_WAITING).conversation("ada")
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(talk.run("1"))
        await gate.reached.wait()
        for _ in range(MAX_WAITING):
            group.create_task(talk.run("waits"))
            await asyncio.sleep(0)
        with pytest.raises(RunFailed, match="16 turns wait") as failed:
            await talk.run("too many")
        assert failed.value.code == "session_busy"
        gate.open()
    assert len(talk.messages) == 2 * (MAX_WAITING + 1)


async def test_a_turn_that_is_cancelled_while_it_waits_leaves_the_queue() -> None:
    gate = Gate()
    talk = agent_of(Step(text=["one", gate]), echo).conversation()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(talk.run("1"))
        await gate.reached.wait()
        async with talk.start("2") as waiting:
            await asyncio.sleep(0)
            await waiting.cancel()
            check_events([event async for event in waiting.events()])
        third = group.create_task(talk.run("3"))
        gate.open()
    assert third.result().content == "3:3"
    assert texts(talk) == ["1", "one", "3", "3:3"]


async def test_of_an_answer_that_was_stopped_what_there_is_is_kept() -> None:
    gate = Gate()
    talk = agent_of(Step(text=["The answer ", gate, "is"]), echo).conversation()
    async with talk.start("Well?") as run, asyncio.timeout(PATIENCE):
        await gate.reached.wait()
        await run.cancel()
        with pytest.raises(RunCancelled):
            await run.result()
    assert texts(talk) == ["Well?", "The answer "]
    assert (await talk.run("Go on")).content == "3:Go on"


async def test_of_a_turn_without_any_answer_nothing_is() -> None:
    talk = agent_of(Step(error=ConnectionFailed("Gone.")), echo).conversation()
    with pytest.raises(RunFailed, match="Gone"):
        await talk.run("Lost")
    assert talk.messages == ()
    assert (await talk.run("Found")).content == "1:Found"


async def test_what_is_said_into_a_turn_is_kept() -> None:
    gate = Gate()
    talk = agent_of(Step(text=["one", gate]), echo).conversation()
    async with talk.start("1") as run, asyncio.timeout(PATIENCE):
        await gate.reached.wait()
        run.send("also")
        gate.open()
        await run.result()
    assert texts(talk) == ["1", "one", "also", "3:also"]


async def test_a_name_finds_it_again() -> None:
    agent = agent_of()
    await agent.conversation("ada").run("Hello")
    await agent.conversation("bob").run("Hello")
    assert (await agent.conversation("ada").run("Again")).content == "3:Again"
    assert agent.conversation().messages == ()
    agent.forget("ada")
    agent.forget("nobody")
    assert agent.conversation("ada").messages == ()
    assert len(agent.conversation("bob", history=[Message.user("not this")]).messages) == 2
    assert repr(agent.conversation("bob")) == "<Conversation 'bob' with 'bot'>"


async def test_another_model_has_conversations_of_its_own() -> None:
    agent = agent_of()
    await agent.conversation("ada").run("Hello")
    other = agent.with_model(ScriptedModel([echo]), "other")
    assert isinstance(other, ConversationalAgent)
    assert other.conversation("ada").messages == ()
    assert len(agent.conversation("ada").messages) == 2
    carried = other.conversation("eve", history=agent.conversation("ada").messages)
    assert (await carried.run("Again")).content == "3:Again"


async def test_the_conversation_that_was_used_longest_ago_goes() -> None:
    agent = agent_of(conversations=2)
    for name in ("ada", "bob", "ada", "eve"):
        await agent.conversation(name).run("Hello")
    assert len(agent.conversation("ada").messages) == 4
    assert agent.conversation("bob").messages == ()


async def test_one_with_a_turn_under_way_stays() -> None:
    gate = Gate()
    agent = agent_of(Step(text=["one", gate]), echo, echo, conversations=1)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(agent.conversation("ada").run("1"))
        await gate.reached.wait()
        await agent.conversation("bob").run("2")
        gate.open()
    assert texts(agent.conversation("ada")) == ["1", "one"]


def test_bad_bounds_and_history_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        agent_of(conversations=0)
    with pytest.raises(UsageError, match="Message items"):
        agent_of().conversation(history=["Hello"])  # type: ignore[list-item]


def test_a_long_conversation_loses_its_older_half() -> None:
    said = [Message.user("q"), Message.assistant("a")] * (MAX_MESSAGES // 2)
    talk = agent_of().conversation(history=said)
    assert len(talk.messages) == MAX_MESSAGES
    talk.run_sync("more")
    assert len(talk.messages) == MAX_MESSAGES // 2
    assert texts(talk)[-2:] == ["more", "49:more"]
    assert talk.messages[0].role == "user"


def test_so_does_a_large_one() -> None:
    said = [Message.user("q"), Message.assistant("x" * (MAX_SIZE // 5))] * 4
    talk = agent_of().conversation(history=said)
    assert len(talk.messages) == 8
    talk = agent_of().conversation(history=[*said, *said[:2]])
    assert len(talk.messages) == 4
    assert talk.run_sync("more").content.endswith(":more")


async def test_two_event_loops_cannot_have_turns_at_once() -> None:
    gate = Gate()
    talk = agent_of(Step(text=["one", gate]), echo).conversation("ada")
    failed: list[BaseException] = []

    def other() -> None:
        try:
            talk.run_sync("2")
        except RunFailed as error:
            failed.append(error)

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(talk.run("1"))
        await gate.reached.wait()
        thread = Thread(target=other)
        thread.start()
        await asyncio.to_thread(thread.join)
        gate.open()
    assert "another event loop" in str(failed[0])
    assert len(talk.messages) == 2


async def test_in_a_runtime_the_session_keeps_it_and_the_memory_is_the_same() -> None:
    model = ScriptedModel([echo] * 4)
    agent = ConversationalAgent("bot", model, memory=last_messages(3))
    async with Runtime(MemoryStore(), agents=[agent]) as runtime:
        for question in ("1", "2", "3", "4"):
            run = await runtime.submit("bot", question, session="ada")
            response = await run.result()
        session = await runtime.store.session("ada")
    assert response.content == "3:4"
    assert len(session.messages) == 8
    assert agent.conversation("ada").messages == ()


async def test_a_summary_holds_over_the_turns_of_a_session() -> None:
    maker = ScriptedModel([Step(text="One."), Step(text="Two.")])
    model = ScriptedModel([echo] * 8)
    talk = ConversationalAgent("bot", model, memory=summary(maker, keep=2, every=4)).conversation()
    for number in range(7):
        await talk.run(str(number))
    assert len(maker.requests) == 2
    assert max(len(request.messages) for request in model.requests) <= 7
    assert "Two." in model.requests[-1].messages[0].text
    assert len(talk.messages) == 14


async def test_a_summary_that_fails_leaves_the_conversation_whole() -> None:
    maker = ScriptedModel([Step(error=ConnectionFailed("Gone."))] * 9)
    talk = agent_of(memory=summary(maker, keep=2, every=1)).conversation()
    for number in range(4):
        async with talk.start(str(number)) as run:
            events = [event async for event in run.events()]
        check_events(events)
        assert not isinstance(events[-1], Error)
    assert len(talk.messages) == 8
