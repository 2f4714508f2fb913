"""The model that follows a script."""

from __future__ import annotations

import asyncio

import pytest

from headrace.errors import ProviderUnavailable, StreamTruncated, UsageError
from headrace.messages import ToolCall
from headrace.models.assembler import assemble
from headrace.models.deltas import Delta, Finish, ReasoningDelta, TextDelta, ToolCallDelta
from headrace.models.request import ModelRequest
from headrace.models.retry import RetryPolicy
from headrace.models.stream import ModelStream
from headrace.testing import Gate, ScriptedModel, Step, run_with_fake_clock
from headrace.usage import Usage

ASK = ModelRequest.of("hi")


async def batches_of(stream: ModelStream) -> list[list[Delta]]:
    async with stream as batches:
        return [batch async for batch in batches]


async def test_a_step_is_streamed_piece_by_piece() -> None:
    step = Step(
        reasoning=["Let ", "me"],
        text=["Hello", " world"],
        tool_calls=[("add", {"a": 1}), ("raw", '{"b": '), ("cut", ['{"c"', ": 3}"])],
        usage=Usage(input=3, output=5),
    )
    with ScriptedModel([step]) as model:
        batches = await batches_of(model.stream(ASK))
    assert batches[:4] == [
        [ReasoningDelta("Let ")],
        [ReasoningDelta("me")],
        [TextDelta("Hello")],
        [TextDelta(" world")],
    ]
    assert batches[-2] == [ToolCallDelta(2, "call_3", "cut", ": 3}")]
    turn = assemble(delta for batch in batches for delta in batch)
    assert turn.tool_calls == (
        ToolCall("call_1", "add", '{"a": 1}'),
        ToolCall("call_2", "raw", '{"b": '),
        ToolCall("call_3", "cut", '{"c": 3}'),
    )
    assert turn.finish_reason == "tool_calls"
    assert turn.usage == Usage(input=3, output=5)
    assert model.requests == [ASK]


async def test_steps_may_be_batches_or_made_from_the_request() -> None:
    raw: list[list[Delta] | Gate] = [[TextDelta("a"), TextDelta("b")], [Finish("length")]]

    def echo(request: ModelRequest) -> Step:
        return Step(text=request.messages[-1].text.upper())

    with ScriptedModel([raw, echo]) as model:
        assert await batches_of(model.stream(ASK)) == raw
        assert (await model.complete(ASK)).text == "HI"


async def test_a_script_without_an_end_is_a_truncated_stream() -> None:
    model = ScriptedModel([Step(text="half", finish_reason=None), []])
    with pytest.raises(StreamTruncated) as caught:
        await model.complete(ASK)
    assert getattr(caught.value.turn, "text", None) == "half"
    with pytest.raises(StreamTruncated):
        await model.complete(ASK)


async def test_an_error_comes_after_the_text() -> None:
    model = ScriptedModel([Step(text="half", error=ProviderUnavailable("gone"))])
    with pytest.raises(ProviderUnavailable, match="gone") as caught:
        await model.complete(ASK)
    assert getattr(caught.value.turn, "text", None) == "half"


async def test_errors_are_retried_only_where_asked() -> None:
    steps = [Step(error=ProviderUnavailable("busy")), Step(text="ok")]
    with ScriptedModel(steps, retry=RetryPolicy(retries=1, base=0.0)) as model:
        assert (await model.complete(ASK)).text == "ok"
    with pytest.raises(ProviderUnavailable):
        await ScriptedModel(steps).complete(ASK)


async def test_a_request_beyond_the_script_is_an_error() -> None:
    model = ScriptedModel([Step(text="one")])
    await model.complete(ASK)
    with pytest.raises(UsageError, match="has 1 steps, and this is request 2"):
        await model.complete(ASK)
    with pytest.raises(AssertionError, match="2 requests were made"):
        model.assert_consumed()


async def test_an_unconsumed_step_is_an_error() -> None:
    with pytest.raises(AssertionError, match=r"2 of 3 steps were not asked for: 2: .*'two'"):
        with ScriptedModel([Step(text="one"), Step(text="two"), Step()]) as model:
            await model.complete(ASK)


async def test_the_tests_own_error_comes_before_the_unconsumed_step() -> None:
    with pytest.raises(ZeroDivisionError), ScriptedModel([Step()]):
        raise ZeroDivisionError


async def test_a_gate_holds_the_model_until_the_test_opens_it() -> None:
    gate = Gate()
    model = ScriptedModel([Step(text=["before", gate, "after"])])
    got: list[str] = []
    task = asyncio.ensure_future(model.stream(ASK, got.append))
    await asyncio.wait_for(gate.reached.wait(), 5)
    assert got == ["before"]
    assert model.open_streams == 1
    gate.open()
    assert (await asyncio.wait_for(task, 5)).text == "beforeafter"
    assert model.open_streams == 0


async def test_a_cancel_closes_the_stream() -> None:
    gate = Gate()
    model = ScriptedModel([Step(text=["a", gate])])
    task = asyncio.ensure_future(model.complete(ASK))
    await asyncio.wait_for(gate.reached.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.open_streams == 0


def test_a_delay_is_before_each_piece() -> None:
    async def watch() -> list[float]:
        loop = asyncio.get_running_loop()
        times = []
        async with ScriptedModel([Step(text=["a", "b"], delay=2.0)]).stream(ASK) as batches:
            async for _ in batches:
                times.append(loop.time())
        return times

    assert run_with_fake_clock(watch()) == [2.0, 4.0, 6.0]
