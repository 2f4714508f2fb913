"""Where the loop of an interrupted run goes on: pure, from its log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from headrace.agents.next_step import State
from headrace.events import AgentEnd, AgentStart, Event, FinishReason, Retract, StepEnd
from headrace.messages import Message, ToolResult
from headrace.models.assembler import Turn


class Past(Struct, frozen=True):
    """What an interrupted run has done.

    Attributes:
        state: Where its loop stands.
        results: Results of the last turn's calls that have ended, by call id.
        begun: Ids of calls that had begun and shall run again under the same `tool_start`.
        said: How many messages the run began with.
        agents: The starts and ends of the agents that the run had called.
    """

    state: State
    results: Mapping[str, ToolResult] = {}
    begun: frozenset[str] = frozenset()
    said: int = 0
    agents: tuple[AgentStart | AgentEnd, ...] = ()


def past_of(
    said: Sequence[Message],
    done: Sequence[Message],
    finish: FinishReason | None,
    steps: int,
    begun: frozenset[str] = frozenset(),
    agents: Iterable[AgentStart | AgentEnd] = (),
) -> Past:
    """Where to go on.

    Args:
        said: The conversation before the run, and its input.
        done: What the run has added to it (`RunState.messages`).
        finish: How its last good step ended, None when there was none.
        steps: How many good steps there were.
        begun: Calls of the last step that had begun and shall run again.
        agents: The starts and ends of the agents that the run had called.
    """
    past = Past(State((*said, *done), steps), said=len(said), agents=tuple(agents))
    done = list(done)
    results: tuple[ToolResult, ...] = ()
    if done and done[-1].role == "tool":
        results = tuple(part for part in done.pop().content if isinstance(part, ToolResult))
    if not (done and done[-1].role == "assistant" and finish):
        return replace(past, state=State((*said, *done), steps))
    last = done[-1]
    known = {result.call_id: result for result in results}
    if finish == "tool_calls" and all(call.id in known for call in last.tool_calls):
        return replace(past, state=State((*said, *done, Message.tool(*results)), steps))
    state = State((*said, *done), steps, _turn(last, finish))
    return replace(past, state=state, results=known, begun=begun)


def last_finish(events: Sequence[Event]) -> tuple[FinishReason | None, int]:
    """How the root agent's last good step ended, and how many good steps there were."""
    ends: list[StepEnd] = []
    for event in events:
        if isinstance(event, Retract) and not event.agent:
            ends = [end for end in ends if end.seq < event.since]
        elif isinstance(event, StepEnd) and not event.agent:
            ends.append(event)
    good = [end for end in ends if end.finish_reason not in ("error", "cancelled")]
    return (good[-1].finish_reason if good else None), len(good)


def _turn(message: Message, finish: FinishReason) -> Turn:
    return Turn(
        text=message.text,
        reasoning="",
        tool_calls=message.tool_calls,
        finish_reason=finish,
        usage=None,
        error=None,
        message=message,
    )
