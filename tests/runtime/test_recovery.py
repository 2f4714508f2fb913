"""Each rule by which a run that lost its owner goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from time import time

import pytest

from headrace.agents.agent import Agent
from headrace.errors import ConfigurationError
from headrace.events import (
    Answer,
    Cancelled,
    Complete,
    Error,
    Event,
    Input,
    Retract,
    RunStart,
    StepEnd,
    StepStart,
    Token,
    ToolEnd,
    ToolStart,
    Warn,
)
from headrace.messages import Message, ToolResult
from headrace.runs.fold import fold
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.record import Signal
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.runs.stores.store import Store
from headrace.runtime import Runtime
from headrace.testing import Gate, ScriptedModel, Step
from headrace.tools.context import RunContext
from headrace.tools.tool import tool
from headrace.usage import Usage
from tests.chaos.model import text_of
from tests.runtime.orphans import (
    ASKED,
    PIECES,
    Heard,
    Ran,
    chaos_agent,
    log_of,
    of,
    orphan,
    record_of,
    recover,
    recovered,
    upto,
    whole_log,
)

pytestmark = pytest.mark.anyio

TEXT = text_of(ASKED, PIECES)
NOTE, CHARGE, SECOND = f"{ASKED}-note-1", f"{ASKED}-charge-1", f"{ASKED}-note-2"


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Store = (
        MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "runs.db")
    )
    yield opened
    await opened.close()


# Where it stands ------------------------------------------------------------------------------


async def test_before_its_first_event_it_begins(store: Store) -> None:
    ran = Ran()
    log = await recovered(store, await orphan(store, record_of("r")), chaos_agent(ran))
    assert isinstance(log[-1], Complete)
    assert fold(log).text == TEXT
    assert set(ran.values()) == {1}
    assert of(log, Warn) == []


async def test_after_its_first_event_nothing_is_withdrawn(store: Store) -> None:
    ran = Ran()
    before = upto(await whole_log(chaos_agent(Ran())), RunStart)
    log = await recovered(store, await orphan(store, record_of("r"), before), chaos_agent(ran))
    assert fold(log).text == TEXT
    assert [event.code for event in of(log, Warn)] == ["recovered"]
    assert of(log, Retract) == []
    assert set(ran.values()) == {1}


async def test_a_step_that_has_only_begun_is_asked_again_under_its_number(store: Store) -> None:
    before = upto(await whole_log(chaos_agent(Ran())), StepStart)
    log = await recovered(store, await orphan(store, record_of("r"), before), chaos_agent(Ran()))
    assert [step.step for step in of(log, StepStart)] == [1, 1, 2, 3]
    assert [end.finish_reason for end in of(log, StepEnd)][:2] == ["error", "tool_calls"]
    assert fold(log).text == TEXT


async def test_the_text_of_an_unfinished_step_is_withdrawn(store: Store) -> None:
    before = upto(await whole_log(chaos_agent(Ran())), Token, 2)
    log = await recovered(store, await orphan(store, record_of("r"), before), chaos_agent(Ran()))
    (retract,) = of(log, Retract)
    (first, *_) = of(log, StepStart)
    assert (retract.since, retract.reason) == (first.seq + 1, "recovered")
    assert fold(log[: retract.seq]).text == ""
    assert [token.index for token in of(log, Token)][2:5] == [0, 1, 2]
    assert fold(log).text == TEXT
    assert [answer.content for answer in of(log, Answer)] == [TEXT]


async def test_only_the_unfinished_step_is_withdrawn(store: Store) -> None:
    before = upto(await whole_log(chaos_agent(Ran())), Token, PIECES + 1)
    kept = fold(upto(before, ToolEnd, 2)).text
    log = await recovered(store, await orphan(store, record_of("r"), before), chaos_agent(Ran()))
    (retract,) = of(log, Retract)
    assert fold(log[: retract.seq]).text == kept
    assert fold(log).text == TEXT


async def test_calls_that_had_not_begun_run(store: Store) -> None:
    ran, model = Ran(), Heard()
    before = upto(await whole_log(chaos_agent(Ran())), StepEnd)
    log = await recovered(
        store, await orphan(store, record_of("r"), before), chaos_agent(ran, model)
    )
    assert ran == {("r", NOTE): 1, ("r", CHARGE): 1, ("r", SECOND): 1}
    assert len(model.requests) == 2
    assert of(log, Retract) == []
    assert fold(log).text == TEXT


async def test_what_may_have_been_done_is_not_done_again(store: Store) -> None:
    ran, model = Ran(), Heard()
    before = upto(await whole_log(chaos_agent(Ran())), ToolStart, 2)
    log = await recovered(
        store, await orphan(store, record_of("r"), before), chaos_agent(ran, model)
    )
    assert ran == {("r", NOTE): 1, ("r", SECOND): 1}
    ends = {end.call_id: end for end in of(log, ToolEnd)}
    assert (ends[CHARGE].error, ends[CHARGE].output) == ("outcome unknown", "")
    assert ends[NOTE].error is None
    told = model.requests[0].messages[-1]
    assert told == Message.tool(
        ToolResult(NOTE, "note", f"noted {NOTE}"),
        ToolResult(CHARGE, "charge", "outcome unknown", is_error=True),
    )


async def test_what_may_be_done_twice_runs_again_under_the_same_start(store: Store) -> None:
    ran = Ran()
    before = upto(await whole_log(chaos_agent(Ran())), ToolStart)
    assert before[-1].call_id == NOTE  # type: ignore[attr-defined]
    log = await recovered(store, await orphan(store, record_of("r"), before), chaos_agent(ran))
    assert ran["r", NOTE] == 1
    for kind in (ToolStart, ToolEnd):
        assert [event.call_id for event in of(log, kind)].count(NOTE) == 1
    assert fold(log).text == TEXT


async def test_one_done_and_one_running(store: Store) -> None:
    ran = Ran()
    before = upto(await whole_log(chaos_agent(Ran())), ToolEnd)
    assert before[-1].call_id == NOTE  # type: ignore[attr-defined]
    log = await recovered(store, await orphan(store, record_of("r"), before), chaos_agent(ran))
    assert ran == {("r", SECOND): 1}
    assert [end.error for end in of(log, ToolEnd)] == [None, "outcome unknown", None]
    assert fold(log).text == TEXT


async def test_calls_that_have_ended_do_not_run_again(store: Store) -> None:
    ran, model = Ran(), Heard()
    before = upto(await whole_log(chaos_agent(Ran())), ToolEnd, 2)
    log = await recovered(
        store, await orphan(store, record_of("r"), before), chaos_agent(ran, model)
    )
    assert ran == {("r", SECOND): 1}
    assert [part.output for part in model.requests[0].messages[-1].content] == [  # type: ignore[union-attr]
        f"noted {NOTE}",
        f"charged {CHARGE}",
    ]
    assert fold(log).text == TEXT


async def test_after_the_last_step_only_its_end_is_written(store: Store) -> None:
    model = Heard()
    before = upto(await whole_log(chaos_agent(Ran())), StepEnd, 3)
    log = await recovered(
        store, await orphan(store, record_of("r"), before), chaos_agent(Ran(), model)
    )
    assert model.requests == []
    assert [type(event) for event in log[len(before) :]] == [Warn, Answer, Complete]
    assert fold(log).answer == fold(log).text == TEXT


async def test_a_step_that_had_failed_is_withdrawn_though_its_end_is_there(store: Store) -> None:
    whole = await whole_log(chaos_agent(Ran()))
    before = upto(whole, Token, 2)
    cut = of(whole, StepEnd)[0]
    failed = StepEnd(
        len(before) + 1, before[-1].at, "", 1, "error", Usage(), cut.timing, Message("assistant")
    )
    run = await orphan(store, record_of("r"), [*before, failed])
    log = await recovered(store, run, chaos_agent(Ran()))
    assert fold(log).text == TEXT
    assert fold(log).answer == TEXT


# Who cannot go on -----------------------------------------------------------------------------


@pytest.mark.parametrize("events", [0, 1, 5])
async def test_an_agent_that_is_not_there_ends_the_run(store: Store, events: int) -> None:
    before = (await whole_log(chaos_agent(Ran())))[:events]
    run = await orphan(store, record_of("r", "someone else"), before)
    log = await recovered(store, run, chaos_agent(Ran()))
    end = log[-1]
    assert isinstance(end, Error)
    assert end.code == "agent_unknown"
    assert "'someone else'" in end.message


@pytest.mark.parametrize("events", [0, 1, 5])
async def test_a_run_that_was_lost_too_often_is_given_up(store: Store, events: int) -> None:
    before = (await whole_log(chaos_agent(Ran())))[:events]
    often = await orphan(store, record_of("often", recoveries=2), before)
    once_more = await orphan(store, record_of("once-more", recoveries=1), before)
    await recover(store, [often, once_more], chaos_agent(Ran()), max_recoveries=2)
    end = (await log_of(store, often))[-1]
    assert isinstance(end, Error)
    assert end.code == "recovery_limit"
    assert isinstance((await log_of(store, once_more))[-1], Complete)


async def test_a_run_that_cannot_be_taken_up_keeps_no_other_from_it(store: Store) -> None:
    class Keyless(Agent):
        @property
        def model(self) -> ScriptedModel:
            raise ConfigurationError("There is no key.")

    before = (await whole_log(chaos_agent(Ran())))[:1]
    await orphan(store, record_of("bad", "keyless", created_at=time() - 2), before)
    good = await orphan(store, record_of("good", created_at=time() - 1), before)
    log = await recovered(store, good, Keyless("keyless"), chaos_agent(Ran()), grace=0)
    assert isinstance(log[-1], Complete)


async def test_only_lost_runs_of_this_name_are_taken_up(store: Store) -> None:
    runs = {
        "mine": record_of("mine"),
        "other": record_of("other", host="elsewhere"),
        "owned": record_of("owned", lease_until=time() + 3600),
    }
    for record in runs.values():
        await orphan(store, record)
    await recover(store, ["mine"], chaos_agent(Ran()))
    assert [(await store.run(run)).status for run in runs] == ["complete", "running", "running"]
    assert [(await store.run(run)).recoveries for run in runs] == [1, 0, 0]


# What goes on with it -------------------------------------------------------------------------


async def test_the_session_that_it_belongs_to(store: Store) -> None:
    history = [Message.user("before"), Message.assistant("yes")]
    await store.append_session("s", 0, history)
    model = Heard()
    before = upto(await whole_log(chaos_agent(Ran())), ToolEnd, 2)
    run = await orphan(store, record_of("r", session="s"), before)
    log = await recovered(store, run, chaos_agent(Ran(), model))
    asked = [*history, Message.user(ASKED)]
    assert list(model.requests[0].messages[:3]) == asked
    session = await store.session("s")
    assert list(session.messages) == [*asked, *fold(log).messages]
    assert session.live_run is None


async def test_the_history_that_it_was_given(store: Store) -> None:
    history = [Message.user("before"), Message.assistant("yes")]
    model = Heard()
    run = await orphan(store, record_of("r", history=history))
    await recover(store, [run], chaos_agent(Ran(), model))
    assert list(model.requests[0].messages) == [*history, Message.user(ASKED)]


async def test_the_context_of_its_tools(store: Store) -> None:
    found = []

    @tool(idempotent=True)
    async def note(call: str, run: RunContext) -> str:
        """Write something down."""
        found.append(run.context["customer"])
        return f"noted {call}"

    @tool
    async def charge(call: str) -> str:
        """Take money."""
        return f"charged {call}"

    before = upto(await whole_log(chaos_agent(Ran())), StepEnd)
    run = await orphan(store, record_of("r", context={"customer": 7}), before)
    await recover(store, [run], Agent("chaos", Heard(), tools=[note, charge]))
    assert found == [7, 7]


async def test_its_account(store: Store) -> None:
    whole = await whole_log(chaos_agent(Ran()))
    before = upto(whole, StepEnd, 2)
    log = await recovered(store, await orphan(store, record_of("r"), before), chaos_agent(Ran()))
    uninterrupted, end = whole[-1], log[-1]
    assert isinstance(uninterrupted, Complete)
    assert isinstance(end, Complete)
    assert end.usage == uninterrupted.usage == Usage(600, 3 * PIECES)
    assert end.metrics.chunks == 3 * PIECES
    assert end.metrics.chars == len(TEXT)
    first_token = (of(log, Token)[0].at - log[0].at) * 1e3
    assert end.metrics.time_to_first_token_ms == pytest.approx(first_token, abs=0.01)
    earliest, latest = ((event.at - log[0].at) * 1e3 for event in (log[-3], end))
    assert earliest - 0.01 <= end.metrics.duration_ms <= latest + 0.01


async def test_a_message_that_waited_in_its_log(store: Store) -> None:
    before = upto(await whole_log(Agent("plain", ScriptedModel([Step("One. ")]))), StepEnd)
    more = Input(len(before) + 1, before[-1].at, "", "And two?")
    model = ScriptedModel([Step("Two.")])
    run = await orphan(store, record_of("r", "plain"), [*before, more])
    log = await recovered(store, run, Agent("plain", model))
    (request,) = model.requests
    assert [message.text for message in request.messages] == [ASKED, "One. ", "And two?"]
    assert fold(log).text == "One. Two."


async def test_a_message_that_waited_at_the_store(store: Store) -> None:
    before = upto(await whole_log(Agent("plain", ScriptedModel([Step("One. ")]))), RunStart)
    run = await orphan(store, record_of("r", "plain"), before)
    gate = Gate()
    model = ScriptedModel([Step(["One. ", gate]), Step("Two.")])
    await store.post(Signal(run, "input", "And two?"))
    async with Runtime(store, agents=[Agent("plain", model)]) as runtime:
        async for batch in await runtime.attach(run):
            if of(batch, Input):
                gate.open()
    log = await log_of(store, run)
    assert [event.content for event in of(log, Input)] == ["And two?"]
    assert fold(log).text == "One. Two."


async def test_a_cancel_of_a_lost_run_ends_it(store: Store) -> None:
    before = upto(await whole_log(chaos_agent(Ran())), Token)
    run = await orphan(store, record_of("r"), before)
    gate = Gate()
    agent = Agent("chaos", ScriptedModel([Step(["never", gate])]))
    async with Runtime(store, agents=[agent], recover=False) as runtime:
        end = await runtime.cancel(run, "enough")
    log = await log_of(store, run)
    assert log[-1] == end
    assert (await store.run(run)).status == "cancelled"


# From one runtime to the next -----------------------------------------------------------------


async def test_a_runtime_that_closes_leaves_its_runs_to_the_next(store: Store) -> None:
    gate = Gate()
    first = Runtime(store, agents=[Agent("plain", ScriptedModel([Step(["One", gate, " two."])]))])
    async with first:
        run = await first.submit("plain", "count")
        viewer = await first.attach(run.id)
        await gate.reached.wait()
        await first.aclose(grace=0)
    assert (await store.run(run.id)).live
    second = Agent("plain", ScriptedModel([Step(["One", " two."])]))
    async with Runtime(store, agents=[second]):
        seen = [event async for batch in viewer for event in batch]
    log = await log_of(store, run.id)
    assert seen == log
    assert fold(log).text == "One two."
    assert (await store.run(run.id)).recoveries == 1


class SlowToKeep(MemoryStore):
    """Keeps the start of a tool when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()

    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        if of(events, ToolStart):
            await self.gate.pass_through()
        await super().append(run_id, expected_last_seq, events)


async def test_what_may_not_be_done_twice_is_done_once_its_start_is_kept() -> None:
    ran, store = Ran(), SlowToKeep()
    async with Runtime(store, agents=[chaos_agent(ran)]) as runtime:
        run = await runtime.submit("chaos", ASKED)
        await store.gate.reached.wait()
        for _ in range(20):  # as long as it likes
            await asyncio.sleep(0)
        done = dict(ran)
        store.gate.open()
        assert (await run.result()).content == TEXT
    assert done == {(run.id, NOTE): 1}
    assert ran[run.id, CHARGE] == 1


async def test_a_cancel_ends_a_tool_whose_start_is_not_kept_yet() -> None:
    ran, store = Ran(), SlowToKeep()
    async with Runtime(store, agents=[chaos_agent(ran)]) as runtime:
        run = await runtime.submit("chaos", ASKED)
        await store.gate.reached.wait()
        cancelled = asyncio.create_task(run.cancel("enough"))
        await asyncio.sleep(0)
        store.gate.open()
        await cancelled
    log = await log_of(store, run.id)
    assert isinstance(log[-1], Cancelled)
    assert (run.id, CHARGE) not in ran
