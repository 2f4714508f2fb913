"""Each kind of agent with one short run of it, and the events that it promises.

The tables of docs/agents.md are made of this (`kinds_table.py`);
`tests/docs/test_agents_table.py` runs each kind through each view, and compares.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace import Agent, ConversationalAgent, Message, Network, ReActAgent, tool
from headrace.agents.budgets import Budget
from headrace.agents.guards import Said, Withdraw, block, redact
from headrace.agents.memory import summary
from headrace.providers.demo.tools import calculator
from headrace.testing import ScriptedModel, Step

QUESTION = "Go"
SERVER = Path(__file__).parents[1] / "tools" / "mcp" / "offering.py"

PRIVATE = "run", "run_stream", "execute_stream", "run_callback", "run_sync", "stream_sync"
"""Views that have their run for themselves: no one else sees it, so no one can be asked in it."""
NO_WAY_BACK = "run_stream", "execute_stream", "run_callback", "stream_sync"
"""Views that give text away and cannot take it back."""


@dataclass(frozen=True)
class Unlike:
    """How a kind differs in some views.

    Attributes:
        views: Which.
        why: Said in the table's note.
        promise: The events there, as in `Kind`; None for the same ones.
        content: What the answer is there; None for the same.
    """

    views: tuple[str, ...]
    why: str
    promise: str | None = None
    content: str | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of agent.

    Attributes:
        name: Its row and column.
        short: Its column's heading.
        make: Gives a new agent with a script.
        promise: The types of its run's events in their order; neighbours of one type once.
        content: The answer.
        history: What was said before.
        approves: Whether its calls wait for a person; the tests say yes.
        unlike: Where views differ.
    """

    name: str
    short: str
    make: Callable[[], AbstractAsyncContextManager[Agent[Any]]]
    promise: str
    content: str
    history: tuple[Message, ...] = ()
    approves: bool = False
    unlike: tuple[Unlike, ...] = field(default=())


Made = Callable[[], "Agent[Any]"]


def simply(make: Made) -> Callable[[], AbstractAsyncContextManager[Agent[Any]]]:
    """Of a function that gives an agent."""

    @asynccontextmanager
    async def made() -> AsyncIterator[Agent[Any]]:
        yield make()

    return made


def cut(text: str) -> list[str]:
    """Text in pieces that no mark of a format fits into."""
    return [text[i : i + 3] for i in range(0, len(text), 3)]


@tool
async def look(query: str) -> AsyncGenerator[str]:
    """Look something up."""
    yield "looking"
    yield "found"


@tool(approval=True)
def order(what: str) -> str:
    """Order something."""
    return f"ordered {what}"


def script(*steps: Step) -> ScriptedModel:
    return ScriptedModel(list(steps))


def calls(name: str, **arguments: Any) -> Step:
    return Step(tool_calls=[(name, arguments)])


def helper() -> Agent:
    return Agent("helper", script(Step(["It ", "is."])), description="Helps.")


def plain() -> Agent:
    step = Step(["Let me ", "look. "], ["I do ", "not know."], [("look", {"query": "x"})])
    return Agent("plain", script(step, Step(["Here ", "it is."])), tools=[look])


def react() -> Agent:
    acts = "Thought: I multiply.\nAction: calculator\nAction Input: 123 * 456\n"
    ends = "Thought: I know.\nFinal Answer: It is 56088."
    return ReActAgent("react", script(Step(cut(acts)), Step(cut(ends))), tools=[calculator])


def conversational() -> Agent:
    memory = summary(keep=1, every=1, show=True)
    model = script(Step(["Ada ", "wants tea."]), Step(["Your name ", "is Ada."]))
    return ConversationalAgent("memory", model, memory=memory)


def asking() -> Agent:
    model = script(calls("helper", task="Is it?"), Step(["It ", "is."]))
    return Network("asking", model, agents=[helper()])


def handing() -> Agent:
    return Network("handing", script(calls("transfer_to_helper", task="x")), handoffs=[helper()])


def with_tool() -> Agent:
    model = script(calls("helper", task="Is it?"), Step(["Yes, ", "it is."]))
    return Agent("above", model, tools=[helper().as_tool()])


def typed() -> Agent:
    model = script(Step(['{"result": [1', ", 2]}"]))
    return Agent("typed", model, output_type=list[int], output_by="schema")


def typed_again() -> Agent:
    wrong, right = Step(['{"result": ["ma', 'ny"]}']), Step('{"result": [1]}')
    return Agent("typed", script(wrong, right), output_type=list[int], output_by="schema")


def asked_first() -> Agent:
    model = script(calls("order", what="a wheel"), Step(["Thank ", "you."]))
    return Agent("asked-first", model, tools=[order])


def guarded() -> Agent:
    guards = [redact(r"wheel-\d+"), block("drop table", "No tables are dropped.")]
    model = script(Step(["It is whe", "el-47. Now drop", " table x"]))
    return Agent("guarded", model, guards=guards)


def judged() -> Agent:
    def polite(said: Said) -> Withdraw | None:
        return Withdraw("rude", "Be polite.") if "fool" in said.text else None

    return Agent("judged", script(Step(["You ", "fool"]), Step(["My ", "dear"])), guards=[polite])


def thrifty() -> Agent:
    model = script(calls("look", query="x"), calls("look", query="y"))
    return Agent("thrifty", model, tools=[look], budget=Budget(tools=1))


@asynccontextmanager
async def with_mcp() -> AsyncIterator[Agent]:
    from headrace.tools.mcp import mcp_tools, stdio

    async with mcp_tools(stdio(sys.executable, SERVER), only=["count"]) as tools:
        model = script(calls("count", to=2), Step(["Two, ", "it says."]))
        yield Agent("mcp", model, tools=[*tools])


STEP = "step_start token step_end"
CALL = "step_start tool_args step_end tool_start"
END = "answer complete"
BELOW = f"agent_start {STEP} agent_end"

KINDS = [
    Kind(
        "`Agent` with tools",
        "tools",
        simply(plain),
        "run_start step_start thought token tool_args step_end "
        f"tool_start tool_progress tool_end {STEP} {END}",
        "Let me look. Here it is.",
    ),
    Kind(
        "`ReActAgent`",
        "ReAct",
        simply(react),
        "run_start step_start thought tool_args step_end tool_start tool_end "
        f"step_start thought token step_end {END}",
        "It is 56088.",
    ),
    Kind(
        "`ConversationalAgent`, summary shown",
        "memory",
        simply(conversational),
        f"run_start step_start thought token step_end {END}",
        "Your name is Ada.",
        history=(Message.user("I am Ada. Tea!"), Message.assistant("Hello.")),
    ),
    Kind(
        "`Network` that asks",
        "asks",
        simply(asking),
        f"run_start {CALL} {BELOW} tool_end {STEP} {END}",
        "It is.",
    ),
    Kind(
        "`Network` that hands over",
        "hands over",
        simply(handing),
        f"run_start {CALL} tool_end agent_start {STEP} agent_end {END}",
        "It is.",
    ),
    Kind(
        "agent as a tool",
        "as tool",
        simply(with_tool),
        f"run_start {CALL} {BELOW} tool_end {STEP} {END}",
        "Yes, it is.",
    ),
    Kind(
        "`output_type`",
        "typed",
        simply(typed),
        f"run_start step_start token partial step_end {END}",
        '{"result": [1, 2]}',
    ),
    Kind(
        "`output_type`, asked again",
        "asked again",
        simply(typed_again),
        "run_start step_start token partial step_end warning retract "
        f"step_start token step_end partial {END}",
        '{"result": [1]}',
        unlike=(
            Unlike(
                NO_WAY_BACK,
                "text cannot be taken back: the error `invalid_output`",
                "run_start step_start token partial step_end error",
                '{"result": ["many"]}',
            ),
        ),
    ),
    Kind(
        "approval",
        "approval",
        simply(asked_first),
        "run_start step_start tool_args step_end approval_needed approval "
        f"tool_start tool_end {STEP} {END}",
        "Thank you.",
        approves=True,
        unlike=(
            Unlike(PRIVATE, "no one else can be asked: without `on_approval` the call is denied"),
        ),
    ),
    Kind(
        "`redact`, `block`",
        "guards",
        simply(guarded),
        f"run_start step_start token warning step_end {END}",
        "It is [redacted]. Now ",
    ),
    Kind(
        "`judge`",
        "judge",
        simply(judged),
        f"run_start {STEP} warning retract {STEP} {END}",
        "My dear",
        unlike=(
            Unlike(
                NO_WAY_BACK,
                "text cannot be taken back: the error `guard`",
                f"run_start {STEP} error",
                "You fool",
            ),
        ),
    ),
    Kind(
        "`budget`",
        "budget",
        simply(thrifty),
        f"run_start {CALL} tool_progress tool_end step_start tool_args step_end error",
        "",
    ),
    Kind(
        "MCP tools",
        "MCP",
        with_mcp,
        f"run_start {CALL} tool_progress tool_end {STEP} {END}",
        "Two, it says.",
    ),
]
