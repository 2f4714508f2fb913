"""A run with an output type that lost its owner goes on to an answer of that type."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from headrace.agents.agent import Agent
from headrace.events import Complete, Event, Partial, Retract, StepEnd, Token, Warn
from headrace.runs.fold import fold
from headrace.runs.stores.memory import MemoryStore
from headrace.testing import ScriptedModel, Step
from tests.runtime.orphans import of, orphan, record_of, recovered, upto, whole_log

pytestmark = pytest.mark.anyio


class Person(BaseModel):
    name: str
    age: int


GOOD = {"name": "Ada Lovelace", "age": 36}
BAD = {"name": "Ada Lovelace", "age": "old"}


def writes(value: object) -> Step:
    text = json.dumps(value)
    return Step(text=[text[:20], text[20:]])


def agent(*steps: Any) -> Agent:
    return Agent("chaos", ScriptedModel(steps), output_type=Person)


async def goes_on(before: list[Event], *steps: Any) -> list[Event]:
    store = MemoryStore()
    return await recovered(store, await orphan(store, record_of("r"), before), agent(*steps))


async def test_an_answer_that_was_whole_is_only_checked() -> None:
    before = upto(await whole_log(agent(writes(GOOD))), StepEnd)
    log = await goes_on(before)
    assert of(log, Complete)[0].output == GOOD
    assert of(log, Retract) == []
    assert [event.value for event in of(log, Partial)][-1] == GOOD


async def test_one_that_does_not_fit_is_withdrawn_and_asked_again() -> None:
    before = upto(await whole_log(agent(writes(BAD), writes(GOOD))), StepEnd)
    log = await goes_on(before, writes(GOOD))
    (retract,) = of(log, Retract)
    assert (retract.reason, retract.since) == ("invalid_output", 3)
    assert of(log, Complete)[0].output == GOOD
    assert fold(log).text == json.dumps(GOOD)
    assert [event.content for event in log if event.seq > retract.seq and isinstance(event, Token)]


async def test_one_that_was_being_written_is_asked_again() -> None:
    before = upto(await whole_log(agent(writes(GOOD))), Partial)
    log = await goes_on(before, writes(GOOD))
    assert [event.reason for event in of(log, Retract)] == ["recovered"]
    assert of(log, Complete)[0].output == GOOD
    assert fold(log).text == json.dumps(GOOD)


async def test_after_a_withdrawal_it_is_asked_afresh() -> None:
    before = upto(await whole_log(agent(writes(BAD), writes(GOOD))), Retract)
    log = await goes_on(before, writes(GOOD))
    assert [event.code for event in of(log, Warn)] == ["invalid_output", "recovered"]
    assert of(log, Complete)[0].output == GOOD
    assert fold(log).text == json.dumps(GOOD)
