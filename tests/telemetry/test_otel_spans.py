"""Runs as spans, with the SDK's own exporter in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from headrace import Agent, Runtime, fallback, tool
from headrace.errors import RateLimited, RunFailed, StreamTruncated
from headrace.events import AgentEnd, AgentStart, Token
from headrace.models.retry import NO_RETRY
from headrace.runs.run import Outcome
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.writer import Writer
from headrace.telemetry.opentelemetry import instrument
from headrace.telemetry.span_content import MAX_CONTENT
from headrace.testing import Gate, ScriptedModel, Step
from headrace.usage import Usage
from tests.runtime.orphans import Ran, chaos_agent, orphan, record_of, recovered, upto, whole_log
from tests.support.drivers import DONE, begin_step, end_step, run_of, say
from tests.support.fake_model import STOP, FakeModel, Try, text
from tests.telemetry.otel import Kept, exported, waits


@pytest.fixture
def kept() -> Iterator[Kept]:
    with exported() as found:
        yield found


@tool
async def look(what: str) -> str:
    """Look something up."""
    if what == "nothing":
        raise ValueError("my secret")
    return f"found {what}"


def bot(*steps: Step, name: str = "bot") -> Agent:
    return Agent(name, ScriptedModel(steps), tools=[look])


def ms(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e6


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


CALL = Step("Hm.", tool_calls=[("look", {"what": "it"})], usage=Usage(10, 5, 4, 2))
ANSWER = Step("Here.", usage=Usage(20, 7))


async def test_an_agent_its_model_calls_and_its_tools(kept: Kept) -> None:
    response = await bot(CALL, ANSWER).run("Hi")
    assert kept.tree() == [
        ("chat scripted", "invoke_agent bot"),
        ("execute_tool look", "invoke_agent bot"),
        ("chat scripted", "invoke_agent bot"),
        ("invoke_agent bot", ""),
    ]
    first, called, _, root = kept.spans
    assert (root.kind, first.kind, called.kind) == (
        SpanKind.INTERNAL,
        SpanKind.CLIENT,
        SpanKind.INTERNAL,
    )
    told = attributes(first)
    assert told.pop("gen_ai.response.time_to_first_chunk") > 0  # type: ignore[operator]
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "scripted",
        "gen_ai.request.model": "scripted",
        "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": ("tool_calls",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 2,
    }
    assert attributes(called) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "look",
        "gen_ai.tool.call.id": "call_1",
        "gen_ai.tool.type": "function",
    }
    assert attributes(root) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "scripted",
        "gen_ai.request.model": "scripted",
        "gen_ai.agent.name": "bot",
        "headrace.run.id": response.run_id,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 12,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 2,
    }
    assert {span.status.status_code for span in kept.spans} == {StatusCode.UNSET}


async def test_times_are_those_of_the_log(kept: Kept) -> None:
    async with bot(ANSWER).start("Hi") as run:
        events = [event async for event in run.events()]
    root, chat = kept.span("invoke_agent bot"), kept.span("chat scripted")
    step = next(event for event in events if event.__class__.__name__ == "StepStart")
    assert chat.start_time == int(step.at * 1e9)
    assert root.end_time == int(events[-1].at * 1e9)
    assert 0 <= ms(chat) <= ms(root)


async def test_a_conversation_is_named(kept: Kept) -> None:
    async with Runtime() as runtime:
        run = await runtime.submit(bot(ANSWER), "Hi", session="trip")
        await runtime.wait(run.id)
    assert {attributes(span)["gen_ai.conversation.id"] for span in kept.spans} == {"trip"}


# Errors ---------------------------------------------------------------------------------------


async def test_a_run_that_fails(kept: Kept) -> None:
    with pytest.raises(RunFailed):
        await bot(Step(error=RateLimited("scripted: my secret"))).run("Hi")
    for name in ("chat scripted", "invoke_agent bot"):
        span = kept.span(name)
        assert span.status.status_code is StatusCode.ERROR, name
        assert span.status.description is None
        assert attributes(span)["error.type"] == "rate_limited"
    assert attributes(kept.span("invoke_agent bot"))["gen_ai.response.finish_reasons"] == ("error",)
    assert "secret" not in kept.everything()


async def test_a_tool_that_fails(kept: Kept) -> None:
    failing = Step(tool_calls=[("look", {"what": "nothing"})])
    await bot(failing, ANSWER).run("Hi")
    span = kept.span("execute_tool look")
    assert (span.status.status_code, attributes(span)["error.type"]) == (
        StatusCode.ERROR,
        "_OTHER",
    )
    assert kept.span("invoke_agent bot").status.status_code is StatusCode.UNSET
    assert "secret" not in kept.everything()


async def test_a_step_that_is_asked_again(kept: Kept) -> None:
    model = FakeModel(
        RateLimited("fake: later"),
        Try(text("ha"), StreamTruncated("fake: cut.")),
        Try(text("a"), [STOP]),
    )
    async with Agent("bot", model).start("Hi") as run:
        await run.wait()
    broken, whole, root = kept.spans
    assert attributes(broken)["error.type"] == "stream_truncated"
    assert {event.name for event in broken.events} == {"headrace.warning"}
    codes = [dict(event.attributes or {})["headrace.warning.code"] for event in broken.events]
    assert codes == ["retry", "stream_truncated"]
    assert whole.status.status_code is root.status.status_code is StatusCode.UNSET
    assert broken.end_time is not None
    assert whole.start_time is not None
    assert broken.end_time <= whole.start_time  # told later, ended when it did


async def test_a_cancel_is_no_error(kept: Kept) -> None:
    gate = Gate()
    async with bot(Step(["a", gate])).start("Hi") as run:
        await gate.reached.wait()
        await run.cancel("my secret")
    for name in ("chat scripted", "invoke_agent bot"):
        span = kept.span(name)
        assert span.status.status_code is StatusCode.UNSET
        assert attributes(span)["gen_ai.response.finish_reasons"] == ("cancelled",)
    assert attributes(kept.span("chat scripted"))["headrace.usage.estimated"] is True
    assert "secret" not in kept.everything()


async def test_a_run_that_goes_on_elsewhere_ends_its_spans(kept: Kept) -> None:
    gate = Gate()
    async with bot(Step(["a", gate])).start("Hi") as run:
        await gate.reached.wait()
        run.hand_over()
    assert kept.tree() == [("chat scripted", "invoke_agent bot"), ("invoke_agent bot", "")]
    assert attributes(kept.span("invoke_agent bot"))["headrace.run.lost"] is True


# Whose child ----------------------------------------------------------------------------------


async def test_a_run_is_its_caller_s_child_and_leaves_no_context_behind(kept: Kept) -> None:
    tracer = kept.traces.get_tracer("theirs")
    with tracer.start_as_current_span("request") as request:
        await bot(CALL, ANSWER).run("Hi")
        assert trace.get_current_span() is request
    assert ("invoke_agent bot", "request") in kept.tree()
    assert context.get_current() == {}


async def test_what_a_tool_does_is_below_its_span(kept: Kept) -> None:
    tracer = kept.traces.get_tracer("theirs")

    @tool
    async def ask_database() -> str:
        """Ask."""
        with tracer.start_as_current_span("SELECT"):
            await asyncio.sleep(0)
        return "rows"

    @tool
    def ask_in_a_thread() -> str:
        """Ask."""
        with tracer.start_as_current_span("BLOCKING SELECT"):
            return "rows"

    calls: list[tuple[str, dict[str, str]]] = [("ask_database", {}), ("ask_in_a_thread", {})]
    model = ScriptedModel([Step(tool_calls=calls), Step("Well.")])
    await Agent("bot", model, tools=[ask_database, ask_in_a_thread]).run("Hi")
    assert ("SELECT", "execute_tool ask_database") in kept.tree()
    assert ("BLOCKING SELECT", "execute_tool ask_in_a_thread") in kept.tree()


async def test_what_the_model_s_client_does_is_below_its_call(kept: Kept) -> None:
    tracer = kept.traces.get_tracer("theirs")

    class Instrumented(FakeModel):
        async def open(self, request: object) -> Try:
            with tracer.start_as_current_span("POST"):
                return await super().open(request)  # type: ignore[arg-type]

    model = Instrumented(Try(text("a"), [STOP]))
    await Agent("bot", model).run("Hi")
    assert ("POST", "chat one") in kept.tree()


async def test_between_its_steps_a_run_is_below_none_of_them(kept: Kept) -> None:
    seen: list[trace.Span] = []

    async def driver(writer: Writer) -> Outcome:
        begin_step(writer)
        say(writer, "a")
        end_step(writer)
        seen.append(trace.get_current_span())
        return DONE

    await run_of(driver).wait()
    root = kept.span("invoke_agent bot")
    assert [span.get_span_context() for span in seen] == [root.context]


@pytest.mark.parametrize("error", [None, "secret words"])
async def test_a_sub_agent_is_below_its_agent(kept: Kept, error: str | None) -> None:
    async def driver(writer: Writer) -> Outcome:
        writer.put(AgentStart, "helper", "helper", "my secret task")
        writer.put(AgentEnd, "helper", "helper", "secret", 5.0, error)
        return DONE

    await run_of(driver).wait()
    assert kept.tree() == [("invoke_agent helper", "invoke_agent bot"), ("invoke_agent bot", "")]
    span = kept.span("invoke_agent helper")
    assert attributes(span)["gen_ai.agent.name"] == "helper"
    assert attributes(span).get("error.type") == (None if error is None else "_OTHER")
    assert ms(span) == pytest.approx(5.0, abs=0.01)
    assert "secret" not in kept.everything()


async def test_two_runs_at_once_are_two_traces(kept: Kept) -> None:
    await asyncio.gather(*(bot(CALL, ANSWER, name=f"bot{n}").run("Hi") for n in range(2)))
    traces = {span.context.trace_id for span in kept.spans if span.context}
    assert len(traces) == 2
    assert all(parent in ("", name[-4:], "invoke_agent bot0", "invoke_agent bot1")
               for name, parent in kept.tree())  # fmt: skip
    for span in kept.spans:
        if span.parent is not None:
            assert span.parent.trace_id == (span.context.trace_id if span.context else 0)


# What is in it --------------------------------------------------------------------------------


async def test_nothing_that_anyone_says_leaves(kept: Kept) -> None:
    private = Step("private words", ["private thought"], [("look", {"what": "private"})])
    await bot(private, Step("private answer")).run("private prompt")
    assert len(kept.spans) == 4
    assert "private" not in kept.everything()


async def test_what_is_said_leaves_where_it_is_switched_on() -> None:
    with exported(content=True) as kept:
        failing = Step("Hm.", tool_calls=[("look", {"what": "it"}), ("look", {"what": "nothing"})])
        await bot(failing, ANSWER).run("Hi")
    root = attributes(kept.span("invoke_agent bot"))
    assert json.loads(str(root["gen_ai.input.messages"])) == [
        {"role": "user", "parts": [{"type": "text", "content": "Hi"}]}
    ]
    assert json.loads(str(root["gen_ai.output.messages"])) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hm.Here."}]}
    ]
    (first, _) = (span for span in kept.spans if span.name == "chat scripted")
    (message,) = json.loads(str(attributes(first)["gen_ai.output.messages"]))
    assert [part["type"] for part in message["parts"]] == ["text", "tool_call", "tool_call"]
    good, bad = (span for span in kept.spans if span.name == "execute_tool look")
    assert attributes(good)["gen_ai.tool.call.arguments"] == '{"what":"it"}'
    assert attributes(good)["gen_ai.tool.call.result"] == "found it"
    assert bad.status.description is not None
    assert "my secret" in bad.status.description


async def test_what_is_said_is_bounded() -> None:
    with exported(content=True) as kept:
        await bot(ANSWER).run("x" * 3 * MAX_CONTENT)
    told = str(attributes(kept.span("invoke_agent bot"))["gen_ai.input.messages"])
    assert len(told) == MAX_CONTENT == 64 * 1024
    assert told.endswith("…")


async def test_a_name_that_a_model_makes_up_is_bounded(kept: Kept) -> None:
    await bot(Step(tool_calls=[("x" * 5000, {})]), ANSWER).run("Hi")
    (span,) = (span for span in kept.spans if span.name.startswith("execute_tool"))
    assert len(span.name) == len("execute_tool ") + 128
    assert attributes(span)["gen_ai.tool.name"] == "x" * 128


async def test_a_fallback_names_who_answered(kept: Kept) -> None:
    one, two = (
        FakeModel(RateLimited("fake: later"), retry=NO_RETRY),
        FakeModel(Try(text("a"), [STOP])),
    )
    two.model = "two"
    await Agent("bot", fallback(one, two)).run("Hi")
    told = attributes(kept.span("chat fake:one, else fake:two"))
    assert told["gen_ai.response.model"] == "two"
    assert told["gen_ai.provider.name"] == "fake"


# On and off -----------------------------------------------------------------------------------


async def test_no_spans_after_the_stop_but_those_of_live_runs() -> None:
    found, gate = Kept(), Gate()
    stop = instrument(found.traces, found.metrics)
    async with bot(Step(["a", gate])).start("Hi") as run:
        await gate.reached.wait()
        stop()
        await bot(ANSWER, name="late").run("Hi")
        gate.open()
        await run.wait()
    assert found.tree() == [("chat scripted", "invoke_agent bot"), ("invoke_agent bot", "")]


async def test_what_is_not_sampled_costs_no_attributes(kept: Kept) -> None:
    off = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    stop = instrument(off, kept.metrics)
    try:
        assert (await bot(CALL, ANSWER).run("Hi")).content == "Hm.Here."
    finally:
        stop()


async def test_without_an_sdk_nothing_happens_and_nothing_breaks() -> None:
    stop = instrument()
    try:
        assert (await bot(CALL, ANSWER).run("Hi")).content == "Hm.Here."
    finally:
        stop()


async def test_a_run_that_is_taken_up_has_spans_too(kept: Kept) -> None:
    before = upto(await whole_log(chaos_agent(Ran())), Token, 2)
    store = MemoryStore()
    await recovered(store, await orphan(store, record_of("r"), before), chaos_agent(Ran()))
    roots = [span for span in kept.spans if span.name == "invoke_agent chaos"]
    assert len(roots) == 2  # the whole one that the log is from, and the one that goes on
    codes = [dict(event.attributes or {})["headrace.warning.code"] for event in roots[-1].events]
    assert codes == ["recovered"]


async def test_a_run_that_is_abandoned_ends_its_span(kept: Kept) -> None:
    async with run_of(waits) as run:
        assert kept.spans == []
    (root,) = kept.spans
    assert attributes(root)["headrace.run.id"] == run.id
