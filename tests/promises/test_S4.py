"""What users of sage-adk's streaming agent know: environment, callback, banner, figures."""

from __future__ import annotations

import asyncio
import gc
import inspect
import re
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import pytest

from examples.custom_processing import WordCount
from headrace import Agent, Channel, ModelRequest, RunFailed, Usage, resolve_model
from headrace.errors import (
    BackpressureTimeout,
    ConfigurationError,
    DeadlineExceeded,
    ProviderError,
    StreamTimeout,
    UsageError,
)
from headrace.events import Cancelled
from headrace.models.assembler import Turn
from headrace.models.model import Model
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.providers.table import choose_model, find_row
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
from tests.cli.shell import Served, before, ended, headrace, terminal, unstyled
from tests.docs.pages import ROOT
from tests.promises.story import (
    NEWS,
    PATIENCE,
    PIECES,
    QUESTION,
    Counting,
    held,
    research,
    researcher,
    search,
)
from tests.providers.chat_bodies import STOP, chunk, event
from tests.support.loop import now
from tests.support.loopback import FIN, STALL, Loopback, stream
from tests.views.operators.sources import timed

ASK = ModelRequest.of("Tell me a story about AI")
NO_OLLAMA = {"OLLAMA_HOST": "127.0.0.1:9"}
STORY = stream(
    chunk("Once"),
    chunk(" upon"),
    chunk(" a time."),
    event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}),
    STOP,
)


def at(server: Loopback) -> OpenAIChat:
    return OpenAIChat("tiny", base_url=server.url)


@pytest.mark.parametrize("provider", ["openai", "groq", "mistral", "deepseek"])
def test_S4_2_the_environment_names_provider_key_and_model(provider: str) -> None:
    keys = {"OPENAI_API_KEY": "k", "GROQ_API_KEY": "k", "MISTRAL_API_KEY": "k"}
    env = keys | {"LLM_PROVIDER": provider, f"{provider.upper()}_API_KEY": "k"}
    assert resolve_model(env=env).provider == provider  # whatever other keys there are
    env[f"{provider.upper()}_MODEL"] = "my-model"
    assert resolve_model(env=env).name == f"{provider}:my-model"


@pytest.mark.parametrize("provider", ["anthropic", "gemini"])
def test_S4_2_a_provider_that_is_named_is_never_another(provider: str) -> None:
    assert find_row(provider)[0].keys[0] == f"{provider.upper()}_API_KEY"
    env = {"LLM_PROVIDER": provider, "OPENAI_API_KEY": "k"}
    with pytest.raises(ConfigurationError, match=provider):  # no key, or no such wire yet
        resolve_model(env=env)


def test_S4_2_the_key_and_the_model_reach_the_server() -> None:
    with Served(STORY) as server:
        named = {"LLM_PROVIDER": "openai", "OPENAI_API_KEY": "sk-test", "OPENAI_MODEL": "gpt-4o"}
        done = headrace("run", "A story", env=named | {"OPENAI_BASE_URL": server.url})
        (request,) = server.requests
    assert done.stdout == "Once upon a time.\n"
    assert request.headers["authorization"] == "Bearer sk-test"
    assert request.json["model"] == "gpt-4o"


def test_S4_2_a_missing_key_names_its_variable() -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        resolve_model(env={"LLM_PROVIDER": "openai"})


@pytest.mark.parametrize("provider", ["openai", "groq", "mistral", "deepseek"])
def test_S4_3_a_model_that_is_not_named_is_the_providers_default(provider: str) -> None:
    row = find_row(provider)[0]
    env = {"LLM_PROVIDER": provider, row.keys[0]: "k"}
    assert row.model
    assert resolve_model(env=env).name == f"{provider}:{row.model}"


def test_S4_3_a_provider_that_is_not_named_is_the_first_with_a_key() -> None:
    choice = choose_model(env={"GROQ_API_KEY": "k", "MISTRAL_API_KEY": "k"})
    assert (choice.model.provider, choice.why) == ("groq", "GROQ_API_KEY is set")
    both = choose_model(env={"GROQ_API_KEY": "k", "OPENAI_API_KEY": "k"})
    assert both.model.provider == "openai"


def test_S4_3_with_nothing_set_the_embedded_model_answers() -> None:
    choice = choose_model(env=NO_OLLAMA)
    assert choice.model.name == "demo:demo"
    assert "no API key is set" in choice.why


def test_S4_4_a_message_is_one_post_and_gets_one_streamed_reply() -> None:
    more = asyncio.Event()
    body = stream(chunk("Once"), more, chunk(" upon"), STOP)
    with Served(body, STORY) as server, terminal("chat", *server.at) as child:
        child.expect("you> ")
        child.sendline("Tell me a story about AI")
        child.expect("Once")  # while the model is held
        server.set(more)
        child.expect("upon")
        child.expect("you> ")
        (request,) = server.requests
        assert request.method == "POST"
        assert request.json["messages"][-1]["content"] == "Tell me a story about AI"
        child.sendline("Go on")
        child.expect("a time")
        child.expect("you> ")
        assert len(server.requests) == 2


def test_S4_6_the_banner_says_who_speaks_and_why() -> None:
    named = {"LLM_PROVIDER": "openai", "OPENAI_API_KEY": "sk-test", "OPENAI_MODEL": "gpt-4o"}
    with terminal("chat", **named) as child:
        child.expect(r"Headrace \S+ · openai:gpt-4o \(LLM_PROVIDER is openai\)")
        child.expect("you> ")
        assert "sk-test" not in before(child)


def test_S4_7_a_turn_tells_its_first_token_and_its_total() -> None:
    with Served(STORY) as server, terminal("chat", *server.at) as child:
        child.expect("you> ")
        child.sendline("A story")
        child.expect("you> ")
        shown = unstyled(before(child))
    assert "Once upon a time." in shown
    assert re.search(r"first token [0-9.]+ ms · 5 tokens · [0-9]+ tokens/s", shown)


def test_S4_7_chunks_and_characters_are_counted_on_request() -> None:
    with Served(STORY) as server:
        done = headrace("run", "A story", *server.at, "--progress")
    assert (done.stdout, done.stderr) == ("Once upon a time.\n", "Complete: 3 chunks, 17 chars\n")


async def test_S4_8_complete_waits_for_the_whole_answer() -> None:
    gate = Gate()
    said = Step(text=["Once", gate, " upon"], usage=Usage(7, 2))
    model = ScriptedModel([said])
    asking = asyncio.create_task(model.complete(ASK))
    async with asyncio.timeout(PATIENCE):
        await gate.reached.wait()
        assert not asking.done()
        gate.open()
        turn = await asking
    assert (turn.text, turn.finish_reason, turn.usage) == ("Once upon", "stop", Usage(7, 2))


async def test_S4_8_a_failed_complete_still_has_what_came() -> None:
    async with Loopback(stream(chunk("Once"), end=FIN)) as server:
        with pytest.raises(ProviderError, match="ended before") as failed:
            await at(server).complete(ASK)
    turn = failed.value.turn
    assert isinstance(turn, Turn)
    assert (turn.text, turn.finish_reason) == ("Once", "error")


async def test_S4_9_a_callback_gets_each_piece_as_it_comes() -> None:
    model, gate = held("Once", " upon", more=" a time")
    got: list[str] = []
    asking = asyncio.ensure_future(model.stream(ASK, got.append))
    async with asyncio.timeout(PATIENCE):
        await gate.reached.wait()
        assert got == ["Once", " upon"]
        gate.open()
        turn = await asking
    assert got == ["Once", " upon", " a time"]
    assert (turn.text, turn.finish_reason) == ("Once upon a time", "stop")


async def test_S4_9_the_callback_may_be_a_coroutine_function() -> None:
    got: list[str] = []

    async def take(piece: str) -> None:
        await asyncio.sleep(0)
        got.append(piece)

    await ScriptedModel([Step(text=["Once", " upon"])]).stream(ASK, take)
    assert got == ["Once", " upon"]


async def of_a_model(model: Model, take: Callable[[str], None]) -> object:
    assert isinstance(model, OpenAIChat)
    return await model.stream(ASK, take)


async def of_an_agent(model: Model, take: Callable[[str], None]) -> object:
    return await Agent("bot", model).run_callback("A story", take)


@pytest.mark.parametrize("callback", [of_a_model, of_an_agent])
async def test_S4_10_what_the_callback_raises_stops_the_stream(
    callback: Callable[[Model, Callable[[str], None]], Awaitable[object]],
) -> None:
    error = LookupError("no room on the page")
    got: list[str] = []

    def take(piece: str) -> None:
        got.append(piece)
        if len(got) == 2:
            raise error

    async with Loopback(stream(chunk("Once"), chunk(" upon"), chunk(" a"), end=STALL)) as server:
        with pytest.raises(LookupError) as raised:
            await callback(at(server), take)
        await server.closed(0)
    assert raised.value is error
    assert got == ["Once", " upon"]


async def test_S4_11_temperature_and_max_tokens_go_out() -> None:
    async with Loopback(STORY) as server:
        await Agent("bot", at(server), temperature=0.3, max_tokens=500).run("A story")
        await at(server).complete(ModelRequest.of("A story", temperature=0.9, max_tokens=5))
        bodies = [request.json for request in server.requests]
    assert [body["temperature"] for body in bodies] == [0.3, 0.9]
    assert [body["max_tokens"] for body in bodies] == [500, 5]


async def test_S4_11_max_tokens_cuts_the_answer_and_says_so() -> None:
    model = resolve_model("demo", speed=0)
    whole = await Agent("bot", model).run("What is 2+2?")
    cut = await Agent("bot", model, max_tokens=12).run("What is 2+2?")
    assert (whole.finish_reason, cut.finish_reason) == ("stop", "length")
    assert whole.content.startswith(cut.content)
    assert cut.usage.output == 12 < whole.usage.output


@pytest.mark.parametrize("options", [{"temperature": 2.5}, {"max_tokens": 0}])
def test_S4_11_values_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        ModelRequest.of("A story", **options)


async def test_S4_12_whoever_has_read_enough_stops_the_generation() -> None:
    async with Loopback(stream(chunk("Once"), chunk(" upon"), end=STALL)) as server:
        read = ""
        async with aclosing(Agent("bot", at(server)).run_stream("A story")) as chunks:
            async for piece in chunks:
                read += piece.content
                if "upon" in read:
                    break
        await server.closed(0)
    assert read == "Once upon"


async def test_S4_12_a_stop_keeps_the_text_and_tells_what_was_used() -> None:
    async with Loopback(stream(chunk("Once upon a time"), end=STALL)) as server:
        async with asyncio.timeout(PATIENCE), Agent("bot", at(server)).start("A story") as run:
            async for piece in run.text():
                assert piece == "Once upon a time"
                break
            end = await run.cancel("enough")
            events = [e async for e in run.events()]
        await server.closed(0)
    check_events(events)
    assert isinstance(end, Cancelled)
    assert (end.reason, end.receipt.content) == ("enough", "Once upon a time")
    assert end.usage.output > 0
    assert not end.usage.exact


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
    body = stream(0.2, chunk("Once"), 0.4, chunk(" upon"), STOP)
    with Served(body) as server, terminal("run", "A story", *server.at) as child:
        assert ended(child) == 0
        (shown,) = re.findall("first token ([0-9]+) ms", before(child))
    # The wait after the first piece is not in it.
    assert 190 <= int(shown) < 600


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
    # A log of 30,000 more events would take some 3 MB; their text takes 30 KB.
    assert many - few < 150_000


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
