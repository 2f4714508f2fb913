"""An agent on a model without tool calling: its events, its mistakes, its bounds, every view."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import (
    Agent,
    Channel,
    EventDispatcher,
    Message,
    ReActAgent,
    Response,
    Runtime,
    Usage,
    fold,
    tool,
)
from headrace.errors import ConnectionFailed, RunFailed, UsageError
from headrace.events import (
    Answer,
    Cancelled,
    Complete,
    Event,
    Retract,
    StepEnd,
    Thought,
    Token,
    ToolArgs,
    ToolEnd,
    ToolProgress,
    ToolStart,
    type_of,
)
from headrace.models.react.prompt import REMINDER
from headrace.models.react.reader import UNREADABLE
from headrace.providers.scripted import Pieces
from headrace.testing import Gate, ScriptedModel, Step, check_events
from tests.server.reading import reading
from tests.server.serving import serving

PATIENCE = 10.0
QUESTION = "What is 123 * 456?"
FIRST = (
    'Thought: I need to multiply.\nAction: calculator\nAction Input: {"expression": "123 * 456"}\n'
)
SECOND = "Thought: I know it now.\nFinal Answer: 123 * 456 = 56088"
TEXT = "123 * 456 = 56088"
THOUGHTS = "I need to multiply.I know it now."


@tool
async def calculator(expression: str) -> str:
    """Work out a product."""
    one, _, other = expression.partition("*")
    return str(int(one) * int(other))


@tool
async def clock(zone: str = "UTC") -> str:
    """Tell the time."""
    return f"noon in {zone}"


def agent_on(*texts: Pieces, **more: object) -> ReActAgent:
    model = ScriptedModel([Step(text=text, usage=Usage(10, 5)) for text in texts])
    return ReActAgent("thinker", model, tools=[calculator, clock], **more)  # type: ignore[arg-type]


def mathematician() -> ReActAgent:
    return agent_on(FIRST, SECOND)


def model_of(agent: Agent) -> ScriptedModel:
    assert isinstance(agent.model, ScriptedModel)
    return agent.model


async def log_of(agent: Agent) -> list[Event]:
    async with asyncio.timeout(PATIENCE), agent.start(QUESTION) as run:
        events = [event async for event in run.events()]
    check_events(events)
    return events


def errors(events: list[Event]) -> list[str | None]:
    return [event.error for event in events if isinstance(event, ToolEnd)]


def observed(agent: Agent, step: int = 1) -> str:
    """What the model was told last before this step, from 0."""
    return model_of(agent).requests[step].messages[-1].text


async def test_its_events_are_those_of_any_agent() -> None:
    events = await log_of(mathematician())
    assert list(dict.fromkeys(map(type_of, events))) == [
        *("run_start", "step_start", "thought", "tool_args", "step_end"),
        *("tool_start", "tool_end", "token", "answer", "complete"),
    ]
    (start,) = [event for event in events if isinstance(event, ToolStart)]
    assert (start.name, start.input) == ("calculator", {"expression": "123 * 456"})
    (end,) = [event for event in events if isinstance(event, ToolEnd)]
    assert (end.call_id, end.output, end.error) == (start.call_id, "56088", None)
    assert "".join(e.content for e in events if isinstance(e, Thought)) == THOUGHTS
    assert "".join(e.content for e in events if isinstance(e, Token)) == TEXT
    assert [e.content for e in events if isinstance(e, Answer)] == [TEXT]
    last = events[-1]
    assert isinstance(last, Complete)
    assert (last.finish_reason, last.usage) == ("stop", Usage(20, 10))
    reasons = [event.finish_reason for event in events if isinstance(event, StepEnd)]
    assert reasons == ["tool_calls", "stop"]


@given(cuts=st.lists(st.integers(0, len(FIRST + SECOND)), max_size=12))
def test_the_cuts_of_the_text_never_matter(cuts: list[int]) -> None:
    def cut(text: str) -> list[str]:
        ends = [0, *sorted({each for each in cuts if each < len(text)}), len(text)]
        return [text[a:b] for a, b in pairwise(ends)]

    joined = told(asyncio.run(log_of(agent_on(cut(FIRST), cut(SECOND)))))
    assert joined == told(asyncio.run(log_of(mathematician())))


def told(events: list[Event]) -> list[tuple[str, object]]:
    """Types and contents, neighbours of one kind joined."""
    joined: list[tuple[str, object]] = []
    for event in events:
        content: object = None
        if isinstance(event, Thought | Token | Answer):
            content = event.content
        elif isinstance(event, ToolArgs):
            content = event.delta
        elif isinstance(event, ToolStart):
            content = event.input
        elif isinstance(event, ToolEnd):
            content = (event.output, event.error)
        if isinstance(content, str) and joined and joined[-1][0] == type_of(event):
            content = str(joined.pop()[1]) + content
        joined.append((type_of(event), content))
    return joined


async def test_thoughts_and_the_answer_come_while_the_model_writes() -> None:
    gates = Gate(), Gate()
    agent = agent_on(["Thought: I th", gates[0], "ink.\nFinal An", "swer: It is", gates[1], " 42"])
    seen: list[Event] = []
    async with asyncio.timeout(PATIENCE), agent.start(QUESTION) as run:
        async for event in run.events():
            seen.append(event)
            if isinstance(event, Thought) and event.content == "I th":
                gates[0].open()
            if isinstance(event, Token) and event.content == "It is":
                gates[1].open()
    said = [event.content for event in seen if isinstance(event, Thought | Token)]
    assert said == ["I th", "ink.", "It is", " 42"]


async def test_the_model_is_told_in_the_form() -> None:
    agent = mathematician()
    agent.instructions = "Be exact."
    await agent.run(QUESTION)
    first, second = model_of(agent).requests
    assert first.tools == second.tools == ()
    assert first.messages[0].text.startswith("Be exact.\n\n")
    assert "- calculator: Work out a product." in first.messages[0].text
    assert [(message.role, message.text) for message in second.messages[1:]] == [
        ("user", QUESTION),
        ("assistant", FIRST.rstrip()),
        ("user", "Observation: 56088"),
    ]


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ("Action: weather\nAction Input: {}", "There is no tool named 'weather'"),
        ("Action: calculatr\nAction Input: 1", "Did you mean 'calculator'?"),
        ("Action: calculator", "expression: required, but missing"),
        ("Action: calculator\nAction Input:", "expression: required, but missing"),
        ('Action: calculator\nAction Input: {"expression": ', "not valid JSON"),
        ('Action: calculator\nAction Input: {"wrong": 1}', "wrong: there is no such argument"),
        ("Action: calculator\nAction Input: two * three", "invalid literal for int()"),
        ("Thought: I must use it.", "Action Input:"),
        ("Action:\nAction Input: {}", "Action Input:"),
    ],
)
async def test_what_is_wrong_is_the_models_observation(action: str, error: str) -> None:
    agent = agent_on(action, SECOND)
    events = await log_of(agent)
    ((said),) = errors(events)
    assert said is not None
    assert error in said
    assert observed(agent).endswith(f"Observation: {said}")
    assert [e.content for e in events if isinstance(e, Answer)] == [TEXT]


async def test_no_input_runs_a_tool_that_needs_none() -> None:
    events = await log_of(agent_on("Action: clock", SECOND))
    assert [e.output for e in events if isinstance(e, ToolEnd)] == ["noon in UTC"]


async def test_a_turn_of_thoughts_alone_is_told_once_and_then_taken() -> None:
    agent = agent_on("Thought: Paris, I think.", "Thought: It is Paris.")
    events = await log_of(agent)
    assert [(e.name, e.error) for e in events if isinstance(e, ToolEnd)] == [(UNREADABLE, REMINDER)]
    assert [e.content for e in events if isinstance(e, Answer)] == ["It is Paris."]


async def test_a_plain_answer_is_an_answer() -> None:
    agent = agent_on(["It is ", "Paris.\n", "Surely."])
    events = await log_of(agent)
    assert "".join(e.content for e in events if isinstance(e, Token)) == "It is Paris.\nSurely."
    assert not any(isinstance(event, Thought) for event in events)


async def test_the_models_own_observation_is_never_read() -> None:
    agent = agent_on(f"{FIRST}Observation: 5\nThought: It is 5.\nFinal Answer: 5", SECOND)
    events = await log_of(agent)
    assert [e.output for e in events if isinstance(e, ToolEnd)] == ["56088"]
    assert fold(events).text == TEXT
    assert observed(agent) == "Observation: 56088"
    assert model_of(agent).open_streams == 0


async def test_it_stops_after_so_many_steps() -> None:
    agent = agent_on(*[FIRST] * 3, max_steps=3)
    events = await log_of(agent)
    last = events[-1]
    assert isinstance(last, Complete)
    assert last.finish_reason == "max_steps"
    assert errors(events) == [None] * 3
    calls = [event.call_id for event in events if isinstance(event, ToolStart)]
    assert len(set(calls)) == 3


async def test_a_turn_that_was_cut_runs_nothing() -> None:
    cut = Step(text=FIRST, finish_reason="length")
    events = await log_of(ReActAgent("thinker", ScriptedModel([cut]), tools=[calculator]))
    assert not any(isinstance(event, ToolStart) for event in events)
    assert isinstance(events[-1], Complete)
    assert events[-1].finish_reason == "length"


async def test_a_step_that_breaks_is_withdrawn_and_asked_again() -> None:
    gone = ConnectionFailed("gone")
    model = ScriptedModel([Step(text="Final Answer: It is\n4", error=gone), Step(text=SECOND)])
    events = await log_of(ReActAgent("thinker", model, tools=[calculator]))
    assert [event.reason for event in events if isinstance(event, Retract)] == ["connection_failed"]
    assert fold(events).text == TEXT


async def test_what_was_said_before_an_error_is_kept() -> None:
    model = ScriptedModel([Step(text="It is ", error=ConnectionFailed("gone"))])
    with pytest.raises(RunFailed) as failed:
        async for _ in ReActAgent("thinker", model).run_stream(QUESTION):
            pass
    assert failed.value.partial == "It is "


async def test_progress_and_cancel() -> None:
    gate = Gate()

    @tool
    async def slow(task: str):  # type: ignore[no-untyped-def]
        """Work."""
        yield "half"
        await gate.pass_through()
        yield "done"

    model = ScriptedModel([Step(text="Action: slow\nAction Input: dig")])
    agent = ReActAgent("thinker", model, tools=[slow])
    async with asyncio.timeout(PATIENCE), agent.start(QUESTION) as run:
        run.begin()
        await gate.reached.wait()
        end = await run.cancel("enough")
        events = [event async for event in run.events()]
    check_events(events)
    assert isinstance(end, Cancelled)
    assert [e.content for e in events if isinstance(e, ToolProgress)] == ["half"]
    assert errors(events) == ["cancelled"]


async def test_it_can_be_an_agents_tool_and_have_one() -> None:
    below = mathematician()
    below.description = "Multiplies."
    model = ScriptedModel(
        [Step(text=f"Action: thinker\nAction Input: {QUESTION}"), Step(text="Final Answer: done")]
    )
    events = await log_of(ReActAgent("lead", model, tools=[below.as_tool()]))
    inside = [event for event in events if event.agent == "thinker"]
    assert "".join(e.content for e in inside if isinstance(e, Token)) == TEXT
    assert [e.output for e in events if isinstance(e, ToolEnd)] == ["56088", TEXT]
    assert fold(events).text == "done"


async def test_a_conversation_goes_on() -> None:
    first = await mathematician().run(QUESTION)
    agent = agent_on("Final Answer: You are welcome.")
    await agent.run([*first.messages, Message.user("Thanks")])
    (request,) = model_of(agent).requests
    assert [message.text for message in request.messages[3:]] == [
        "Observation: 56088",
        f"Thought: I know it now.\nFinal Answer: {TEXT}",
        "Thanks",
    ]


async def run(agent: Agent) -> Response | str:
    return await agent.run(QUESTION)


async def run_stream(agent: Agent) -> str:
    chunks = [chunk async for chunk in agent.run_stream(QUESTION)]
    assert [chunk.is_final for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert [c.finish_reason for c in chunks if c.finish_reason] == ["tool_calls", "stop"]
    return "".join(chunk.content for chunk in chunks)


async def start(agent: Agent) -> Response | str:
    async with agent.start(QUESTION) as run:
        return await run.result()


async def execute_stream(agent: Agent) -> Response | str:
    channel = Channel[str](100)
    response = await agent.execute_stream(QUESTION, channel)
    assert "".join([piece async for piece in channel]) == TEXT
    return response


async def callback(agent: Agent) -> Response | str:
    got: list[str] = []
    response = await agent.run_callback(QUESTION, got.append)
    assert "".join(got) == TEXT
    return response


async def dispatcher(agent: Agent) -> Response | str:
    hub = EventDispatcher()
    receiver = hub.subscribe()
    watched = ReActAgent(agent.name, agent.model, tools=[calculator], dispatcher=hub)
    response = await watched.run(QUESTION)
    await hub.drain()
    hub.close()
    events = [event async for event in receiver]
    check_events(events)
    assert fold(events).text == TEXT
    return response


async def run_sync(agent: Agent) -> Response | str:
    return await asyncio.to_thread(agent.run_sync, QUESTION)


async def stream_sync(agent: Agent) -> str:
    chunks = await asyncio.to_thread(lambda: list(agent.stream_sync(QUESTION)))
    return "".join(chunk.content for chunk in chunks)


async def submitted(agent: Agent) -> Response | str:
    async with Runtime(agents=[agent]) as runtime:
        return await (await runtime.submit(agent, QUESTION)).result()


async def served(agent: Agent) -> str:
    headers = {"Accept": "text/event-stream"}
    async with serving([agent]) as server:
        url = f"{server.url}/v1/runs"
        async with reading(url, {"input": QUESTION}, headers=headers) as reader:
            events = await reader.events()
    check_events(events)
    assert fold(events).reasoning == THOUGHTS
    return fold(events).text


VIEWS: list[Callable[[Agent], Awaitable[Response | str]]] = [
    *(run, run_stream, start, execute_stream, callback, dispatcher),
    *(run_sync, stream_sync, submitted, served),
]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
async def test_every_view_of_it(view: Callable[[Agent], Awaitable[Response | str]]) -> None:
    agent = mathematician()
    got = await view(agent)
    if isinstance(got, Response):
        assert (got.content, got.finish_reason, got.usage) == (TEXT, "stop", Usage(20, 10))
        assert [call.name for message in got.messages for call in message.tool_calls] == [
            "calculator"
        ]
    else:
        assert got == TEXT
    model_of(agent).assert_consumed()


@dataclass
class Product:
    value: int


@pytest.mark.parametrize(
    "said", ['Action: final_answer\nAction Input: {"value": 42}', 'Final Answer: {"value": 42}']
)
async def test_its_answer_can_be_of_a_type(said: str) -> None:
    response = await agent_on(FIRST, f"Thought: I know.\n{said}", output_type=Product).run(QUESTION)
    assert response.output == Product(42)


def test_what_cannot_be_built() -> None:
    with pytest.raises(UsageError, match="response_format"):
        ReActAgent(model=ScriptedModel(), response_format="json_object")
    with pytest.raises(UsageError, match="response_format"):
        ReActAgent(model=ScriptedModel(), output_type=Product, output_by="schema")
    with pytest.raises(UsageError, match=UNREADABLE):
        ReActAgent(model=ScriptedModel(), tools=[tool(name=UNREADABLE)(lambda: "")])
    with pytest.raises(UsageError, match="max_steps"):
        ReActAgent(model=ScriptedModel(), max_steps=0)
    assert repr(mathematician()).startswith("ReActAgent(name='thinker'")
    assert isinstance(mathematician().with_model(ScriptedModel()), ReActAgent)
