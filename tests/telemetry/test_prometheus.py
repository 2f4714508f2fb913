"""What the server's figures say of real runs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import headrace
from headrace import Agent, tool
from headrace.errors import RateLimited, RunFailed, StreamTruncated
from headrace.models.deltas import Note
from headrace.runs.observer import watch_all
from headrace.telemetry.families import Family
from headrace.telemetry.prometheus import FIRST, GAPS, SECONDS, SPEED, Prometheus
from headrace.testing import Gate, ScriptedModel, Step
from headrace.usage import Usage
from tests.docs.pages import ROOT
from tests.docs.test_pages import rows
from tests.support.drivers import run_of
from tests.support.fake_model import STOP, FakeModel, Try, text
from tests.telemetry.otel import waits
from tests.telemetry.test_exposition import of, read

RUN = {"agent": "bot", "provider": "scripted", "model": "scripted"}
MODEL = {"provider": "scripted", "model": "scripted"}


@tool
def look(what: str) -> str:
    """Look something up."""
    if what == "nothing":
        raise ValueError("my secret")
    return f"found {what}"


def bot(*steps: Step) -> Agent:
    return Agent("bot", ScriptedModel(steps), tools=[look])


@pytest.fixture
async def figures() -> AsyncIterator[Prometheus]:
    made = Prometheus()
    stop = watch_all(made.watch)
    yield made
    stop()


async def test_a_run_with_a_tool(figures: Prometheus) -> None:
    calls = [("look", {"what": "it"}), ("look", {"what": "nothing"})]
    first = Step("Let me see.", tool_calls=calls, usage=Usage(10, 5, 4, 2))
    await bot(first, Step("Here.", usage=Usage(20, 7))).run("Hi")
    found = read(figures.text())
    assert found["headrace_runs_live"] == {of(agent="bot"): 0}
    assert found["headrace_runs_started_total"] == {of(**RUN): 1}
    ends = {of(**RUN, status="complete", reason="stop"): 1}
    assert found["headrace_runs_total"] == ends
    assert found["headrace_run_duration_seconds_count"] == {of(**RUN): 1}
    assert found["headrace_run_time_to_first_token_seconds_count"] == {of(**RUN): 1}
    assert found["headrace_run_tokens_per_second_count"] == {of(**RUN): 1}
    assert found["headrace_run_chunks_total"] == {of(**RUN): 2}
    assert found["headrace_run_chars_total"] == {of(**RUN): len("Let me see.Here.")}
    assert found["headrace_model_calls_total"] == {
        of(**MODEL, finish_reason="tool_calls", error=""): 1,
        of(**MODEL, finish_reason="stop", error=""): 1,
    }
    assert found["headrace_model_call_duration_seconds_count"] == {of(**MODEL): 2}
    assert found["headrace_model_time_to_first_chunk_seconds_count"] == {of(**MODEL): 2}
    assert found["headrace_model_tokens_total"] == {
        of(**MODEL, type="input"): 30,
        of(**MODEL, type="output"): 12,
        of(**MODEL, type="cached"): 4,
        of(**MODEL, type="reasoning"): 2,
    }
    assert found["headrace_tool_duration_seconds_count"] == {
        of(tool="look", error=""): 1,
        of(tool="look", error="_OTHER"): 1,
    }
    assert found["headrace_build_info"] == {of(version=headrace.__version__): 1}
    assert figures.runs == {}


async def test_a_read_counts_once_however_much_it_holds(figures: Prometheus) -> None:
    reads = [text(*"abc"), text("d", "e"), text("f")]
    await Agent("bot", FakeModel(Try(*reads, [STOP]))).run("Hi")
    found = read(figures.text())
    of_fake = of(provider="fake", model="one")
    assert found["headrace_model_chunk_gap_seconds_count"] == {of_fake: 2}


async def test_a_run_that_goes_on(figures: Prometheus) -> None:
    gate = Gate()
    async with bot(Step(["a", gate])).start("Hi") as run:
        await gate.reached.wait()
        found = read(figures.text())
        assert found["headrace_runs_live"] == {of(agent="bot"): 1}
        assert "headrace_runs_total" not in found
        assert list(figures.runs) == [run.id]
        gate.open()
        await run.wait()
    assert read(figures.text())["headrace_runs_live"] == {of(agent="bot"): 0}


async def test_errors_retries_and_retracts(figures: Prometheus) -> None:
    model = FakeModel(
        RateLimited("fake: slow down."),
        Try(text("half"), StreamTruncated("fake: cut.")),
        Try(text("whole"), [STOP]),
    )
    async with Agent("bot", model).start("Hi") as run:
        await run.wait()
    with pytest.raises(RunFailed):
        await bot(Step(error=RateLimited("scripted: my secret"))).run("Hi")
    found = read(figures.text())
    of_fake = {"provider": "fake", "model": "one"}
    assert found["headrace_retries_total"] == {of(**of_fake, code="retry"): 1}
    assert found["headrace_retracts_total"] == {of(**of_fake, reason="stream_truncated"): 1}
    assert found["headrace_warnings_total"] == {of(code="retry"): 1, of(code="stream_truncated"): 1}
    assert found["headrace_model_calls_total"] == {
        of(**of_fake, finish_reason="error", error="stream_truncated"): 1,
        of(**of_fake, finish_reason="stop", error=""): 1,
        of(**MODEL, finish_reason="error", error="rate_limited"): 1,
    }
    failed = of(**RUN, status="error", reason="rate_limited")
    assert found["headrace_runs_total"][failed] == 1
    assert "secret" not in figures.text()


async def test_a_warning_that_is_no_retry(figures: Prometheus) -> None:
    await Agent("bot", FakeModel(Try([Note("odd", "It is.")], text("a"), [STOP]))).run("Hi")
    found = read(figures.text())
    assert found["headrace_warnings_total"] == {of(code="odd"): 1}
    assert "headrace_retries_total" not in found


async def test_a_cancel_and_a_loss(figures: Prometheus) -> None:
    async with run_of(waits) as run:
        await run.cancel("my secret")
    async with run_of(waits) as run:
        run.hand_over()
    found = read(figures.text())
    of_run = {"agent": "bot", "provider": "scripted", "model": "one"}
    assert found["headrace_runs_total"] == {
        of(**of_run, status="cancelled", reason=""): 1,
        of(**of_run, status="lost", reason=""): 1,
    }
    assert found["headrace_runs_live"] == {of(agent="bot"): 0}
    assert figures.runs == {}
    assert "secret" not in figures.text()


async def test_nothing_that_anyone_says_is_in_it(figures: Prometheus) -> None:
    calls = [("look", {"what": "private thing"})]
    await bot(Step("private words", tool_calls=calls), Step("private answer")).run("private prompt")
    assert "private" not in figures.text()


async def test_a_model_that_makes_up_tools_fills_no_memory(figures: Prometheus) -> None:
    calls: list[tuple[str, dict[str, str]]] = [(f"tool_{nth}", {}) for nth in range(300)]
    await bot(Step(tool_calls=calls), Step("Well.")).run("Hi")
    found = read(figures.text())["headrace_tool_duration_seconds_count"]
    assert len(found) == 201
    assert found[of(tool="other", error="other")] == 100


def told() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Each metric's kind and labels, as the documentation has them."""
    page = (ROOT / "docs" / "telemetry.md").read_text("utf-8")
    table = [row for row in rows(page, 4) if row[0].startswith("`headrace_")]
    return {
        name.strip("`"): (kind, tuple(filter(None, labels.split(", "))))
        for name, kind, labels, _ in table
    }


def test_the_page_has_every_metric_and_its_labels() -> None:
    families = [f for f in vars(Prometheus()).values() if isinstance(f, Family)]
    found = {f.name: (f.kind, f.labels) for f in families}
    viewers = {name: ("gauge", ()) for name in ("headrace_viewers", "headrace_viewer_lag_events")}
    assert told() == found | viewers


def test_bounds_rise() -> None:
    for bounds in (SECONDS, FIRST, GAPS, SPEED):
        assert list(bounds) == sorted(set(bounds))
