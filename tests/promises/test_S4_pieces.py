"""What users of sage-adk's streaming agent know: what can be done with each piece."""

from __future__ import annotations

import asyncio
import gc
import inspect
import re
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from itertools import pairwise
from time import monotonic, sleep

import pytest

from examples.custom_processing import WordCount
from headrace import Agent, Channel, RunFailed
from headrace.errors import (
    BackpressureTimeout,
    DeadlineExceeded,
    StreamTimeout,
)
from headrace.testing import (
    FaultyModel,
    Gate,
    ScriptedModel,
    Stall,
    Step,
    check_events,
    run_with_fake_clock,
)
from headrace.usage import Metrics
from headrace.views.operators import by_chars, with_metrics, with_progress, with_timeout
from headrace.views.text import text
from tests.cli.shell import Served, before, ended, terminal
from tests.docs.pages import ROOT
from tests.promises.story import (
    NEWS,
    PATIENCE,
    PIECES,
    QUESTION,
    Counting,
    at,
    held,
    research,
    researcher,
    search,
)
from tests.providers.chat_bodies import STOP, chunk
from tests.support.loop import now
from tests.support.loopback import Loopback, stream
from tests.views.operators.sources import timed


async def test_S4_13_progress_every_ten_words_and_the_whole_as_the_reply() -> None:
    words = " ".join(f"word{n}" for n in range(34))
    pieces = [words[i : i + 7] for i in range(0, len(words), 7)]  # words are cut anywhere
    count, log, shown = WordCount(), list[str](), list[str]()

    async def process(piece: str) -> None:
        shown.append(piece)
        if count.add(piece):
            log.append(f"Progress: {count.words} words")

    agent = Agent("bot", ScriptedModel([Step(text=pieces)]))
    reply = (await agent.run_callback("Talk", process)).content
    assert log == ["Progress: 10 words", "Progress: 20 words", "Progress: 30 words"]
    assert shown == pieces
    assert reply == words


def test_S4_15_a_line_of_progress_every_500_ms_and_one_for_the_end() -> None:
    async def main() -> None:
        lines: list[tuple[float, str]] = []
        model = ScriptedModel([Step(text=["word "] * 23, delay=0.09)])
        source = Agent("bot", model).run_stream("Talk")
        async for _ in with_progress(source, lambda line: lines.append((now(), line))):
            pass
        *received, (ended_at, complete) = lines
        assert [line for _, line in received] == [
            "\rReceived 6 chunks, 30 chars...",
            "\rReceived 12 chunks, 60 chars...",
            "\rReceived 18 chunks, 90 chars...",
            "\rReceived 23 chunks, 115 chars...",
        ]
        times = [0.0, *(at for at, _ in received)]
        assert min(later - earlier for earlier, later in pairwise(times)) >= 0.5
        assert complete == "\rComplete: 23 chunks, 115 chars\n"
        assert ended_at == times[-1] == 2.16

    run_with_fake_clock(main())


def test_S4_16_a_stream_may_take_30_seconds_and_has_an_error_of_its_own_for_more() -> None:
    async def main() -> None:
        inner = ScriptedModel([Step(text=["Once", " upon", " never"])])
        model = FaultyModel(inner, Stall(after=2))
        got: list[str] = []

        async def read() -> None:
            async for piece in with_timeout(Agent("bot", model).run_stream("A story"), 30):
                got.append(piece.content)

        with pytest.raises(StreamTimeout, match="streaming timeout after 30 s") as late:
            await read()
        assert now() == 30
        assert got == ["Once", " upon"]
        assert late.value.code == "stream_timeout"
        assert not isinstance(late.value, DeadlineExceeded | TimeoutError)
        assert inner.open_streams == 0  # the model was stopped

    run_with_fake_clock(main())
    assert inspect.signature(with_timeout).parameters["seconds"].default == 30


def test_S4_16_a_stream_that_ends_in_time_is_left_alone() -> None:
    async def main() -> None:
        model = ScriptedModel([Step(text=["Once", " upon"], delay=9.9)])
        source = with_timeout(Agent("bot", model).run_stream("A story"), 30)
        assert "".join([piece.content async for piece in source]) == "Once upon"

    run_with_fake_clock(main())


async def test_S4_18_an_update_for_every_50_characters() -> None:
    said = "".join(f"word{n} " for n in range(40))
    pieces = [said[i : i + 7] for i in range(0, len(said), 7)]
    source = Agent("bot", ScriptedModel([Step(text=pieces)])).start("Talk").text()
    updates = [piece async for piece in by_chars(source, 50)]
    assert {len(update) for update in updates[:-1]} == {50}
    assert 0 < len(updates[-1]) <= 50
    assert "".join(updates) == said
    assert inspect.signature(by_chars).parameters["chars"].default == 50


async def test_S4_18_an_update_comes_as_soon_as_there_are_50() -> None:
    model, gate = held("x" * 30, "y" * 30)
    updates = by_chars(Agent("bot", model).run_stream("Talk"), 50)
    async with asyncio.timeout(PATIENCE), aclosing(updates):
        assert (await anext(updates)).content == "x" * 30 + "y" * 20
        assert not gate.opened.is_set()


async def test_S4_19_the_time_to_the_first_token_is_measured() -> None:
    model = ScriptedModel([Step(text=["Once", " upon"], delay=0.05)])
    metrics = (await Agent("bot", model).run("A story")).metrics
    assert metrics.time_to_first_token_ms is not None
    assert 45 <= metrics.time_to_first_token_ms <= metrics.duration_ms - 45


def test_S4_19_the_time_to_the_first_token_is_shown() -> None:
    go_on, begun = asyncio.Event(), monotonic()
    body = stream(0.2, chunk("Once"), go_on, chunk(" upon"), STOP)
    with Served(body) as server, terminal("run", "A story", *server.at) as child:
        child.expect("Once")
        seen = monotonic() - begun
        sleep(seen)
        server.set(go_on)
        assert ended(child) == 0
        (shown,) = re.findall("first token ([0-9]+) ms", before(child))
    # The wait after the first piece, as long as all before it, is not in it.
    assert 190 <= int(shown) <= seen * 1e3


def test_S4_20_troubleshooting_has_the_four_topics() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    parts = re.split(r"(?m)^## ", page)
    sections = {title: body for title, _, body in (part.partition("\n") for part in parts[1:])}
    for title, words in {
        "The answer is incomplete": ["length", "stream_truncated", "deadline_exceeded", "proxy"],
        "It is slow": ["time_to_first_token_ms", "gap_ms_p99", "region"],
        "Things are out of order": ["seq", "call_id"],
        "Memory grows": ["run_stream()", "50 MiB"],
    }.items():
        assert [word for word in words if word not in sections[title]] == []


async def test_S4_20_an_incomplete_answer_is_an_error() -> None:
    async with Loopback(stream(chunk("Once upon"))) as server:  # a proxy ends it in good order
        with pytest.raises(RunFailed) as failed:
            [c async for c in Agent("bot", at(server)).run_stream("A story")]
    assert (failed.value.code, failed.value.partial) == ("stream_truncated", "Once upon")


async def test_S4_20_high_latency_between_chunks_is_told() -> None:
    pace = [part for n in range(9) for part in (chunk(f"{n} "), 0.02)]
    async with Loopback(stream(*pace, 0.2, chunk("late"), STOP)) as server:
        metrics = (await Agent("bot", at(server)).run("Count")).metrics
    assert metrics.gap_ms_p50 is not None
    assert metrics.gap_ms_p99 is not None
    assert metrics.gap_ms_p50 < 150 <= metrics.gap_ms_p99


async def test_S4_20_chunks_are_in_order() -> None:
    numbers = [f"{n} " for n in range(2000)]
    agent = Agent("bot", ScriptedModel([Step(text=numbers)]))
    async with agent.start("Count") as run:
        events = [e async for e in run.events()]
        assert [piece async for piece in run.text()] == numbers
    check_events(events)


async def read_chunks(agent: Agent) -> int:
    chars = 0
    async for piece in agent.run_stream("Talk"):
        chars += len(piece.content)
    return chars


async def call_back(agent: Agent) -> int:
    return len((await agent.run_callback("Talk", lambda _: None)).content)


async def wait_for_all(agent: Agent) -> int:
    return len((await agent.run("Talk")).content)


@pytest.mark.parametrize("view", [read_chunks, call_back, wait_for_all])
async def test_S4_20_memory_is_constant_but_for_the_text(
    view: Callable[[Agent], Awaitable[int]],
) -> None:
    async def peak(pieces: int) -> int:
        gc.collect()
        tracemalloc.start()
        try:
            assert await view(Agent("bot", Counting(pieces))) == pieces
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    await peak(1_000)  # what is loaded and cached once
    few, many = await peak(10_000), await peak(40_000)
    # A log of 30,000 more events would take some 3 MB; a few copies of their text take 150 KB.
    assert many - few < 500_000


def fails_half_way() -> Agent:
    return Agent("bot", ScriptedModel([Step(text=["Once ", "upon"], finish_reason=None)]))


async def test_S4_21_the_partial_text_and_a_mark() -> None:
    run = fails_half_way().start("A story", retract=False)
    shown = "".join([piece async for piece in text(run, on_error="mark")])
    assert shown == "Once upon\n[Error: Stream interrupted]"


async def test_S4_21_a_whole_text_has_no_mark() -> None:
    run = researcher().start(QUESTION)
    assert "".join([piece async for piece in text(run, on_error="mark")]) == NEWS


async def test_S4_21_the_error_itself_has_the_partial_text() -> None:
    with pytest.raises(RunFailed) as failed:
        await fails_half_way().run_callback("A story", lambda _: None)
    assert failed.value.partial == "Once upon"


def test_S4_22_ten_pieces_wait_then_the_writer_waits_at_most_five_seconds() -> None:
    async def main() -> None:
        channel = Channel[str](10, timeout=5)
        for n in range(10):
            await channel.send(str(n))
        assert now() == 0
        with pytest.raises(BackpressureTimeout, match="took nothing for 5 s"):
            await channel.send("10")
        assert now() == 5
        assert await channel.receive() == "0"
        await channel.send("10")  # there is room again

    run_with_fake_clock(main())


def test_S4_22_an_agent_whose_reader_takes_nothing_is_stopped() -> None:
    async def main() -> None:
        model = ScriptedModel([Step(text=[f"{n} " for n in range(12)] + [Gate()])])
        channel = Channel[str](10, timeout=5)
        with pytest.raises(BackpressureTimeout):
            await Agent("bot", model).execute_stream("Count", channel)
        assert now() == 5
        assert model.open_streams == 0
        assert [piece async for piece in channel] == [f"{n} " for n in range(10)]

    run_with_fake_clock(main())


def test_S4_22_a_reader_that_is_only_slow_gets_everything() -> None:
    async def main() -> None:
        numbers = [f"{n} " for n in range(30)]
        channel = Channel[str](10, timeout=5)
        agent = Agent("bot", ScriptedModel([Step(text=numbers)]))
        running = asyncio.create_task(agent.execute_stream("Count", channel))
        got = await timed(channel, takes=4.0)
        assert [piece for _, piece in got] == numbers
        assert (await running).content == "".join(numbers)

    run_with_fake_clock(main())


def test_S4_23_a_stream_is_measured() -> None:
    async def main() -> None:
        model = ScriptedModel([Step(text=["Once", " upon", " a time"], delay=0.25)])
        source = with_metrics(Agent("bot", model).run_stream("A story"))
        assert source.metrics == Metrics()
        async for _ in source:
            pass
        metrics = source.metrics
        assert metrics.time_to_first_token_ms == 250
        assert metrics.duration_ms == 1000
        assert (metrics.chunks, metrics.chars) == (3, 16)

    run_with_fake_clock(main())


async def test_S4_23_every_run_is_measured() -> None:
    response = await Agent("bot", research(), tools=[search]).run(QUESTION)
    metrics = response.metrics
    assert (metrics.chunks, metrics.chars) == (len(PIECES), len(NEWS))
    assert metrics.time_to_first_token_ms is not None
    assert 0 <= metrics.time_to_first_token_ms <= metrics.duration_ms
    *_, last = [c async for c in researcher().run_stream(QUESTION)]
    assert last.metadata
    assert last.metadata["metrics"].chunks == len(PIECES)
