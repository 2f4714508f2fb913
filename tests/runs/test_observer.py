"""Observers: told of what is written, at the place where it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from headrace import Agent, tool
from headrace.errors import RunHandedOver
from headrace.events import (
    Cancelled,
    Complete,
    Error,
    Event,
    Retract,
    StepEnd,
    StepStart,
    Thought,
    Token,
    ToolArgs,
    ToolEnd,
    Warn,
)
from headrace.models.deltas import Delta, Note, ReasoningDelta, TextDelta
from headrace.runs.observer import Observer, Observers, watch_all
from headrace.runs.run import Outcome, Run
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.writer import Writer
from headrace.runtime import Runtime
from headrace.testing import Gate, ScriptedModel, Step
from tests.chaos.model import ChaosModel
from tests.runtime.orphans import (
    PIECES,
    Ran,
    chaos_agent,
    log_of,
    orphan,
    record_of,
    recovered,
    upto,
    whole_log,
)
from tests.runtime.stores import MoodyStore
from tests.support.drivers import DONE, begin_step, hello, run_of
from tests.support.fake_model import STOP, FakeModel, Try, text

Deltas = Token | Thought | ToolArgs


class Told(Observer):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.batches: list[tuple[str, int]] = []
        self.order: list[str] = []
        self.losses = 0

    def event(self, event: Event) -> None:
        self.events.append(event)
        self.order.append(type(event).__name__)

    def content(self, agent: str, count: int, at: float) -> None:
        self.batches.append((agent, count))
        self.order.append(f"content {count}")

    def lost(self) -> None:
        self.losses += 1


class Broken(Told):
    """Raises at its first event of a kind, or at its first content."""

    def __init__(self, kind: type[Event] | None) -> None:
        super().__init__()
        self.kind = kind

    def event(self, event: Event) -> None:
        super().event(event)
        if type(event) is self.kind:
            raise RuntimeError("broken")

    def content(self, agent: str, count: int, at: float) -> None:
        super().content(agent, count, at)
        if self.kind is None:
            raise RuntimeError("broken")


async def waits(_: Writer) -> Outcome:
    await asyncio.get_running_loop().create_future()
    return DONE


class Following:
    """Watches every run and keeps what its observers are told."""

    def __init__(self, make: Callable[[], Told] = Told) -> None:
        self.told: list[Told] = []
        self.runs: list[Run] = []
        self._make = make

    def __call__(self, run: Run) -> Observer:
        self.runs.append(run)
        self.told.append(self._make())
        return self.told[-1]


@pytest.fixture
async def following() -> AsyncIterator[Following]:
    found = Following()
    stop = watch_all(found)
    yield found
    stop()


@tool
def look(what: str) -> str:
    """Look something up."""
    return f"found {what}"


def scripted(*steps: Step) -> Agent:
    return Agent("bot", ScriptedModel(steps), tools=[look])


async def logged(agent: Agent, following: Following) -> tuple[list[Event], Told]:
    async with agent.start("Hi") as run:
        log = [event async for event in run.events()]
    return log, following.told[-1]


async def test_each_structural_event_once_and_in_order(following: Following) -> None:
    agent = scripted(Step("Let me see.", tool_calls=[("look", {"what": "it"})]), Step("Here."))
    log, told = await logged(agent, following)
    assert told.events == [event for event in log if not isinstance(event, Deltas)]
    assert isinstance(told.events[-1], Complete)
    assert following.runs[0].info.agent_name == "bot"
    assert sum(count for _, count in told.batches) == len(log) - len(told.events)


async def test_content_is_told_by_the_batch(following: Following) -> None:
    reads: list[list[Delta]] = [[ReasoningDelta("hm"), *text("a", "b")], text("c")]
    _, told = await logged(Agent("bot", FakeModel(Try(*reads, [STOP]))), following)
    assert told.batches == [("", 3), ("", 1)]


async def test_a_note_is_an_event_and_no_content(following: Following) -> None:
    reads: list[list[Delta]] = [
        [Note("slow", "It is slow.")],
        [TextDelta("a"), Note("odd", "It is odd.")],
    ]
    log, told = await logged(Agent("bot", FakeModel(Try(*reads, [STOP]))), following)
    first, second = (event for event in log if isinstance(event, Warn))
    assert [event for event in told.events if isinstance(event, Warn)] == [first, second]
    assert told.batches == [("", 1)]
    assert [step.timing.first_content_ms is None for step in log if isinstance(step, StepEnd)] == [
        False
    ]


async def test_an_end_is_told_once_whatever_it_is(following: Following) -> None:
    async def fails(_: Writer) -> Outcome:
        raise ValueError("no")

    for driver, kind in ((hello, Complete), (fails, Error)):
        await run_of(driver).wait()
        assert [type(e) for e in following.told[-1].events if type(e) in (Complete, Error)] == [
            kind
        ]
    async with run_of(waits) as run:
        await run.cancel("enough")
        await run.cancel("again")
    assert following.told[-1].order == ["RunStart", "Cancelled"]
    assert [told.losses for told in following.told] == [0, 0, 0]


async def test_what_a_driver_left_open_is_told_before_the_end(following: Following) -> None:
    async def leaves(writer: Writer) -> Outcome:
        begin_step(writer)
        return DONE

    await run_of(leaves).wait()
    assert following.told[0].order == ["RunStart", "StepStart", "StepEnd", "Answer", "Complete"]


@pytest.mark.parametrize("kind", [StepStart, Complete, None])
async def test_one_that_raises_is_told_no_more_and_the_run_goes_on(
    kind: type[Event] | None, caplog: pytest.LogCaptureFixture
) -> None:
    broken, whole = Following(lambda: Broken(kind)), Following()
    stops = [watch_all(broken), watch_all(whole)]
    try:
        response = await scripted(Step("Hello.")).run("Hi")
    finally:
        for stop in stops:
            stop()
    assert response.content == "Hello."
    last = "content 1" if kind is None else kind.__name__
    assert broken.told[0].order[-1] == last
    assert whole.told[0].order[-1] == "Complete"
    assert len([r for r in caplog.records if "Broken failed" in r.message]) == 1


async def test_one_that_raises_when_the_run_is_lost_keeps_no_one_from_being_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Fails(Told):
        def lost(self) -> None:
            raise RuntimeError("broken")

    observers, whole = Observers(), Told()
    found = iter((Fails(), whole))
    observers.begin(run_of(hello), [lambda _: next(found), lambda _: next(found)])
    observers.lost()
    assert whole.losses == 1
    assert "Fails failed" in caplog.text


async def test_a_watch_that_raises_or_does_not_follow(caplog: pytest.LogCaptureFixture) -> None:
    def bad(run: Run) -> Observer:
        raise RuntimeError("bad")

    whole = Following()
    stops = [watch_all(bad), watch_all(lambda _: None), watch_all(whole)]
    try:
        async with run_of(hello) as run:
            await run.wait()
            assert run.ended
    finally:
        for stop in stops:
            stop()
    assert whole.told[0].order[-1] == "Complete"
    assert "is not observed" in caplog.text


async def test_no_more_runs_after_the_stop_but_those_that_are_followed() -> None:
    found, gate = Following(), Gate()
    stop = watch_all(found)
    async with scripted(Step(["a", gate, "b"])).start("Hi") as run:
        await gate.reached.wait()
        stop()
        stop()  # once more does nothing
        await run_of(hello).wait()
        gate.open()
        await run.wait()
    assert len(found.told) == 1
    assert found.told[0].order[-1] == "Complete"


async def test_a_stop_ends_its_own_watch_alone() -> None:
    found = Following()
    first, second = watch_all(found), watch_all(found)
    first()
    first()
    await run_of(hello).wait()
    second()
    await run_of(hello).wait()
    assert len(found.told) == 1


async def test_no_one_follows_a_run_unless_asked() -> None:
    run = run_of(hello)
    await run.wait()
    assert not run.writer.observers


async def test_a_run_that_has_ended_holds_no_observer(following: Following) -> None:
    run = run_of(hello)
    await run.wait()
    assert not run.writer.observers


# Lost -----------------------------------------------------------------------------------------


async def test_a_run_that_is_handed_over_is_lost_once(following: Following) -> None:
    async with run_of(waits) as run:
        run.hand_over()
        run.hand_over()
        with pytest.raises(RunHandedOver):
            await run.wait()
    assert following.told[0].losses == 1
    assert not any(isinstance(event, Cancelled) for event in following.told[0].events)


async def test_a_run_whose_log_fails_is_lost() -> None:
    store, found, gate = MoodyStore(), Following(), Gate()
    agent = scripted(Step(["a", gate, "b"]))
    async with Runtime(store, recover=False) as runtime:
        runtime.watches.append(found)
        await runtime.submit(agent, "Hi")
        await gate.reached.wait()
        store.broken = True
        gate.open()
        async with asyncio.timeout(5):
            while not found.told[0].losses:  # noqa: ASYNC110 - the loss is what is waited for
                await asyncio.sleep(0)
        store.broken = False
    assert found.told[0].losses == 1


async def test_a_run_whose_end_cannot_be_kept_is_told_its_end_alone() -> None:
    store, found, gate = MoodyStore(), Following(), Gate()
    async with Runtime(store, recover=False) as runtime:
        runtime.watches.append(found)
        run = await runtime.submit(scripted(Step(["a", gate])), "Hi")
        await gate.reached.wait()
        store.open.clear()
        gate.open()
        async with asyncio.timeout(5):
            while "Complete" not in found.told[0].order:  # noqa: ASYNC110
                await asyncio.sleep(0)
        store.broken = True
        store.open.set()
        async with asyncio.timeout(5):
            while run.id in runtime.live:  # noqa: ASYNC110
                await asyncio.sleep(0)
        store.broken = False
    assert found.told[0].losses == 0


# A runtime's ----------------------------------------------------------------------------------


async def test_a_runtime_s_watches_follow_its_runs_alone() -> None:
    found = Following()
    async with Runtime(MemoryStore()) as runtime:
        runtime.watches.append(found)
        run = await runtime.submit(scripted(Step("Hello.")), "Hi")
        async with aclosing(await runtime.attach(run.id)) as batches:
            async for _ in batches:
                pass
        await run_of(hello).wait()
    assert [told.order[-1] for told in found.told] == ["Complete"]


async def test_a_run_that_is_taken_up_is_followed_from_its_recovery_on(
    following: Following,
) -> None:
    agent = chaos_agent(Ran())
    before = upto(await whole_log(agent), Token, 2)
    store = MemoryStore()
    run_id = await orphan(store, record_of("r"), before)
    log = await recovered(store, run_id, agent)
    told = following.told[-1]
    assert told.events == [e for e in log[len(before) :] if not isinstance(e, Deltas)]
    assert [type(e) for e in told.events[:3]] == [Warn, StepEnd, Retract]
    assert await log_of(store, run_id) == log


async def test_one_that_only_gets_its_end_is_followed_too(following: Following) -> None:
    before = upto(await whole_log(Agent("chaos", ChaosModel(pieces=PIECES))), Token, 2)
    store = MemoryStore()
    run_id = await orphan(store, record_of("r", "gone"), before)
    async with Runtime(store, lease=1.0) as runtime:
        await runtime.wait(run_id)
    order = following.told[-1].order
    assert order == ["Warn", "StepEnd", "Error"]


async def test_a_tool_s_end_by_a_cancel_is_told_once(following: Following) -> None:
    started = asyncio.Event()

    @tool
    async def wait_long() -> str:
        """Wait."""
        started.set()
        await asyncio.get_running_loop().create_future()
        return ""

    agent = Agent("bot", ScriptedModel([Step(tool_calls=[("wait_long", {})])]), tools=[wait_long])
    async with agent.start("Hi") as run:
        await started.wait()
        await run.cancel("enough")
    ends = [event for event in following.told[0].events if isinstance(event, ToolEnd)]
    assert [end.error for end in ends] == ["cancelled"]
