"""What users of Oasis know: a channel of strings that fills while the agent works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from headrace import Agent, Channel, HeadraceError, ModelRequest, Network, Response, tool
from headrace.agents.streaming import StreamingAgent
from headrace.errors import ProviderUnavailable
from headrace.events import RunStart
from headrace.messages import ToolResult
from headrace.models.streaming import StreamingModel
from headrace.testing import Gate, ScriptedModel, Step, run_with_fake_clock
from tests.promises.story import NEWS, PATIENCE, PIECES, QUESTION, held, research, researcher


class Blocking:
    """An agent or model that cannot stream."""

    name = "blocking"

    async def run(self, task: str) -> str:
        return task


async def test_S0_1_tokens_stream_as_they_arrive() -> None:
    model, gate = held("Once", " upon", more=" a time")
    channel = Channel[str]()
    running = asyncio.create_task(Agent("assistant", model).execute_stream("A story", channel))
    async with asyncio.timeout(PATIENCE):
        assert [await channel.receive(), await channel.receive()] == ["Once", " upon"]
        await gate.reached.wait()
        assert not running.done()
        gate.open()
        assert [piece async for piece in channel] == [" a time"]
        assert (await running).content == "Once upon a time"


async def test_S0_2_an_agent_and_a_network_both_stream() -> None:
    def held_agent() -> tuple[Agent, Gate]:
        model, gate = held("Once", " upon", more=" a time")
        return Agent("assistant", model, description="Tells."), gate

    def held_network() -> tuple[Agent, Gate]:
        model, gate = held("Once", " upon", more=" a time")
        teller = Agent("teller", model, description="Tells.")
        asked = Step(tool_calls=[("transfer_to_teller", {"task": "A story"})])
        return Network("desk", ScriptedModel([asked]), handoffs=[teller]), gate

    for agent, gate in (held_agent(), held_network()):
        channel = Channel[str]()
        running = asyncio.create_task(agent.execute_stream("A story", channel))
        async with asyncio.timeout(PATIENCE):
            assert [await channel.receive(), await channel.receive()] == ["Once", " upon"]
            await gate.reached.wait()
            assert not running.done()
            gate.open()
            assert [piece async for piece in channel] == [" a time"]
            assert (await running).content == "Once upon a time"


def test_S0_3_streaming_is_a_capability_that_a_type_check_finds() -> None:
    agent = researcher()
    assert isinstance(agent, StreamingAgent)
    assert isinstance(agent.model, StreamingModel)
    assert not isinstance(Blocking(), StreamingAgent)
    assert not isinstance(Blocking(), StreamingModel)


async def test_S0_4_an_agent_has_a_name_a_description_and_a_model() -> None:
    model = ScriptedModel([Step(text="Hi.")])
    agent = Agent(name="assistant", description="Helpful assistant", model=model)
    assert (agent.name, agent.description) == ("assistant", "Helpful assistant")
    assert agent.model is model
    async with agent.start("Hello") as run:
        first = await anext(run.events())
        assert isinstance(first, RunStart)
        assert first.agent_name == "assistant"


async def test_S0_5_execute_stream_streams_and_returns_the_final_result() -> None:
    channel = Channel[str]()
    result = await researcher().execute_stream(QUESTION, channel)
    streamed = [piece async for piece in channel]
    assert streamed == PIECES
    assert isinstance(result, Response)
    assert (result.content, result.finish_reason) == (NEWS, "stop")
    assert result.usage.total == 74


async def test_S0_6_the_channel_carries_plain_strings_and_only_the_answer() -> None:
    channel = Channel[str]()
    await researcher().execute_stream(QUESTION, channel)
    pieces = [piece async for piece in channel]
    assert {type(piece) for piece in pieces} == {str}
    assert "".join(pieces) == NEWS  # no reasoning, no tool, no end mark among it


async def test_S0_7_a_consumer_beside_the_agent_prints_and_ends_the_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, gate = held("Hello", more=" world!")
    channel = Channel[str]()
    printed = asyncio.Event()

    async def show() -> None:
        async for token in channel:
            print(token, end="", flush=True)
            printed.set()
        print()

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(show())
        running = group.create_task(Agent("assistant", model).execute_stream("Hi", channel))
        await printed.wait()
        assert capsys.readouterr().out == "Hello"
        assert not running.done()
        gate.open()
    assert capsys.readouterr().out == " world!\n"


async def test_S0_8_tool_turns_go_on_until_no_tool_is_called() -> None:
    asked: list[int] = []

    @tool
    def double(n: int) -> int:
        """Double a number."""
        asked.append(n)
        return 2 * n

    turns = [Step(tool_calls=[("double", {"n": n})]) for n in (1, 2, 4)]
    channel = Channel[str]()
    with ScriptedModel([*turns, Step(text="It is 8.")]) as model:
        agent = Agent("assistant", model, tools=[double])
        result = await agent.execute_stream("Double 1 three times", channel)
    assert asked == [1, 2, 4]
    assert len(model.requests) == 4
    last = result.messages[-2].content[0]
    assert isinstance(last, ToolResult)
    assert last.output == "8"
    assert [piece async for piece in channel] == ["It is 8."]


async def test_S0_9_the_final_text_streams_and_the_result_comes_after_its_tokens() -> None:
    gate = Gate()
    model = research()
    model.steps[1] = Step(text=[*PIECES[2:4], gate, PIECES[4]])
    agent = researcher()
    agent.model = model
    channel = Channel[str](0)
    order: list[str] = []
    shown = asyncio.Event()

    async def show() -> None:
        async for token in channel:
            order.append(token)
            if token == PIECES[3]:
                shown.set()

    async def work() -> None:
        result = await agent.execute_stream(QUESTION, channel)
        order.append(f"result: {result.content}")

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(show())
        group.create_task(work())
        await shown.wait()
        assert order == PIECES[:4]
        gate.open()
    assert order == [*PIECES, f"result: {NEWS}"]


def test_S0_14_64_pieces_wait_in_a_channel_by_default() -> None:
    async def main() -> None:
        channel = Channel[int](timeout=None)
        async with asyncio.timeout(0.001):
            for number in range(64):
                await channel.send(number)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await channel.send(64)
        assert await channel.receive() == 0

    run_with_fake_clock(main())


def test_S0_14_an_unbuffered_channel_waits_for_its_reader_with_each_piece() -> None:
    async def main() -> None:
        channel = Channel[str](0)
        sending = asyncio.create_task(channel.send("a"))
        await asyncio.sleep(1)
        assert not sending.done()
        assert await channel.receive() == "a"
        await sending

    run_with_fake_clock(main())


@pytest.mark.parametrize("capacity", [0, 1, 64])
async def test_S0_14_any_capacity_carries_the_same(capacity: int) -> None:
    channel = Channel[str](capacity)
    running = asyncio.create_task(researcher().execute_stream(QUESTION, channel))
    async with asyncio.timeout(PATIENCE):
        assert [piece async for piece in channel] == PIECES
        assert (await running).content == NEWS


def bug(request: ModelRequest) -> Step:
    raise ZeroDivisionError(request.messages[0].text)


@pytest.mark.parametrize(
    ("answer", "text", "well"),
    [
        (Step(text="Done."), "Done.", True),
        (Step(text="Do", finish_reason="content_filter"), "Do", True),
        (Step(text="Do", finish_reason=None), "Do", False),
        (Step(error=ProviderUnavailable("scripted: 503")), "", False),
        (bug, "", False),
    ],
)
async def test_S0_15_the_agent_closes_the_channel_however_it_ends(
    answer: Step | Callable[[ModelRequest], Step], text: str, well: bool
) -> None:
    channel = Channel[str]()
    agent = Agent("assistant", ScriptedModel([answer]))
    running = asyncio.create_task(agent.execute_stream("Go", channel))
    async with asyncio.timeout(PATIENCE):
        assert "".join([piece async for piece in channel]) == text
        await asyncio.wait([running])
    assert channel.closed
    assert (running.exception() is None) == well


async def test_S0_15_the_agent_closes_the_channel_when_it_is_cancelled() -> None:
    model, gate = held("Once")
    channel = Channel[str]()
    running = asyncio.create_task(Agent("assistant", model).execute_stream("Go", channel))
    async with asyncio.timeout(PATIENCE):
        await gate.reached.wait()
        running.cancel()
        assert [piece async for piece in channel] == ["Once"]
    with pytest.raises(asyncio.CancelledError):
        await running
    assert model.open_streams == 0


async def test_S0_15_the_agent_closes_the_channel_when_it_cannot_even_begin() -> None:
    channel = Channel[str]()
    running = asyncio.create_task(Agent("assistant", "nobody:x").execute_stream("Go", channel))
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait([running])
        assert isinstance(running.exception(), HeadraceError)
        assert channel.closed
        assert [piece async for piece in channel] == []
