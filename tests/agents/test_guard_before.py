"""A secret that is cut over two steps of one answer, or stands in the name of a call."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headrace import Agent, tool
from headrace.agents.guards import Finding, Guard, Said, Watch, Withdraw, block, redact
from headrace.agents.guards.before import Before
from headrace.agents.guards.scanner import MAX_WINDOW
from headrace.agents.handoff import Handoff
from headrace.agents.react import ReActAgent
from headrace.events import Complete, Event, Thought, Token, ToolEnd, ToolStart, Warn, encode
from headrace.models.request import ModelRequest
from headrace.testing import ScriptedModel, Step, check_events

pytestmark = pytest.mark.anyio

KEY = redact(r"sk-[a-z0-9]{6,}")
SECRET = "sk-abc123"


@tool
def look(query: str) -> str:
    """Look."""
    return f"looked for {query}"


def agent(*steps: Step, guards: Sequence[Guard] = (KEY,), **options: object) -> Agent:
    options = {"tools": [look], **options}
    return Agent("clerk", ScriptedModel(steps), guards=guards, description="Knows.", **options)  # type: ignore[arg-type]


async def log_of(of: Agent) -> list[Event]:
    async with of.start("Go") as run:
        events = [event async for event in run.events()]
    check_events(events)
    return events


def said(events: Sequence[Event]) -> str:
    return "".join(event.content for event in events if isinstance(event, Token))


LOOKS = [("look", {"query": "x"})]


# Over two steps -------------------------------------------------------------------------------


async def test_its_rest_is_taken_out_of_the_second_step() -> None:
    for pieces in (["c123. Yes."], list("c123. Yes."), ["c", "123. Y", "es."]):
        events = await log_of(agent(Step("Key: sk-ab", tool_calls=LOOKS), Step(pieces)))
        assert said(events) == "Key: sk-ab[redacted]. Yes."
        assert SECRET not in b"".join(encode(event) for event in events).decode()


async def test_so_it_is_where_the_reasoning_is_cut() -> None:
    first = Step(reasoning="Hm, sk-abc", tool_calls=LOOKS)
    events = await log_of(agent(first, Step("Yes.", reasoning="123 it is.")))
    thought = "".join(event.content for event in events if isinstance(event, Thought))
    assert thought == "Hm, sk-abc[redacted] it is."


async def test_a_block_ends_the_answer_there() -> None:
    first = Step("I will drop ", tool_calls=LOOKS)
    events = await log_of(agent(first, Step("table x"), guards=[block("drop table", "No.")]))
    assert said(events) == "I will drop "
    assert [event.message for event in events if isinstance(event, Warn)] == ["No."]
    (end,) = [event for event in events if isinstance(event, Complete)]
    assert end.finish_reason == "content_filter"


async def test_what_only_looks_like_it_stands_whole() -> None:
    events = await log_of(agent(Step("Ask-", tool_calls=LOOKS), Step(["it", " all. Ask."])))
    assert said(events) == "Ask-it all. Ask."


async def test_a_step_is_watched_from_its_beginning_too() -> None:
    """As the step before ends in a letter, there is no word's boundary between the two."""
    first = Step("Look", tool_calls=LOOKS)
    events = await log_of(agent(first, Step("4711 it is"), guards=[redact(r"\b\d{4}")]))
    assert said(events) == "Look[redacted] it is"


async def test_of_a_withdrawn_answer_nothing_goes_on() -> None:
    def short(given: Said) -> Withdraw | None:
        return Withdraw("Too short.") if given.text == "a" else None

    events = await log_of(agent(Step("a"), Step("b."), guards=[redact("ab"), short]))
    assert [event.content for event in events if isinstance(event, Token)] == ["a", "b."]


async def test_it_goes_on_with_who_takes_the_conversation_over() -> None:
    billing = Agent("billing", ScriptedModel([Step("c123.")]), description="Pays.")
    passes = Step("Key: sk-ab", tool_calls=[("transfer_to_billing", {})])
    assert said(await log_of(agent(passes, tools=[Handoff(billing)]))) == "Key: sk-ab[redacted]."


async def test_an_agent_that_is_asked_speaks_for_itself() -> None:
    below = Agent("below", ScriptedModel([Step("c123.")]), description="Knows.")
    asks = Step("Key: sk-ab", tool_calls=[("below", {"task": "x"})])
    events = await log_of(agent(asks, Step("!"), tools=[below.as_tool()]))
    assert said([event for event in events if event.agent == "below"]) == "c123."


async def test_structured_answers_are_texts_of_their_own() -> None:
    first, second = Step('{"result": "ab'), Step('{"result": "cd"}')
    typed = agent(first, second, guards=[redact('ab\\{"')], output_type=str, output_by="schema")
    assert (await typed.run("Go")).output == "cd"


async def test_no_more_is_remembered_than_a_window_can_be() -> None:
    seen: list[str] = []

    class Listens(Watch):
        @property
        def clear(self) -> int:
            return 0

        def feed(self, text: str) -> Sequence[Finding]:
            seen.append(text)
            return ()

    class Hears:
        def watch(self, channel: str) -> Watch:
            return Listens()

    before = Before()
    before.add("text", ["x" * MAX_WINDOW, "a", "b" * (MAX_WINDOW - 2)])
    before.add("text", ["c"])
    assert len(before.watches([Hears()], "text")) == 1
    assert seen == ["a" + "b" * (MAX_WINDOW - 2) + "c"]
    assert before.watches([Hears()], "reasoning") == []


# In a name ------------------------------------------------------------------------------------


async def test_a_name_that_a_guard_finds_something_in_is_shown_to_no_one() -> None:
    model = ScriptedModel([Step(tool_calls=[(SECRET, {"query": "x"})]), Step("Sorry.")])
    events = await log_of(Agent("clerk", model, tools=[look], guards=[KEY]))
    assert SECRET not in b"".join(encode(event) for event in events).decode()
    assert SECRET not in str(model.requests)
    (start,) = [event for event in events if isinstance(event, ToolStart)]
    (end,) = [event for event in events if isinstance(event, ToolEnd)]
    assert start.name == "withheld_by_a_guard"
    assert end.error is not None


async def test_so_it_is_where_a_react_agent_names_its_action() -> None:
    steps = [Step(f"Action: {SECRET}\nAction Input: x\n"), Step("Final Answer: Sorry.")]
    events = await log_of(ReActAgent("clerk", ScriptedModel(steps), tools=[look], guards=[KEY]))
    assert SECRET not in b"".join(encode(event) for event in events).decode()
    assert said(events) == "Sorry."


async def test_a_block_ends_the_answer_before_such_a_call() -> None:
    calls = Step("So: ", tool_calls=[("drop table", {"query": "x"})])
    events = await log_of(agent(calls, guards=[block("drop table", "No.")]))
    assert [event.message for event in events if isinstance(event, Warn)] == ["No."]
    assert not [event for event in events if isinstance(event, ToolStart)]


async def test_names_of_tools_are_no_secret() -> None:
    events = await log_of(agent(Step(tool_calls=LOOKS), Step("Yes."), guards=[redact("look")]))
    (end,) = [event for event in events if isinstance(event, ToolEnd)]
    assert (end.name, end.output) == ("look", "looked for x")


async def test_nor_is_what_a_turn_is_called_that_cannot_be_read() -> None:
    def answer(request: ModelRequest) -> Step:
        asked_again = "could not be read" in request.messages[-1].text
        return Step("Final Answer: Yes." if asked_again else "Thought: Hm.")

    model = ScriptedModel([answer, answer])
    events = await log_of(ReActAgent("clerk", model, tools=[look], guards=[redact("format")]))
    assert said(events) == "Yes."
