"""Who has the floor in a loop: its agent, until it hands the conversation over to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec

from headrace.agents.calls import CallSettings
from headrace.errors import AgentUnknown
from headrace.events import AgentEnd, AgentStart, Event
from headrace.messages import Message, Text, ToolCall, ToolResult
from headrace.runs.writer import Writer

if TYPE_CHECKING:
    from headrace.agents.drive import Plan


@runtime_checkable
class HandsOver(Protocol):
    """A tool whose call, once it has succeeded, gives the conversation to another agent."""

    @property
    def name(self) -> str:
        """The tool's name."""
        ...

    @property
    def to(self) -> str:
        """The other agent's name."""
        ...

    @property
    def tools_of_next(self) -> Mapping[str, Any]:
        """The other agent's tools."""
        ...

    def plan_of_next(self, calls: CallSettings, path: str) -> Plan:
        """The other agent's plan, as a part of the same run.

        Args:
            calls: Of the agent that hands over.
            path: Of both: the other one speaks where the first one did.
        """
        ...


class Floor:
    """Whose turn it is in one loop.

    An agent that takes over speaks under the path of the one before; `agent_start` and
    `agent_end` with that path tell who it is.

    Args:
        plan: Of the agent that begins.
        writer: The run's.
        messages: The conversation so far. Where it has hand-offs in it that this run made, whoever
            had it goes on.
        said: How many messages the run began with.

    Attributes:
        plan: Of who has the floor.
        since: How many messages were there when it took over; 0 for the agent that began.

    Raises:
        AgentUnknown: an agent that the conversation was handed over to is here no longer.
    """

    def __init__(
        self, plan: Plan, writer: Writer, messages: Sequence[Message] = (), said: int = 0
    ) -> None:
        self.plan = plan
        self.since = 0
        self._writer = writer
        self._steps = 0
        self._before: tuple[Message, ...] = ()
        self._names = _names(plan.calls.tools)
        self._start = None if plan.agent else _open(writer)
        self._had: list[tuple[str, str]] = []  # name and task of each that took over
        steps = 0
        for place, message in enumerate(messages[said:], said + 1):
            steps += message.role == "assistant"
            if message.role == "tool" and place >= 2:
                self._follow(messages[:place], steps)
        self._take_up()

    @property
    def max_steps(self) -> int:
        """The number of the last step that may be: each agent has as many as it is made for."""
        return self._steps + self.plan.max_steps

    def steps(self, step: int) -> int:
        """How many of the loop's `step` steps were made by who has the floor."""
        return step - self._steps

    def conversation(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The conversation as who has the floor sees it."""
        return (*self._before, *messages[self.since :]) if self.since else messages

    @property
    def speaker(self) -> str:
        """The model of who took over, for its steps' ends; empty for the agent that began."""
        return self.plan.model.name if self.since else ""

    def passed(self, messages: Sequence[Message], step: int) -> bool:
        """Whether the tools that just answered have handed over; then all here is the next one's.

        Args:
            messages: The conversation, the tools' answers last.
            step: Model calls that have ended.
        """
        if not self._follow(messages, step):
            return False
        self.end("")
        return True

    def speak(self) -> None:
        """Whoever has the floor is about to say something: tell who it is, once."""
        if self._start is None and self._had:
            self._start = self._writer.put(AgentStart, self.plan.agent, *self._had[-1])

    def end(self, output: str, error: str | None = None) -> None:
        """Whoever took over has ended; nothing for the agent that began."""
        start, self._start = self._start, None
        if start is not None and not self._writer.closed:
            from headrace.tools.execute import MAX_RESULT  # few runs are handed over
            from headrace.tools.output import cut

            output = cut(output, MAX_RESULT)
            took = round((self._writer.now() - start.at) * 1e3, 3)
            self._writer.put(AgentEnd, start.agent, start.name, output, took, error)

    def _follow(self, messages: Sequence[Message], step: int) -> bool:
        """Go over to whom the last message's results hand over, if to anyone."""
        found = handed_over(messages[-2], messages[-1], self.plan.calls.tools)
        if found is None:
            return False
        tool, call = found
        plan = self.plan
        following = tool.plan_of_next(plan.calls, plan.agent)
        self.plan = following if plan.output is None else plan.output.of_next(following)
        plan.calls.nest.handed_over(plan.agent)
        self._had.append((tool.to, _task(call)))
        self._names |= _names(self.plan.calls.tools)
        self._steps, self.since = step, len(messages)
        self._before = as_told(messages, self._names, _task(call))
        return True

    def _take_up(self) -> None:
        """See to it that who had the floor when the run was interrupted is who has it now."""
        *before, now = ["", *(name for name, _ in self._had)]
        if self._start is None or self._start.name == now:
            return
        if self._start.name not in before:
            raise AgentUnknown(
                f"The conversation was handed over to {self._start.name!r}, and no such agent is "
                "here to go on with it.",
                hint="Start it again.",
            )
        self.end("")  # the process was lost in the very moment in which it handed over


def handed_over(
    asked: Message, answered: Message, tools: Mapping[str, Any]
) -> tuple[HandsOver, ToolCall] | None:
    """The call that hands the conversation over, if one of a step's calls does.

    Args:
        asked: The step's message.
        answered: The results of its calls.
        tools: Of the agent that asked.
    """
    calls = {call.id: call for call in asked.tool_calls}
    for result in answered.content:
        if isinstance(result, ToolResult) and not result.is_error and result.call_id in calls:
            tool = tools.get(result.name)
            if isinstance(tool, HandsOver):
                return tool, calls[result.call_id]
    return None


def tools_of_speaker(tools: Mapping[str, Any], events: Sequence[Event]) -> Mapping[str, Any]:
    """The tools of the agent that has a run's conversation, by its log.

    Args:
        tools: Of the run's own agent.
        events: The log so far.
    """
    for event in events:
        if isinstance(event, AgentStart) and not event.agent:
            passes = (tool for tool in tools.values() if isinstance(tool, HandsOver))
            following = next((tool for tool in passes if tool.to == event.name), None)
            tools = {} if following is None else following.tools_of_next
    return tools


def as_told(
    messages: Sequence[Message], handoffs: frozenset[str] = frozenset(), task: str = ""
) -> tuple[Message, ...]:
    """A conversation as it is told to an agent that takes it over.

    What people and agents said stays as it is. Calls of tools become words: the one who takes over
    may not have these tools, and a provider refuses calls that it was not told of, whose results
    are missing, or that bear another model's signature. The last message is a person's.

    Args:
        messages: All that was said and done.
        handoffs: Names of tools that hand over; their calls are left out.
        task: What the agent before asks the next one to do.
    """
    told: list[Message] = []
    calls: dict[str, ToolCall] = {}
    for message in messages:
        if message.role == "assistant":
            calls = {call.id: call for call in message.tool_calls}
            _answer(told, message.text)
        elif message.role == "tool":
            results = [part for part in message.content if isinstance(part, ToolResult)]
            notes = [_note(each, calls) for each in results if each.name not in handoffs]
            _say(told, *notes)
        else:
            told.append(message)
    asked = f" You are asked: {task}" if task.strip() else ""
    _say(told, f"[The conversation was handed over to you; answer it from here on.{asked}]")
    return tuple(told)


def _answer(told: list[Message], text: str) -> None:
    """Add what an agent said, to what one said just before, where nothing else came between."""
    if not text.strip():
        return
    if told and told[-1].role == "assistant":
        told[-1] = Message.assistant(*told[-1].content, f"\n\n{text}")
    else:
        told.append(Message.assistant(text))


def _say(told: list[Message], *notes: str) -> None:
    """Add notes to the person's message that is last: some servers refuse two in a row."""
    if not notes:
        return
    if told and told[-1].role == "user":
        last = told.pop()
        # As parts of their own; a blank line where a server joins them.
        told.append(Message("user", (*last.content, *(Text(f"\n\n{note}") for note in notes))))
    else:
        told.append(Message.user("\n\n".join(notes)))


def _note(result: ToolResult, calls: Mapping[str, ToolCall]) -> str:
    call = calls.get(result.call_id)
    asked = f" with {call.arguments}" if call is not None else ""
    gave = "failed" if result.is_error else "gave"
    return f"[Before: the tool {result.name} was called{asked} and {gave}: {result.output}]"


def _names(tools: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name, tool in tools.items() if isinstance(tool, HandsOver))


def _open(writer: Writer) -> AgentStart | None:
    """Who had the floor when the run was interrupted."""
    return next(
        (each for each in writer.open if isinstance(each, AgentStart) and not each.agent), None
    )


def _task(call: ToolCall) -> str:
    """The task that was handed over; the call has succeeded, so its arguments are JSON."""
    try:
        value = msgspec.json.decode(call.arguments or "{}")
    except msgspec.DecodeError:
        return ""
    return str(value.get("task", "")) if isinstance(value, dict) else ""
