"""A conversation that is cut before it goes on: the last question again, or another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from msgspec.structs import replace

from headrace import Agent, RunFailed
from headrace.errors import (
    IdempotencyConflict,
    RequestRejected,
    SessionBusy,
    SessionConflict,
    SessionNotFound,
    UsageError,
)
from headrace.events import Complete, Error, Event
from headrace.messages import Message
from headrace.runs.fold import fold
from headrace.runs.stores.record import RunRecord
from headrace.runs.stores.store import Store
from headrace.runtime import Runtime
from headrace.runtime.spec import Spec, decode_spec, encode_spec
from headrace.testing import Gate, ScriptedModel, Step
from tests.runtime.orphans import (
    Heard,
    Ran,
    chaos_agent,
    orphan,
    record_of,
    recovered,
    whole_log,
)
from tests.runtime.stores import MAKERS
from tests.runtime.test_runtime import until_shown

pytestmark = pytest.mark.anyio

ONE, A1 = Message.user("one"), Message.assistant("answer 1")
TWO, A2 = Message.user("two"), Message.assistant("answer 2")
HELD = (ONE, A1, TWO, A2)


@pytest.fixture(params=list(MAKERS))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Store]:
    made = MAKERS[request.param](tmp_path)
    await made.append_session("s", 0, HELD)
    yield made
    await made.close()


def says(*steps: Step | str) -> tuple[Agent, ScriptedModel]:
    model = ScriptedModel([Step(text=s) if isinstance(s, str) else s for s in steps])
    return Agent("bot", model), model


async def test_an_answer_takes_the_place_of_what_came_behind(store: Store) -> None:
    agent, model = says("other", "more", "anew")
    async with Runtime(store) as runtime:
        again = await runtime.submit(agent, "two", session="s", keep=2)
        await again.result()
        session = await store.session("s")
        assert session.messages == (ONE, A1, TWO, Message.assistant("other"))
        assert session.runs == ("", "", "", again.id)  # the question is the same, and stays
        more = await runtime.submit(agent, "and?", session="s", keep=4)
        await more.result()
        assert (await store.session("s")).runs == ("", "", "", again.id, more.id, more.id)
        await (await runtime.submit(agent, "1", session="s", keep=0)).result()
    heard = [[message.text for message in request.messages] for request in model.requests]
    assert heard == [
        ["one", "answer 1", "two"],
        ["one", "answer 1", "two", "other", "and?"],
        ["1"],
    ]
    session = await store.session("s")
    assert [message.text for message in session.messages] == ["1", "anew"]
    assert session.title == "1"


async def test_without_an_answer_nothing_is_lost(store: Store) -> None:
    agent, _ = says(Step(error=RequestRejected("It is too long.")))
    async with Runtime(store) as runtime:
        with pytest.raises(RunFailed):
            await (await runtime.submit(agent, "x", session="s", keep=1)).result()
    session = await store.session("s")
    assert (session.messages, session.runs, session.live_run) == (HELD, ("",) * 4, None)


async def test_an_answer_that_was_stopped_counts(store: Store) -> None:
    gate = Gate()
    agent, _ = says(Step(text=["Half", gate]))
    async with Runtime(store) as runtime:
        run = await runtime.submit(agent, "x", session="s", keep=1)
        await until_shown(runtime, run.id, "Half")
        assert (await store.session("s")).messages == HELD  # until then nothing is changed
        await run.cancel()
    session = await store.session("s")
    assert session.messages == (ONE, Message.user("x"), Message.assistant("Half"))


async def test_what_cannot_be_kept_is_refused_and_begins_nothing(store: Store) -> None:
    agent, _ = says()
    async with Runtime(store) as runtime:
        for keep in (5, 2**63 - 1):
            with pytest.raises(SessionConflict, match="4 messages") as caught:
                await runtime.submit(agent, "x", session="s", keep=keep)
            assert caught.value.hint
        with pytest.raises(SessionConflict, match="0 messages"):
            await runtime.submit(agent, "x", session="new", keep=1)
        for wrong in (
            {"session": "s", "keep": -1},
            {"keep": 0},
            {"session": "s", "keep": 2, "history": [ONE]},
        ):
            with pytest.raises(UsageError, match="keep") as refused:
                await runtime.submit(agent, "x", **wrong)
            assert refused.value.hint
        with pytest.raises(SessionNotFound):
            await runtime.submit(agent, "x", session="s", keep=9, user="ann")
    assert await store.runs() == []
    assert [session.id for session in await store.sessions()] == ["s"]


async def test_a_new_session_keeps_nothing(store: Store) -> None:
    agent, _ = says("hello")
    async with Runtime(store) as runtime:
        await (await runtime.submit(agent, "hi", session="new", keep=0)).result()
    assert [m.text for m in (await store.session("new")).messages] == ["hi", "hello"]


async def test_a_busy_session_does_as_it_does_without(store: Store) -> None:
    gate = Gate()
    agent, model = says(Step(text=["Half", gate]), "next", "last")
    async with Runtime(store) as runtime:
        live = await runtime.submit(agent, "x", session="s")
        await until_shown(runtime, live.id, "Half")
        with pytest.raises(SessionBusy):
            await runtime.submit(agent, "y", session="s", keep=2)
        waiting = asyncio.create_task(
            runtime.submit(agent, "y", session="s", keep=2, busy="replace")
        )
        await (await waiting).result()
        assert [m.text for m in model.requests[1].messages] == ["one", "answer 1", "y"]
        gate.open()
    assert [m.text for m in (await store.session("s")).messages][2:] == ["y", "next"]


async def test_what_was_cut_while_it_waited_ends_the_run(store: Store) -> None:
    """Of two that wait, the first leaves less than the second wants to keep."""
    gate = Gate()
    agent, _ = says(Step(text=["Half", gate]), "short")
    async with Runtime(store, busy="queue") as runtime:
        live = await runtime.submit(agent, "x", session="s")
        await until_shown(runtime, live.id, "Half")
        first = asyncio.create_task(runtime.submit(agent, "1", session="s", keep=0))
        await _wait_for_turn(runtime, 1)
        second = asyncio.create_task(runtime.submit(agent, "2", session="s", keep=4))
        await _wait_for_turn(runtime, 2)
        gate.open()
        await (await first).result()
        end = await runtime.wait((await second).id)
    assert isinstance(end, Error)
    assert end.code == "session_conflict"
    assert [m.text for m in (await store.session("s")).messages] == ["1", "short"]


async def test_a_key_is_for_one_way_to_go_on(store: Store) -> None:
    agent, _ = says("one", "two")
    async with Runtime(store) as runtime:
        first = await runtime.submit(agent, "x", session="s", keep=2, idempotency_key="k")
        await first.result()
        again = await runtime.submit(agent, "x", session="s", keep=2, idempotency_key="k")
        assert (again.id, again.created) == (first.id, False)
        for keep in (None, 0):
            with pytest.raises(IdempotencyConflict):
                await runtime.submit(agent, "x", session="s", keep=keep, idempotency_key="k")


@pytest.mark.parametrize("events", [0, 5])
async def test_a_run_that_is_taken_up_keeps_what_it_was_to_keep(store: Store, events: int) -> None:
    model = Heard()
    record = _keeps(record_of("r", session="s"), 2)
    before = (await _before())[:events]
    run = await orphan(store, record, before)
    log = await recovered(store, run, chaos_agent(Ran(), model))
    assert isinstance(log[-1], Complete)
    asked = (ONE, A1, *decode_spec(record.spec).input)
    assert model.requests[0].messages[:3] == asked
    session = await store.session("s")
    assert session.messages == (*asked, *fold(log).messages)
    assert set(session.runs[2:]) == {"r"}


@pytest.mark.parametrize("who", ["chaos", "no one"])
async def test_so_does_one_that_only_gets_its_end(store: Store, who: str) -> None:
    """Of what it had said its reader saw a part; where it had said nothing, all stays."""
    for run_id, events, want in (("silent", 1, HELD), ("said", 6, (ONE, A1))):
        often = 3 if who == "chaos" else 0  # it is given up, or its agent is not there
        record = _keeps(record_of(run_id, who, session="s", recoveries=often), 2)
        await orphan(store, record, (await _before())[:events])
        log = await recovered(store, run_id, chaos_agent(Ran()), max_recoveries=2)
        assert isinstance(log[-1], Error)
        session = await store.session("s")
        assert session.messages[: len(want)] == want
        assert (len(session.messages) > len(want)) is (run_id == "said")


async def _wait_for_turn(runtime: Runtime, waiting: int) -> None:
    async with asyncio.timeout(5):
        while runtime._queue._waiting.get("s") != waiting:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)


def _keeps(record: RunRecord, keep: int) -> RunRecord:
    spec = replace(decode_spec(record.spec), keep=keep)
    return replace(record, spec=encode_spec(spec))


async def _before() -> list[Event]:
    return await whole_log(chaos_agent(Ran()))


def test_what_a_conversation_begins_with() -> None:
    asked = (Message.user("x"),)
    assert Spec(asked).kept(HELD) == 4
    assert Spec(asked, keep=2).kept(HELD) == 2
    assert Spec(asked, (ONE, A1, ONE), own_history=True).kept(HELD) == 2
    assert Spec(asked, HELD, own_history=True).kept(HELD[:3]) == 3
    assert Spec(asked, (), own_history=True).kept(HELD) == 0


def test_a_spec_of_before_keeps_all() -> None:
    old = b'{"input":[{"role":"user","content":[]}]}'
    assert decode_spec(old).keep is None
    assert not decode_spec(old).replaces
    assert b"keep" not in encode_spec(decode_spec(old))
    assert decode_spec(encode_spec(Spec((ONE,), keep=0))).keep == 0
