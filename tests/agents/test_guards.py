"""Agents with guards: nothing is seen that should not be, in no event, message or answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from headrace import Agent, tool
from headrace.agents.guards import (
    End,
    Guard,
    Said,
    Verdict,
    Withdraw,
    as_guard,
    block,
    judge,
    redact,
)
from headrace.agents.guards.model import MAX_AGAIN
from headrace.agents.react import ReActAgent
from headrace.errors import ConnectionFailed, RunFailed, UsageError
from headrace.events import (
    AgentEnd,
    Complete,
    Error,
    Event,
    Retract,
    StepEnd,
    Token,
    ToolEnd,
    Warn,
    encode,
)
from headrace.models.fallback import Fallback
from headrace.testing import Gate, ScriptedModel, Step, check_events
from headrace.usage import Usage

KEY = redact(r"sk-[a-z0-9]+")
PIECES = ["The key is s", "k", "-abc", "123. Keep", " it."]


def agent(*steps: Step, guards: Sequence[Guard] = (KEY,), **options: object) -> Agent:
    return Agent("clerk", ScriptedModel(steps), guards=guards, description="Knows.", **options)  # type: ignore[arg-type]


async def log_of(of: Agent, *, retract: bool = True) -> list[Event]:
    async with of.start("Go", retract=retract) as run:
        events = [event async for event in run.events()]
    check_events(events)
    return events


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.content for event in events if isinstance(event, Token))


async def test_a_secret_cut_over_tokens_is_in_no_event_and_no_message() -> None:
    async with agent(Step(text=PIECES)).start("Go") as run:
        response = await run.result()
        events = [event async for event in run.events()]
    assert response.content == "The key is [redacted]. Keep it."
    assert response.messages[-1].text == response.content
    assert text_of(events) == response.content
    assert not any(b"abc" in encode(event) for event in events)


async def test_every_view_shows_the_same() -> None:
    shown = "The key is [redacted]. Keep it."
    chunks = [c.content async for c in agent(Step(text=PIECES)).run_stream("Go")]
    assert "".join(chunks) == shown
    assert (await agent(Step(text=PIECES)).run("Go")).content == shown
    assert await asyncio.to_thread(lambda: agent(Step(text=PIECES)).run_sync("Go").content) == shown


async def test_what_cannot_match_is_shown_while_the_model_still_writes() -> None:
    gate = Gate()
    async with agent(Step(text=["Hello you s", gate, "o"])).start("Go") as run:
        run.begin()
        await gate.reached.wait()
        assert run.snapshot().text == "Hello you "
        gate.open()
        assert (await run.result()).content == "Hello you so"


async def test_a_tool_never_runs_with_arguments_that_the_model_did_not_write() -> None:
    sent: list[str] = []

    @tool
    def send(text: str) -> str:
        """Send."""
        sent.append(text)
        return "sent"

    calls = Step(tool_calls=[("send", {"text": "sk-abc"}), ("send", {"text": "hello"})])
    events = await log_of(agent(calls, Step(text="Done."), tools=[send]))
    assert sent == ["hello"]
    ends = {event.call_id: event for event in events if isinstance(event, ToolEnd)}
    assert "withheld by a guard" in (ends["call_1"].error or "")
    assert ends["call_2"].error is None
    assert not any(b"abc" in encode(event) for event in events)


async def test_a_block_ends_the_run_as_filtered_and_no_tool_runs() -> None:
    ran: list[str] = []

    @tool
    def drop(table: str) -> str:
        """Drop."""
        ran.append(table)
        return ""

    step = Step(text="Well: ", tool_calls=[("drop", {"table": "users"})], usage=Usage(9, 9))
    guard = block("users", "Hands off the users.", where=["arguments"])
    events = await log_of(agent(step, guards=[guard], tools=[drop]))
    assert ran == []
    assert isinstance(events[-1], Complete)
    assert events[-1].finish_reason == "content_filter"
    assert [(e.code, e.message) for e in events if isinstance(e, Warn)] == [
        ("guard", "Hands off the users.")
    ]
    assert text_of(events) == "Well: "


async def test_a_block_closes_the_model_s_stream_at_once() -> None:
    model = ScriptedModel([Step(text=["ok stop ", Gate(), "never"])])
    events = await log_of(Agent("clerk", model, guards=[block("stop")]))
    assert model.open_streams == 0
    assert text_of(events) == "ok "


def polite(said: Said) -> Verdict | None:
    return Withdraw("It was rude.", hint="Be polite.") if "fool" in said.text else None


async def test_what_is_withdrawn_is_retracted_and_asked_again_with_a_hint() -> None:
    model = ScriptedModel([Step(text="You fool."), Step(text="Dear friend.")])
    async with Agent("clerk", model, guards=[polite]).start("Go") as run:
        response = await run.result()
        events = [event async for event in run.events()]
        state = run.snapshot()
    check_events(events)
    assert response.content == state.text == "Dear friend."
    assert [message.text for message in response.messages] == ["Go", "Dear friend."]
    assert [event.reason for event in events if isinstance(event, Retract)] == ["guard"]
    assert model.requests[0].messages == response.messages[:1]
    assert model.requests[1].messages[-1].text == (
        "Your last answer was withdrawn: It was rude. Be polite."
    )


async def test_a_judge_may_stop_an_answer_in_the_middle() -> None:
    model = ScriptedModel([Step(text=["You fool, ", Gate(), "you"]), Step(text="Friend.")])
    async with Agent("clerk", model, guards=[judge(polite, every=5)]).start("Go") as run:
        assert (await run.result()).content == "Friend."
    assert model.open_streams == 0


async def test_it_is_asked_again_so_often_and_then_the_run_fails() -> None:
    model = ScriptedModel([Step(text="You fool.")] * (MAX_AGAIN + 1))
    events = await log_of(Agent("clerk", model, guards=[polite]))
    model.assert_consumed()
    assert isinstance(events[-1], Error)
    assert (events[-1].code, events[-1].retryable) == ("guard", False)
    assert "It was rude." in events[-1].message


async def test_an_answer_may_be_replaced_by_a_text() -> None:
    def no(said: Said) -> Verdict | None:
        return Withdraw("no", instead="I cannot say.")

    async with agent(Step(text="The secret."), guards=[no]).start("Go") as run:
        response = await run.result()
    assert response.content == "I cannot say."
    assert response.finish_reason == "content_filter"


async def test_where_text_cannot_be_taken_back_a_withdrawal_is_an_error() -> None:
    chunks = agent(Step(text="You fool."), guards=[polite]).run_stream("Go", on_error="chunk")
    *shown, last = [chunk async for chunk in chunks]
    assert "".join(chunk.content for chunk in shown) == "You fool."
    assert last.finish_reason == "error"
    assert last.metadata is not None
    assert last.metadata["error"]["code"] == "guard"


async def test_it_is_asked_again_there_too_while_nothing_was_shown() -> None:
    def no_calls(said: Said) -> Verdict | None:
        return Withdraw("empty") if not said.text else None

    asked = agent(Step(), Step(text="Hello."), guards=[no_calls])
    assert "".join([chunk.content async for chunk in asked.run_stream("Go")]) == "Hello."


async def test_a_verdict_of_end_keeps_what_was_shown() -> None:
    events = await log_of(agent(Step(text="Long."), guards=[lambda said: End("Enough.")]))
    assert isinstance(events[-1], Complete)
    assert events[-1].finish_reason == "content_filter"
    assert text_of(events) == "Long."


async def test_a_guard_that_raises_ends_the_run_and_says_nothing_of_why() -> None:
    def broken(said: Said) -> Verdict | None:
        raise ValueError("sk-abc")

    with pytest.raises(RunFailed) as caught:
        await agent(Step(text="Hi."), guards=[broken]).run("Go")
    assert caught.value.code == "guard_failed"
    assert caught.value.partial == "Hi."
    assert "sk-abc" not in str(caught.value)


async def test_a_step_that_breaks_is_asked_again_past_the_guards() -> None:
    broken = Step(text="sk-", error=ConnectionFailed("reset", provider="scripted"))
    events = await log_of(agent(broken, Step(text="a sk-abc")))
    assert text_of(events) == "sk-a [redacted]"
    assert isinstance(events[-1], Complete)


async def test_what_a_fallback_has_left_is_guarded_too() -> None:
    first = ScriptedModel([Step(text="Hm ", error=ConnectionFailed("gone", provider="first"))])
    second = ScriptedModel([Step(text="It is sk-abc.")])
    both = Fallback([first, second], midstream="retry")
    async with Agent("clerk", both, guards=[KEY]).start("Go") as run:
        assert (await run.result()).content == "It is [redacted]."


async def test_guards_hold_for_the_agents_below() -> None:
    below = Agent("shelf", ScriptedModel([Step(text="sk-abc")]), description="Knows.")
    router = agent(
        Step(tool_calls=[("shelf", {"task": "Find."})]), Step(text="ok"), tools=[below.as_tool()]
    )
    events = await log_of(router)
    assert [event.output for event in events if isinstance(event, AgentEnd)] == ["[redacted]"]
    assert not any(b"abc" in encode(event) for event in events)


async def test_those_of_an_agent_below_are_its_own() -> None:
    below = agent(Step(text="sk-abc"))
    router = Agent(
        "router",
        ScriptedModel([Step(tool_calls=[("clerk", {"task": "x"})]), Step(text="sk-abc")]),
        tools=[below.as_tool()],
    )
    events = await log_of(router)
    texts = [event.message.text for event in events if isinstance(event, StepEnd)]
    assert texts == ["", "[redacted]", "sk-abc"]


async def test_a_react_agent_is_guarded_in_thought_and_answer() -> None:
    text = ["Thought: use sk-a", "bc\nFinal ", "Answer: It is s", "k-abc."]
    events = await log_of(ReActAgent("thinker", ScriptedModel([Step(text=text)]), guards=[KEY]))
    assert text_of(events) == "It is [redacted]."
    assert not any(b"abc" in encode(event) for event in events)


@dataclass
class Note:
    key: str


async def test_a_structured_answer_is_guarded_and_stays_json() -> None:
    text = ['{"key": "\\u0073k-a', 'bc"}']
    guarded = Agent(
        "clerk",
        ScriptedModel([Step(text=text)]),
        guards=[redact(r"sk-\w+", 'a "key"')],
        output_type=Note,
        output_by="schema",
    )
    assert (await guarded.run("Go")).output == Note('a "key"')


def test_what_is_no_guard_is_refused_when_the_agent_is_built() -> None:
    for wrong in ("sk-", 3, Said, None):
        with pytest.raises(UsageError, match="no guard"):
            Agent("clerk", "demo", guards=[wrong])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"window": 0}, "window"),
        ({"window": 4097}, "window"),
        ({"where": []}, "where"),
        ({"where": ["tokens"]}, "where"),
    ],
)
def test_so_is_a_guard_that_could_not_work(arguments: dict[str, object], why: str) -> None:
    for make in (redact, block):
        with pytest.raises(UsageError, match=why):
            make("a", **arguments)  # type: ignore[arg-type]


def test_so_is_a_pattern_that_no_window_is_wide_enough_for() -> None:
    for make in (redact, block):
        with pytest.raises(UsageError, match=r"matches 257 characters or more.*window=257"):
            make("(a|bc){257}")
    assert redact("a{256}") is not None
    assert redact("a{257}", window=257) is not None


def test_a_judge_that_would_have_to_be_awaited_is_refused() -> None:
    async def polite(said: Said) -> None: ...

    class Polite:
        async def __call__(self, said: Said) -> None: ...

    for wrong in (polite, Polite()):
        with pytest.raises(UsageError, match="is a coroutine function"):
            Agent("clerk", "demo", guards=[wrong])  # type: ignore[list-item]


def test_a_judge_is_a_function_and_asked_after_so_many_characters() -> None:
    with pytest.raises(UsageError, match="every"):
        judge(polite, every=-1)
    with pytest.raises(UsageError, match="function"):
        judge("rude")  # type: ignore[arg-type]


def test_guards_say_what_they_are() -> None:
    assert repr(KEY) == "redact('sk-[a-z0-9]+')"
    assert repr(block("a")) == "block('a')"
    assert repr(as_guard(polite)) == "judge('polite', every=0)"
