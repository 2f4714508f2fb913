"""The lines about each run: what came, when it began to answer, how it ended; no prompts."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from headrace import Agent
from headrace.errors import StoreUnavailable
from headrace.server.run_log import PROMPT_MAX
from headrace.testing import ScriptedModel, Step
from tests.promises.story import held
from tests.server.reading import asked, started
from tests.server.serving import serving, until


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "headrace.runs"]


def told(caplog: pytest.LogCaptureFixture, count: int) -> list[str]:
    return [line.partition(" ")[2] for line in lines(caplog)[-count:]]


async def ran(agent: Agent, caplog: pytest.LogCaptureFixture, count: int, **more: Any) -> None:
    caplog.set_level(logging.INFO, "headrace.runs")
    async with serving([agent], **more) as server:
        run_id = await started(server.url, "What is it?")
        await server.runtime.wait(run_id)
        await until(lambda: len(lines(caplog)) == count)
    assert all(line.startswith(run_id) for line in lines(caplog))


async def test_a_run_is_told_from_its_question_to_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await ran(Agent("bot", ScriptedModel([Step(text=["One ", "two"])])), caplog, 3)
    received, first, ended = told(caplog, 3)
    assert received == "received 11 characters for bot on scripted:scripted"
    assert re.fullmatch(r"first chunk after \d+ ms", first)
    assert re.fullmatch(r"complete \(stop\): 2 chunks, 7 characters in \d+\.\d s", ended)


async def test_the_first_chunk_is_told_when_it_comes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headrace.runs")
    model, gate = held("One ")
    async with serving([Agent("bot", model)]) as server:
        run_id = await started(server.url)
        await until(lambda: "first chunk" in caplog.text)
        assert "complete" not in caplog.text
        await asked(f"{server.url}/v1/runs/{run_id}/cancel", {"reason": "enough"})
        await until(lambda: "cancelled: enough: 1 chunks, 4 characters" in caplog.text)
        assert not gate.opened.is_set()


async def test_a_run_that_says_nothing_has_no_first_chunk(caplog: pytest.LogCaptureFixture) -> None:
    error = StoreUnavailable("It\nis down.")
    broken = ScriptedModel([Step(error=error)])  # type: ignore[arg-type]
    await ran(Agent("bot", broken), caplog, 2)
    assert told(caplog, 1)[0].startswith("failed: store_unavailable: It is down.")


async def test_prompts_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await ran(Agent("bot", ScriptedModel([Step(text="An answer")])), caplog, 3)
    assert "What is it" not in caplog.text
    assert "An answer" not in caplog.text


async def test_prompts_are_shown_where_that_was_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    long = "An\nanswer " * PROMPT_MAX
    await ran(Agent("bot", ScriptedModel([Step(text=long)])), caplog, 4, log_prompts=True)
    assert "scripted:scripted: 'What is it?'" in lines(caplog)[0]
    assert lines(caplog)[-1].endswith("…'")
    assert len(lines(caplog)[-1]) < PROMPT_MAX + 100
    assert "\n" not in lines(caplog)[-1]


async def test_without_a_reader_nothing_is_followed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "headrace.runs")
    async with serving([Agent("bot", ScriptedModel([Step(text="Hi")]))]) as server:
        await server.runtime.wait(await started(server.url))
        assert not server.app.service._teller._tasks
    assert lines(caplog) == []
