"""How a run that lost its owner goes on: what its log says, and what is written first.

Text of an unfinished step is withdrawn and the step asked again. Tools that have ended never run
again. A tool that was running runs again only where it is idempotent; else it ends with the error
``outcome unknown``, and the model deals with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from headrace.agents.past import Past, last_finish, past_of
from headrace.events import (
    AgentEnd,
    AgentStart,
    Event,
    Retract,
    StepEnd,
    StepStart,
    Thought,
    Token,
    ToolArgs,
    ToolStart,
    Warn,
)
from headrace.messages import Message
from headrace.runs.sessions import Said
from headrace.runs.writer import Writer
from headrace.text import TextBuffer

OUTCOME_UNKNOWN = "outcome unknown"
"""The error of a tool that was running when its process was lost: it may have done its work."""

Start = StepStart | ToolStart | AgentStart


class Broken(Struct, frozen=True):
    """What was begun when the run was interrupted.

    Attributes:
        again: Tools that run again.
        lost: What must be ended, oldest first.
        since: The first seq to withdraw, None where nothing of a step was shown.
    """

    again: tuple[ToolStart, ...]
    lost: tuple[Start, ...]
    since: int | None


def broken(
    events: Sequence[Event], open: Sequence[Start], is_idempotent: Callable[[str], bool]
) -> Broken:
    """Sort what is open. Pure.

    Args:
        events: The whole log.
        open: What was begun and has not ended, oldest first.
        is_idempotent: Of a tool, by its name.
    """
    since = _withdrawn_from(events)
    # A tool of a step that has not ended well was begun early: it goes with the step.
    again = tuple(
        start
        for start in open
        if isinstance(start, ToolStart)
        and not start.agent
        and since is None
        and is_idempotent(start.name)
    )
    lost = tuple(start for start in open if start not in again and not _has_floor(start))
    return Broken(again, lost, since)


def _has_floor(start: Start) -> bool:
    """Whether it is that of an agent which took the conversation over: it goes on with it."""
    return isinstance(start, AgentStart) and not start.agent


def _withdrawn_from(events: Sequence[Event]) -> int | None:
    """The first seq of a last step that did not end well, if it has shown something still."""
    shown = False
    for event in reversed(events):
        if event.agent:
            continue
        match event:
            case StepStart():
                return event.seq + 1 if shown else None
            case Retract():
                return None
            case StepEnd() if event.finish_reason not in ("error", "cancelled"):
                return None
            case Token() | Thought() | ToolArgs() | ToolStart():
                shown = True
    return None


def take_up(
    events: Sequence[Event],
    said: Sequence[Message],
    writer: Writer,
    account: Said,
    is_idempotent: Callable[[str], bool],
    *,
    goes_on: bool = True,
) -> Past:
    """Write what the interruption left open, and tell where to go on.

    Args:
        events: The whole log so far.
        said: The conversation before the run, and its input.
        writer: The run's new writer; its account is restored here.
        account: An empty one; from here on it knows every structural event of the run.
        is_idempotent: Of a tool, by its name.
        goes_on: Whether the run does; one that only gets its end keeps the text that was shown.
    """
    for event in events:
        account.add(event)
    writer.restore(events)
    writer.on_event = account.add
    found = broken(events, writer.open, is_idempotent)
    what = "goes on" if goes_on else "ends it"
    writer.put(Warn, "", "recovered", f"The process that ran this was lost; another {what}.")
    writer.close_open(OUTCOME_UNKNOWN, found.lost if goes_on else None)
    if found.since is not None and goes_on:
        writer.put(Retract, "", found.since, "recovered")
    state = account.folder.state()
    writer.text = TextBuffer()
    writer.text.append(state.text)
    done = state.messages[: len(state.messages) - len(writer.inputs)]
    finish, steps = last_finish(events)
    again = frozenset(start.call_id for start in found.again)
    agents = [event for event in events if isinstance(event, AgentStart | AgentEnd)]
    return past_of(said, done, finish, steps, again, agents)
