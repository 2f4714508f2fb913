"""A runtime: runs that go on without their viewers, seen whole by each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from headrace import Agent, RunCancelled, RunFailed, tool
from headrace.errors import (
    AgentUnknown,
    IdempotencyConflict,
    InputTooLarge,
    InvalidCursor,
    InvalidId,
    RunEnded,
    RunNotFound,
    StoreUnavailable,
    TooManyRuns,
    UsageError,
)
from headrace.events import Cancelled, Complete, Event, Input, Token, type_of
from headrace.messages import Message
from headrace.runs.stores.store import Store
from headrace.runtime import Runtime
from headrace.testing import Gate, ScriptedModel, Step, check_events
from tests.runtime.stores import MAKERS, MoodyStore

pytestmark = pytest.mark.anyio


@pytest.fixture(params=list(MAKERS))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Store]:
    made = MAKERS[request.param](tmp_path)
    yield made
    await made.close()


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def gated(*, before: str = "Half", after: str = " done") -> tuple[Agent, Gate]:
    """An agent whose answer waits in its middle."""
    gate = Gate()
    return Agent("half", ScriptedModel([Step(text=[before, gate, after])])), gate


def with_tool() -> Agent:
    steps = [
        Step(reasoning="Adding.", text="Let me see. ", tool_calls=[("add", {"a": 1, "b": 2})]),
        Step(text=["It", " is", " 3"]),
    ]
    return Agent("calculator", ScriptedModel(steps), tools=[add])


def speaker(*texts: str) -> Agent:
    return Agent("speaker", ScriptedModel([Step(text=text) for text in texts]))


async def seen(runtime: Runtime, run_id: str, after: int = 0) -> list[Event]:
    return [event async for batch in await runtime.attach(run_id, after) for event in batch]


async def until_shown(runtime: Runtime, run_id: str, text: str) -> int:
    """Follow the run until this text was shown; gives the seq."""
    shown = ""
    async for batch in await runtime.attach(run_id):
        for event in batch:
            if isinstance(event, Token):
                shown += event.content
            if shown.endswith(text):
                return event.seq
    raise AssertionError(f"{text!r} was never shown, only {shown!r}")


async def test_a_detached_run_is_seen_whole_by_every_viewer(store: Store) -> None:
    async with Runtime(store) as runtime:
        run = await runtime.submit(with_tool(), "1+2?")
        first, second = await asyncio.gather(seen(runtime, run.id), seen(runtime, run.id))
        late = await seen(runtime, run.id)
        assert first == second == late
        check_events(first)
        response = await run.result()
        assert response.content == "Let me see. It is 3"
        roles = [message.role for message in response.messages]
        assert roles == ["user", "assistant", "tool", "assistant"]
        assert (await run.snapshot()).text == "Let me see. It is 3"


async def test_a_viewer_that_leaves_never_touches_the_run(store: Store) -> None:
    agent, gate = gated()
    async with Runtime(store) as runtime:
        run = await runtime.submit(agent, "Go on")
        viewer = await runtime.attach(run.id)
        await anext(viewer)
        await viewer.aclose()
        task = asyncio.create_task(seen(runtime, run.id))
        await gate.reached.wait()
        task.cancel()
        await asyncio.wait([task])
        gate.open()
        assert (await run.result()).content == "Half done"


async def test_it_resumes_from_any_seq_live_and_finished(store: Store) -> None:
    agent, gate = gated()
    async with Runtime(store) as runtime:
        run = await runtime.submit(agent, "Go on")
        last = await until_shown(runtime, run.id, "Half")
        live = [asyncio.create_task(seen(runtime, run.id, after)) for after in range(last + 1)]
        gate.open()
        whole = await seen(runtime, run.id)
        for after, task in enumerate(live):
            assert await task == whole[after:]
        for after in range(len(whole) + 1):
            assert await seen(runtime, run.id, after) == whole[after:]


async def test_a_run_that_was_begun_by_another_runtime_is_followed(tmp_path: Path) -> None:
    agent, gate = gated()
    mine, theirs = MAKERS["sqlite"](tmp_path), MAKERS["sqlite"](tmp_path)
    async with Runtime(mine) as here, Runtime(theirs) as there:
        run = await here.submit(agent, "Go on")
        await until_shown(there, run.id, "Half")
        gate.open()
        assert await seen(there, run.id) == await seen(here, run.id)
    await mine.close()
    await theirs.close()


async def test_a_cancel_keeps_what_was_generated_and_gives_a_receipt(store: Store) -> None:
    agent, _ = gated()
    async with Runtime(store) as runtime:
        run = await runtime.submit(agent, "Go on")
        await until_shown(runtime, run.id, "Half")
        end = await run.cancel("user pressed stop")
        assert isinstance(end, Cancelled)
        assert (end.reason, end.receipt.content) == ("user pressed stop", "Half")
        assert end.receipt.upstream_closed_ms is not None
        assert not end.usage.exact
        assert await runtime.cancel(run.id, "again") == end
        events = await seen(runtime, run.id)
        check_events(events)
        assert events[-1] == end
        with pytest.raises(RunCancelled, match="user pressed stop"):
            await run.result()


async def test_a_cancel_tells_the_state_of_each_tool(store: Store) -> None:
    begun = asyncio.Event()

    @tool
    async def wait() -> str:
        """Wait for ever."""
        begun.set()
        await asyncio.Event().wait()
        return ""

    calls = [("add", {"a": 1, "b": 1}), ("wait", {})]
    model = ScriptedModel([Step(text="Working. ", tool_calls=calls)])
    async with Runtime(store) as runtime:
        run = await runtime.submit(Agent("busy", model, tools=[add, wait]), "Work")
        async for batch in await runtime.attach(run.id):
            if any(type_of(event) == "tool_end" for event in batch):
                break
        await begun.wait()
        end = await run.cancel()
        assert isinstance(end, Cancelled)
        assert end.receipt.tools == {"call_1": "finished", "call_2": "running"}


@pytest.mark.parametrize("word", ["cancel", "send"])
async def test_another_process_reaches_the_run_through_the_store(word: str, tmp_path: Path) -> None:
    gate = Gate()
    agent = Agent("half", ScriptedModel([Step(text=["Half", gate]), Step(text=" more")]))
    mine, theirs = MAKERS["sqlite"](tmp_path), MAKERS["sqlite"](tmp_path)
    async with Runtime(mine) as here, Runtime(theirs) as there:
        run = await here.submit(agent, "Go on")
        await until_shown(there, run.id, "Half")
        if word == "cancel":
            end = await there.cancel(run.id, "from afar")
            assert isinstance(end, Cancelled)
            assert end.reason == "from afar"
        else:
            await there.send(run.id, "More!")
            async for batch in await here.attach(run.id):
                if any(isinstance(event, Input) for event in batch):
                    gate.open()
            assert (await run.result()).content == "Half more"
    await mine.close()
    await theirs.close()


async def test_a_message_into_a_live_run_is_taken_up_by_its_next_step(store: Store) -> None:
    gate = Gate()
    model = ScriptedModel([Step(text=["One", gate]), Step(text=" two")])
    async with Runtime(store) as runtime:
        run = await runtime.submit(Agent("half", model), "Go on")
        await until_shown(runtime, run.id, "One")
        await run.send("And two?")
        gate.open()
        events = await seen(runtime, run.id)
        check_events(events)
        assert [e.content for e in events if isinstance(e, Input)] == ["And two?"]
        assert model.requests[1].messages[-1] == Message.user("And two?")
        said = (await run.snapshot()).messages
        assert [(m.role, m.text) for m in said] == [
            ("assistant", "One"),
            ("user", "And two?"),
            ("assistant", " two"),
        ]
        with pytest.raises(RunEnded):
            await run.send("Too late")


async def test_an_idempotency_key_starts_one_run(store: Store) -> None:
    async with Runtime(store) as runtime:
        agent = speaker("Once", "Twice", "Thrice")
        first = await runtime.submit(agent, "Say", idempotency_key="k")
        again = await runtime.submit(agent, "Say", idempotency_key="k")
        assert (first.created, again.created) == (True, False)
        assert again.id == first.id
        assert (await again.result()).content == "Once"
        with pytest.raises(IdempotencyConflict, match="'k'"):
            await runtime.submit(agent, "Something else", idempotency_key="k")
        other = await runtime.submit(agent, "Say", idempotency_key="k", user="u2")
        assert other.id != first.id
        assert (await other.result()).content == "Twice"


async def test_many_submits_of_one_key_at_once_start_one_run(store: Store) -> None:
    async with Runtime(store) as runtime:
        agent = speaker("Once")
        runs = await asyncio.gather(
            *(runtime.submit(agent, "Say", idempotency_key="k") for _ in range(20))
        )
        assert len({run.id for run in runs}) == 1
        assert sum(run.created for run in runs) == 1
        assert (await runs[0].result()).content == "Once"


BAD_IDS = ["", "../etc/passwd", "run_\n", "run_\0", "a b", "x" * 65, "rün", 7]


@pytest.mark.parametrize("run_id", BAD_IDS, ids=repr)
async def test_what_can_be_no_run_is_refused(run_id: Any, store: Store) -> None:
    async with Runtime(store) as runtime:
        for ask in (runtime.attach, runtime.cancel, runtime.snapshot):
            with pytest.raises(InvalidId, match="cannot be a run's id"):
                await ask(run_id)
        with pytest.raises(InvalidId):
            await runtime.send(run_id, "Hello")


async def test_an_unknown_run_is_told(store: Store) -> None:
    async with Runtime(store) as runtime:
        for ask in (runtime.attach, runtime.cancel, runtime.snapshot):
            with pytest.raises(RunNotFound, match="run_unknown"):
                await ask("run_unknown")
        with pytest.raises(RunNotFound):
            await runtime.send("run_unknown", "Hello")


@pytest.mark.parametrize("after", [-1, 10**9, 10**30, "3", 1.5, True, None])
@pytest.mark.parametrize("live", [False, True])
async def test_a_cursor_that_no_event_ever_had_is_refused(
    after: Any, live: bool, store: Store
) -> None:
    agent, gate = gated()
    async with Runtime(store) as runtime:
        run = await runtime.submit(agent, "Go on")
        if not live:
            gate.open()
            await run.result()
        with pytest.raises(InvalidCursor):
            await runtime.attach(run.id, after)
        gate.open()
        await run.result()


async def test_oversized_input_is_refused_and_nothing_is_kept(store: Store) -> None:
    agent, gate = gated()
    async with Runtime(store) as runtime:
        with pytest.raises(InputTooLarge, match="at most 10,485,760"):
            await runtime.submit(agent, "x" * (10 * 1024 * 1024))
        assert await store.runs() == []
        run = await runtime.submit(agent, "Go on")
        with pytest.raises(InputTooLarge, match="at most 1,048,576"):
            await run.send("x" * (1024 * 1024 + 1))
        gate.open()
        await run.result()


@pytest.mark.parametrize(
    "options",
    [{"session": ""}, {"session": "a\n"}, {"user": " x"}, {"idempotency_key": "k" * 201}],
    ids=repr,
)
async def test_names_that_can_name_nothing_are_refused(
    options: dict[str, Any], store: Store
) -> None:
    async with Runtime(store) as runtime:
        with pytest.raises(InvalidId, match="printable characters"):
            await runtime.submit(speaker("Hello"), "Hi", **options)


async def test_context_that_recovery_could_not_read_is_refused(store: Store) -> None:
    async with Runtime(store) as runtime:
        with pytest.raises(UsageError, match="context cannot be kept"):
            await runtime.submit(speaker("Hello"), "Hi", context={"db": object()})


async def test_agents_are_found_by_their_names(store: Store) -> None:
    async with Runtime(store, agents=[speaker("Hello")]) as runtime:
        run = await runtime.submit("speaker", "Hi")
        assert (await run.result()).content == "Hello"
        with pytest.raises(AgentUnknown, match="Known: speaker"):
            await runtime.submit("nobody", "Hi")
        with pytest.raises(UsageError, match="Another agent is named 'speaker'"):
            await runtime.submit(speaker("Another"), "Hi")


async def test_live_runs_are_bounded(store: Store) -> None:
    agent, gate = gated()
    async with Runtime(store, max_live=1) as runtime:
        run = await runtime.submit(agent, "Go on")
        with pytest.raises(TooManyRuns, match="at most 1"):
            await runtime.submit(agent, "Go on")
        gate.open()
        await run.result()


async def test_a_failed_run_says_what_failed(store: Store) -> None:
    model = ScriptedModel([Step(text="Half", finish_reason=None)])
    async with Runtime(store) as runtime:
        run = await runtime.submit(Agent("cut", model), "Go on")
        with pytest.raises(RunFailed) as caught:
            await run.result()
        assert caught.value.code
        check_events(await seen(runtime, run.id))


async def test_nothing_is_shown_before_it_is_committed() -> None:
    store = MoodyStore()
    agent, gate = gated()
    async with Runtime(store) as runtime:
        store.open.clear()
        run = await runtime.submit(agent, "Go on")
        await gate.reached.wait()
        first = asyncio.ensure_future(anext(await runtime.attach(run.id)))
        done, _ = await asyncio.wait([first], timeout=0.05)
        assert not done
        assert await store.read(run.id, 0) == []
        store.open.set()
        gate.open()
        assert (await first)[0].seq == 1
        await run.result()


async def test_a_store_that_fails_stops_the_run_and_recovery_goes_on_with_it() -> None:
    store = MoodyStore()
    gate = Gate()
    model = ScriptedModel([Step(text=["Half", gate, " lost"]), Step(text="Whole")])
    async with Runtime(store, lease=0.2) as runtime:
        run = await runtime.submit(Agent("half", model), "Go on")
        last = await until_shown(runtime, run.id, "Half")
        viewer = asyncio.create_task(seen(runtime, run.id))
        store.broken = True
        gate.open()
        with pytest.raises(StoreUnavailable, match="moody"):
            await viewer
        assert model.open_streams == 0
        with pytest.raises(StoreUnavailable):
            await store.append(run.id, last, ())
        store.broken = False
        again = await runtime.submit(speaker("New runs work"), "Hi")
        assert (await again.result()).content == "New runs work"
        events = await seen(runtime, run.id)
        check_events(events)
        assert isinstance(events[-1], Complete)
        assert (await run.snapshot()).text == "Whole"


async def test_a_runtime_that_closes_leaves_its_runs_to_the_next(store: Store) -> None:
    gate = Gate()
    model = ScriptedModel([Step(text=["Half", gate]), Step(text="Whole")])
    agent = Agent("half", model)
    async with Runtime(store, grace=0) as runtime:
        run = await runtime.submit(agent, "Go on", session="talk")
        await until_shown(runtime, run.id, "Half")
        viewer = asyncio.create_task(seen(runtime, run.id))
        await gate.reached.wait()
    assert model.open_streams == 0
    assert (await store.run(run.id)).live
    async with Runtime(store, agents=[agent]) as following:
        events = await seen(following, run.id)
        check_events(events)
        assert (await following.snapshot(run.id)).text == "Whole"
    # Its viewer was told nothing of all this: it saw each event once.
    assert await viewer == events
    talk = await store.session("talk")
    assert [m.text for m in talk.messages] == ["Go on", "Whole"]


async def test_a_closed_runtime_takes_nothing(store: Store) -> None:
    async with Runtime(store) as runtime:
        pass
    with pytest.raises(UsageError, match="closed"):
        await runtime.submit(speaker("Hello"), "Hi")


def test_a_mapping_of_agents_is_no_list_of_them() -> None:
    with pytest.raises(UsageError, match="agents are Agents, not str"):
        Runtime(agents={"bot": Agent("bot")})  # type: ignore[dict-item]
