"""An agent with a memory: what its model is asked, and the summary as a part of a step."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import (
    Agent,
    ConversationalAgent,
    Message,
    ModelRequest,
    ReActAgent,
    Response,
    Usage,
    tool,
)
from headrace.agents.guards import redact
from headrace.agents.memory import last_messages, summary, token_budget
from headrace.agents.memory.model import MemoryModel, UsageReader
from headrace.agents.memory.summaries import MAX_SUMMARY, SHOWN
from headrace.errors import ConnectionFailed, UsageError
from headrace.events import (
    Complete,
    Event,
    Retract,
    StepEnd,
    Thought,
    Token,
    ToolEnd,
    Warn,
    type_of,
)
from headrace.messages import Reasoning, ToolCall, ToolResult
from headrace.models.assembler import assemble
from headrace.models.deltas import (
    Delta,
    Finish,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from headrace.models.model import Model
from headrace.testing import Gate, ScriptedModel, Step, check_events, run_with_fake_clock

PATIENCE = 10.0
HISTORY = tuple(
    message
    for number in range(1, 5)
    for message in (Message.user(f"q{number}"), Message.assistant(f"a{number}"))
)


@tool(read_only=True)
def look(at: int) -> str:
    """Look at something."""
    return f"seen {at}"


async def events_of(agent: Agent[Any], history: Sequence[Message] = HISTORY) -> list[Event]:
    async with agent.start("Now?", history=history) as run:
        events = [event async for event in run.events()]
    check_events(events)
    return events


def asked(model: ScriptedModel, request: int = -1) -> list[str]:
    return [message.text for message in model.requests[request].messages]


def answer(text: str = "Yes.", **more: Any) -> Step:
    return Step(text=text, usage=Usage(100, 10), **more)


def told(events: Sequence[Event]) -> list[tuple[str, str]]:
    return [(event.code, event.message) for event in events if isinstance(event, Warn)]


async def test_the_model_is_shown_the_newest_and_the_run_keeps_everything() -> None:
    model = ScriptedModel([answer()])
    agent = ConversationalAgent("bot", model, "Be brief.", memory=last_messages(3))
    response = await agent.run("Now?", history=HISTORY)
    assert asked(model) == ["Be brief.", "q4", "a4", "Now?"]
    assert response.messages == (*HISTORY, Message.user("Now?"), Message.assistant("Yes."))


async def test_fifty_messages_are_remembered_by_default() -> None:
    model = ScriptedModel([answer()])
    await ConversationalAgent("bot", model).run("Now?", history=HISTORY * 10)
    assert len(model.requests[0].messages) == 49  # whole turns: 24 of two, and the question


async def test_it_holds_for_each_step_of_a_turn() -> None:
    steps = [Step(tool_calls=[("look", {"at": n})]) for n in (1, 2, 3)]
    model = ScriptedModel([*steps, answer()])
    agent = ConversationalAgent("bot", model, tools=[look], memory=last_messages(4))
    await agent.run("Now?", history=HISTORY)
    shown = [[message.role[0] for message in request.messages] for request in model.requests]
    assert ["".join(each) for each in shown] == ["uau", "uat", "uat", "uat"]
    assert model.requests[-1].messages[-1] == Message.tool(ToolResult("call_3", "look", "seen 3"))


async def test_a_memory_of_ones_own() -> None:
    class Nothing:
        def recall(self, messages: Sequence[Message], scale: float = 1.0) -> Sequence[Message]:
            return messages[-1:]

    model = ScriptedModel([answer()])
    await ConversationalAgent("bot", model, memory=Nothing()).run("Now?", history=HISTORY)
    assert asked(model) == ["Now?"]


@pytest.mark.parametrize("wrong", [20, last_messages, type("No", (), {})()])
def test_what_is_no_memory_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match="recall"):
        ConversationalAgent("bot", "demo", memory=wrong)


async def test_an_estimate_is_scaled_by_what_the_provider_counted() -> None:
    long = [Message.user("x" * 396), Message.assistant("y" * 396)] * 2  # 103 tokens each
    first = Step(tool_calls=[("look", {"at": 1})], usage=Usage(2000, 10))
    model = ScriptedModel([first, answer()])
    agent = ConversationalAgent("bot", model, tools=[look], memory=token_budget(500))
    await agent.run("Now?", history=long)
    assert len(model.requests[0].messages) == 5
    assert len(model.requests[1].messages) == 3  # each is found to have many more


async def test_a_usage_that_is_far_off_is_believed_in_part() -> None:
    model = MemoryModel(ScriptedModel(), token_budget(100))
    request = ModelRequest.of("x" * 16)
    model.counted(request, Usage(10**9, 1))
    assert len(model.rewrite(request).messages) == 1
    assert model._learned.scale == 4.0
    model.counted(request, Usage(1, 1, exact=False))
    assert model._learned.scale == 4.0
    model.counted(request, Usage(1, 1))
    assert model._learned.scale == 0.25


async def test_usage_that_nobody_told_is_that_of_what_was_asked() -> None:
    long = (Message.user("x" * 4000), Message.assistant("y" * 4000))
    model = ScriptedModel([Step(text="z" * 40)])
    response = await ConversationalAgent("bot", model, memory=last_messages(1)).run(
        "w" * 40, history=long
    )
    assert response.usage == Usage(10, 10, exact=False)


async def test_so_it_is_of_an_answer_that_was_stopped() -> None:
    gate = Gate()
    model = ScriptedModel([Step(text=["z" * 40, gate])])
    agent = ConversationalAgent("bot", model, memory=last_messages(1))
    async with agent.start("w" * 40, history=[Message.user("x" * 4000)]) as run:
        async with asyncio.timeout(PATIENCE):
            await gate.reached.wait()
            await run.cancel()
        events = [event async for event in run.events()]
    check_events(events)
    assert [e.usage for e in events if isinstance(e, StepEnd)] == [Usage(10, 10, exact=False)]


async def test_early_calls_are_still_early() -> None:
    gate = Gate()
    calls = [("look", {"at": 1}), ("look", {"at": 2})]

    def batches(request: ModelRequest) -> list[list[Delta] | Gate]:
        made = ScriptedModel()._batches(Step(tool_calls=calls))
        return [*made[:2], gate, *made[2:]]

    model = ScriptedModel([batches, answer()])
    agent = ConversationalAgent("bot", model, tools=[look], memory=last_messages(1))
    async with agent.start("Now?", history=HISTORY) as run, asyncio.timeout(PATIENCE):
        async for event in run.events():
            if isinstance(event, ToolEnd):
                assert model.open_streams == 1  # the model has not ended
                gate.open()
                break
        await run.result()


# --- summaries -----------------------------------------------------------------------------------


async def test_a_summary_is_made_first_and_counts_in_its_step() -> None:
    model = ScriptedModel([answer("They counted."), answer()])
    agent = ConversationalAgent("bot", model, "Be brief.", memory=summary(keep=3, every=2))
    events = await events_of(agent)
    assert asked(model, 0)[-1].endswith("user: q3\n\nassistant: a3")
    before = "[What was said before, in short: They counted.]\n\n"
    assert asked(model) == ["Be brief.", f"{before}q4", "a4", "Now?"]
    assert model.requests[0].tools == ()
    assert "".join(e.content for e in events if isinstance(e, Token)) == "Yes."
    assert not [e for e in events if isinstance(e, Thought | Warn)]
    assert [e.usage for e in events if isinstance(e, StepEnd)] == [Usage(200, 20)]
    assert isinstance(events[-1], Complete)
    assert events[-1].usage == Usage(200, 20)


async def test_its_text_is_a_thought_where_that_is_asked_for() -> None:
    model = ScriptedModel([answer(["They ", "counted."]), answer()])  # type: ignore[arg-type]
    agent = ConversationalAgent("bot", model, memory=summary(keep=3, every=2, show=True))
    events = await events_of(agent)
    first, end = SHOWN
    thoughts = [e.content for e in events if isinstance(e, Thought)]
    assert thoughts == [f"{first}They ", "counted.", end]
    names = list(dict.fromkeys(map(type_of, events)))
    assert names == [
        "run_start",
        "step_start",
        "thought",
        "token",
        "step_end",
        "answer",
        "complete",
    ]


async def test_no_model_is_told_that_it_has_thought_a_summary() -> None:
    maker = ScriptedModel([answer("They counted.")])
    model = ScriptedModel([answer(reasoning="Easy."), answer(), answer()])
    memory = summary(maker, keep=3, every=8, show=True)
    agent = ConversationalAgent("bot", model, memory=memory)
    first = await agent.run("Now?", history=(*HISTORY, *HISTORY))
    said = first.messages[-1].content
    assert said[0] == Reasoning(f"{SHOWN[0]}They counted.{SHOWN[1]}Easy.")
    await agent.run("And?", history=first.messages)
    assert model.requests[1].messages[-2].content == (Reasoning("Easy."), *said[1:])
    alone = Message.assistant(Reasoning(f"{SHOWN[0]}They counted.{SHOWN[1]}"), "Yes.")
    await agent.run("And?", history=[Message.user("Now?"), alone])
    assert model.requests[2].messages[1] == Message.assistant("Yes.")


async def test_another_model_may_make_it_and_it_is_made_once() -> None:
    maker = ScriptedModel([answer("One."), answer("Two.")])
    model = ScriptedModel([answer(f"b{n}") for n in range(7)])
    agent = ConversationalAgent("bot", model, memory=summary(maker, keep=2, every=4))
    said: tuple[Message, ...] = ()
    for number in range(7):
        said = (await agent.run(f"p{number}", history=said)).messages
    assert asked(maker, 0)[-1].startswith("user: p0")
    assert asked(maker, 1)[-1].startswith("Your summary so far:\nOne.\n\nSaid since then:")
    assert (len(maker.requests), len(model.requests)) == (2, 7)


async def test_who_makes_it_may_be_named() -> None:
    model = ScriptedModel([answer()])
    agent = ConversationalAgent("bot", model, memory=summary("demo", keep=3, every=2))
    await events_of(agent)
    assert len(model.requests) == 1
    assert asked(model)[0].startswith("[What was said before, in short: ")


class Broken(ScriptedModel):
    """Fails as no provider does."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def open(self, request: ModelRequest) -> Any:
        raise self.error


FAILURES = [
    (ScriptedModel([Step(error=ConnectionFailed("It broke."))]), "It broke."),
    (ScriptedModel([Step(text="half", error=ConnectionFailed("It broke."))]), "It broke."),
    (ScriptedModel([Step(text="half", finish_reason=None)]), "ended before the answer did"),
    (ScriptedModel([Step(text="  ")]), "It is empty."),
    (ScriptedModel([Step(text="No.", finish_reason="content_filter")]), "It was filtered."),
    (ScriptedModel(), "The script has 0 steps"),
    (Broken(ZeroDivisionError("secret")), "made: ZeroDivisionError."),
    (Broken(TimeoutError("secret")), "made: TimeoutError."),
    ("no-such-provider:x", "no-such-provider"),
]


@pytest.mark.parametrize(("maker", "why"), FAILURES, ids=[why for _, why in FAILURES])
async def test_one_that_fails_is_a_warning(maker: str | Model, why: str) -> None:
    model = ScriptedModel([Step(tool_calls=[("look", {"at": 1})]), answer()])
    memory = summary(maker, keep=2, every=1)
    agent = ConversationalAgent("bot", model, tools=[look], memory=memory)
    events = await events_of(agent)
    assert isinstance(events[-1], Complete)
    ((code, message),) = told(events)  # once a run, though the second step would need one, too
    assert code == "summary_failed"
    assert why in message
    assert "secret" not in message
    assert asked(model, 0) == ["q4", "a4", "Now?"]


def test_one_that_takes_too_long_is_a_warning() -> None:
    async def main() -> tuple[list[Event], ScriptedModel]:
        maker = ScriptedModel([Step(text=["half", Gate()])])
        agent = ConversationalAgent(
            "bot", ScriptedModel([answer()]), memory=summary(maker, keep=2, every=1)
        )
        return await events_of(agent), maker

    events, maker = run_with_fake_clock(main())
    assert "more than 60 s" in told(events)[0][1]
    assert maker.open_streams == 0
    assert isinstance(events[-1], Complete)


async def test_a_long_one_is_cut_and_its_stream_closed() -> None:
    maker = ScriptedModel([Step(text=["x" * MAX_SUMMARY, "y" * 10, Gate()])])
    model = ScriptedModel([answer()])
    agent = ConversationalAgent("bot", model, memory=summary(maker, keep=3, every=2))
    async with asyncio.timeout(PATIENCE):
        await events_of(agent)
    assert maker.open_streams == 0
    assert asked(model)[0].endswith("x […]]\n\nq4")


async def test_a_run_that_is_stopped_meanwhile_closes_it_and_says_what_was_used() -> None:
    gate = Gate()
    maker = ScriptedModel([Step(text=["x" * 400, gate])])
    agent = ConversationalAgent("bot", ScriptedModel(), memory=summary(maker, keep=3, every=2))
    async with agent.start("Now?", history=HISTORY) as run, asyncio.timeout(PATIENCE):
        await gate.reached.wait()
        await run.cancel()
        events = [event async for event in run.events()]
    check_events(events)
    assert maker.open_streams == 0
    used = next(e.usage for e in events if isinstance(e, StepEnd))
    assert used.output == 100
    assert not used.exact


async def test_a_step_that_is_asked_again_does_not_make_it_again() -> None:
    broke = ConnectionFailed("Gone.")
    maker = ScriptedModel([answer("One.")])
    model = ScriptedModel([Step(text="ha", error=broke), answer()])
    agent = ConversationalAgent("bot", model, memory=summary(maker, keep=3, every=2))
    events = await events_of(agent)
    assert [e for e in events if isinstance(e, Retract)]
    assert isinstance(events[-1], Complete)
    assert len(maker.requests) == 1
    assert all("One." in asked(model, n)[0] for n in (0, 1))


async def test_guards_see_a_summary_that_is_shown() -> None:
    maker = ScriptedModel([Step(text=["The key is sk-", "12345."])])
    agent = ConversationalAgent(
        "bot",
        ScriptedModel([answer()]),
        memory=summary(maker, keep=3, every=2, show=True),
        guards=[redact(r"sk-[0-9]+")],
    )
    events = await events_of(agent)
    thoughts = "".join(event.content for event in events if isinstance(event, Thought))
    assert thoughts.startswith(f"{SHOWN[0]}The key is ")
    assert "12345" not in thoughts


async def test_an_agent_below_another_has_its_memory_too() -> None:
    below = ScriptedModel(
        [Step(tool_calls=[("look", {"at": n})]) for n in (1, 2)] + [answer("Ok.")]
    )
    helper = ConversationalAgent(
        "helper", below, tools=[look], memory=last_messages(1), description="Helps."
    )
    model = ScriptedModel([Step(tool_calls=[("helper", {"task": "Do."})]), answer()])
    events = await events_of(Agent("boss", model, tools=[helper.as_tool()]), ())
    assert isinstance(events[-1], Complete)
    assert [len(request.messages) for request in below.requests] == [1, 3, 3]
    last = below.requests[-1].messages
    assert last[1].tool_calls == (ToolCall("call_2", "look", '{"at": 2}'),)


async def test_a_structured_answer_and_a_memory_go_together() -> None:
    model = ScriptedModel([Step(tool_calls=[("final_answer", {"result": 7})])])
    agent: ConversationalAgent[int] = ConversationalAgent(
        "bot", model, memory=last_messages(1), output_type=int
    )
    response: Response[int] = await agent.run("Now?", history=HISTORY)
    assert response.output == 7
    assert asked(model) == ["Now?"]


async def test_a_react_agent_may_have_a_memory() -> None:
    class Talker(ConversationalAgent[str], ReActAgent):
        """Both."""

    model = ScriptedModel(
        [
            answer("They counted."),
            answer('Thought: Look.\nAction: look\nAction Input: {"at": 1}\n'),
            answer("Thought: Seen.\nFinal Answer: One."),
        ]
    )
    agent = Talker("bot", model, tools=[look], memory=summary(keep=3, every=4))
    assert (await agent.run("Now?", history=HISTORY)).content == "One."
    assert [len(request.messages) for request in model.requests] == [2, 4, 6]
    assert "They counted." in asked(model)[1]


pieces = st.one_of(
    st.builds(TextDelta, st.text(max_size=9)),
    st.builds(ReasoningDelta, st.text(max_size=9)),
    st.builds(ToolCallDelta, st.just(0), st.just("1"), st.just("look"), st.text(max_size=9)),
    st.builds(UsageDelta, st.builds(Usage, st.integers(1, 99), st.integers(1, 99))),
)


@given(st.lists(pieces, max_size=12), st.data())
def test_whatever_the_batches_the_answer_and_its_usage_are_the_same(
    deltas: list[Delta], data: st.DataObject
) -> None:
    def outcome(batches: list[list[Delta]]) -> tuple[list[Delta], Usage | None]:
        request = ModelRequest.of("x" * 40)
        model = MemoryModel(ScriptedModel(), last_messages(1))
        reader = UsageReader(model, request, Usage(5, 5), told_less=True)
        read = [delta for batch in batches for delta in reader.feed(batch)] + reader.close()
        rest: list[Delta] = [delta for delta in read if not isinstance(delta, UsageDelta)]
        return rest, assemble(read).usage

    whole = [*deltas, Finish("stop")]
    cut = data.draw(st.integers(0, len(whole)))
    parts = [part for part in (whole[:cut], whole[cut:]) if part]
    assert outcome(parts) == outcome([whole]) == outcome([[delta] for delta in whole])
    assert outcome([whole])[0] == [d for d in whole if not isinstance(d, UsageDelta)]


async def test_deltas_pass_unchanged_where_nothing_was_left_out() -> None:
    batches: list[list[Delta]] = [[TextDelta("a"), TextDelta("b")], [Finish("stop")]]
    wrapped = MemoryModel(ScriptedModel([batches]), last_messages(5))
    async with wrapped.stream(ModelRequest.of("Hi")) as stream:
        assert [batch async for batch in stream] == batches
