"""Runs as metrics of the conventions, read with the SDK's own reader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.metrics import Histogram, NoOpHistogram, NoOpMeter

from headrace import Agent, tool
from headrace.errors import RateLimited, RunFailed, StreamTruncated
from headrace.providers.rows import ROWS
from headrace.telemetry import conventions as names
from headrace.telemetry.figures import ToolCall
from headrace.telemetry.instruments import MAX_GAPS, MAX_PENDING, Instruments, Sample, labels_of
from headrace.testing import Gate, ScriptedModel, Step
from headrace.usage import Usage
from tests.docs.pages import ROOT
from tests.docs.test_pages import rows
from tests.support.drivers import run_of
from tests.support.fake_model import STOP, FakeModel, Try, text
from tests.telemetry.otel import CHAT, Kept, exported, of, waits

FAKE = CHAT | {"gen_ai__provider__name": "fake", "gen_ai__request__model": "one"}


@pytest.fixture
def kept() -> Iterator[Kept]:
    with exported() as found:
        yield found


@tool
def look(what: str) -> str:
    """Look something up."""
    return f"found {what}"


def bot(*steps: Step, name: str = "bot") -> Agent:
    return Agent(name, ScriptedModel(steps), tools=[look])


CALL = Step("Hm.", tool_calls=[("look", {"what": "it"})], usage=Usage(10, 5))
ANSWER = Step("Here.", usage=Usage(20, 7))


async def test_durations_first_chunks_and_tokens(kept: Kept) -> None:
    await bot(CALL, ANSWER).run("Hi")
    duration = kept.points("gen_ai.client.operation.duration")[of(**CHAT)]
    first = kept.points("gen_ai.client.operation.time_to_first_chunk")[of(**CHAT)]
    assert (duration.count, first.count) == (2, 2)
    assert 0 < first.sum <= duration.sum < 10
    tokens = kept.points("gen_ai.client.token.usage")
    assert {key: point.sum for key, point in tokens.items()} == {
        of(**CHAT, gen_ai__token__type="input"): 30,
        of(**CHAT, gen_ai__token__type="output"): 12,
    }


async def test_the_recommended_boundaries(kept: Kept) -> None:
    await Agent("bot", FakeModel(Try(text("a"), text("b"), [STOP]))).run("Hi")
    await bot(CALL, ANSWER).run("Hi")
    seconds = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96,
               81.92)  # fmt: skip
    tokens = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216,
              67108864)  # fmt: skip
    agents = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
    expected = {
        "gen_ai.client.operation.duration": seconds,
        "gen_ai.client.operation.time_to_first_chunk": seconds,
        "gen_ai.client.operation.time_per_output_chunk": seconds,
        "gen_ai.execute_tool.duration": seconds,
        "gen_ai.client.token.usage": tokens,
        "gen_ai.invoke_agent.duration": agents,
    }
    for name, bounds in expected.items():
        points = kept.points(name)
        assert points, name
        assert {point.explicit_bounds for point in points.values()} == {bounds}, name


async def test_a_read_counts_once_however_much_it_holds(kept: Kept) -> None:
    reads = [text(*"abc"), text("d", "e"), text("f")]
    await Agent("bot", FakeModel(Try(*reads, [STOP]))).run("Hi")
    assert kept.points(names.OUTPUT_CHUNK)[of(**FAKE)].count == 2


async def test_of_many_gaps_so_many_are_recorded(kept: Kept) -> None:
    await Agent("bot", FakeModel(Try(*[text("a")] * (MAX_GAPS + 1), [STOP]))).run("Hi")
    assert kept.points(names.OUTPUT_CHUNK)[of(**FAKE)].count == MAX_GAPS
    await Agent("bot", FakeModel(Try(*[text("a")] * 1000, [STOP]))).run("Hi")
    assert kept.points(names.OUTPUT_CHUNK)[of(**FAKE)].count == 2 * MAX_GAPS


def test_a_sample_is_fair() -> None:
    sums, rounds = 0.0, 200
    for _ in range(rounds):
        sample = Sample()
        for value in range(1000):
            sample.add(value)
        assert len(sample.values) == MAX_GAPS == 64
        assert len(set(sample.values)) == MAX_GAPS
        sums += sum(sample.values) / MAX_GAPS
    # The mean of 12,800 draws from 0..999: 499.5, with a standard deviation of 2.5.
    assert abs(sums / rounds - 499.5) < 25


async def test_estimated_tokens_are_not_reported(kept: Kept) -> None:
    await bot(Step("No one counts.")).run("Hi")
    assert kept.points(names.OPERATION_DURATION)
    assert kept.points(names.TOKEN_USAGE) == {}


async def test_errors_have_a_type(kept: Kept) -> None:
    with pytest.raises(RunFailed):
        await bot(Step(error=RateLimited("scripted: my secret"))).run("Hi")
    error = {"error__type": "rate_limited"}
    assert list(kept.points(names.OPERATION_DURATION)) == [of(**CHAT, **error)]
    agent = {"gen_ai__operation__name": "invoke_agent", "gen_ai__agent__name": "bot"}
    assert list(kept.points(names.AGENT_DURATION)) == [of(**agent, **error)]
    assert "secret" not in kept.everything()


async def test_tools_have_durations(kept: Kept) -> None:
    await bot(CALL, ANSWER).run("Hi")
    labels = {"gen_ai__operation__name": "execute_tool", "gen_ai__tool__name": "look"}
    assert kept.points(names.TOOL_DURATION)[of(**labels)].count == 1


async def test_retries_and_retracts(kept: Kept) -> None:
    model = FakeModel(
        RateLimited("fake: later"),
        Try(text("ha"), StreamTruncated("fake: cut.")),
        Try(text("a"), [STOP]),
    )
    async with Agent("bot", model).start("Hi") as run:
        await run.wait()
    whose = {"gen_ai__provider__name": "fake", "gen_ai__request__model": "one"}
    retries = kept.points(names.RETRIES)
    assert {key: point.value for key, point in retries.items()} == {
        of(**whose, headrace__warning__code="retry"): 1
    }
    retracts = kept.points(names.RETRACTS)
    assert {key: point.value for key, point in retracts.items()} == {
        of(**whose, headrace__retract__reason="stream_truncated"): 1
    }


async def test_live_runs(kept: Kept) -> None:
    gate = Gate()
    bots = of(gen_ai__agent__name="bot")
    async with bot(Step(["a", gate])).start("Hi") as run:
        await gate.reached.wait()
        assert kept.points(names.RUNS_LIVE)[bots].value == 1
        gate.open()
        await run.wait()
    assert kept.points(names.RUNS_LIVE)[bots].value == 0
    async with run_of(waits) as run:
        run.hand_over()
    assert kept.points(names.RUNS_LIVE)[bots].value == 0


class Writing(NoOpMeter):
    """Its histograms write down what they are given."""

    def __init__(self) -> None:
        super().__init__("writing")
        self.written: list[float] = []

    def create_histogram(self, name: str, *args: Any, **more: Any) -> Histogram:
        written = self.written

        class Written(NoOpHistogram):
            def record(self, amount: float, *args: Any, **more: Any) -> None:
                written.append(amount)

        return Written(name)


def test_what_is_put_aside_is_recorded_before_it_becomes_much() -> None:
    meter = Writing()
    instruments = Instruments(meter)
    for nth in range(MAX_PENDING - 1):
        instruments.tool(ToolCall("", "c", "look", 0.0, float(nth), True))
    assert meter.written == []
    instruments.tool(ToolCall("", "c", "look", 0.0, 99.0, True))
    assert meter.written == [*map(float, range(MAX_PENDING - 1)), 99.0]
    assert MAX_PENDING == 64


async def test_a_value_is_not_tied_to_another_run_s_span(kept: Kept) -> None:
    for _ in range(MAX_PENDING):
        await bot(ANSWER).run("Hi")
    points = kept.points(names.OPERATION_DURATION)
    assert [point.exemplars for point in points.values()] == [[]]


async def test_a_model_that_makes_up_tools_fills_no_memory(kept: Kept) -> None:
    calls: list[tuple[str, dict[str, str]]] = [(f"tool_{nth}", {}) for nth in range(300)]
    await bot(Step(tool_calls=calls), ANSWER).run("Hi")
    points = kept.points(names.TOOL_DURATION)
    assert len(points) == 201
    more = {"gen_ai__tool__name": "other", "error__type": "other"}
    assert points[of(gen_ai__operation__name="execute_tool", **more)].count == 100


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("openai-responses", "openai"),
        ("azure", "azure.ai.openai"),
        ("gemini", "gcp.gemini"),
        ("mistral", "mistral_ai"),
        ("xai", "x_ai"),
        ("anthropic", "anthropic"),
    ],
)
def test_providers_have_the_names_of_the_conventions(ours: str, theirs: str) -> None:
    assert labels_of(ours, "m") == (theirs, "m")


def test_the_providers_that_are_renamed_exist() -> None:
    assert set(names.PROVIDERS) <= {row.name for row in ROWS}


def test_the_page_has_every_metric() -> None:
    page = (ROOT / "docs" / "telemetry.md").read_text("utf-8")
    made = {
        value
        for value in vars(names).values()
        if isinstance(value, str) and re.fullmatch(r"gen_ai\.(client|invoke|execute).*", value)
    }
    assert len(made) == 6
    told = {row[0].strip("`") for row in rows(page, 3) if row[0].startswith("`gen_ai.")}
    assert told == made
