"""An agent whose runs are what a test writes: events that no agent of ours writes yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from headrace import Agent
from headrace import events as e
from headrace.messages import Message
from headrace.runs.log import RunLog
from headrace.runs.run import Outcome, Run, RunInfo
from headrace.runs.writer import Writer
from headrace.testing import ScriptedModel
from headrace.usage import Timing, Usage

Act = Callable[[Writer], Awaitable[object]]

MESSAGE = Message.assistant("Hello")


class Written(Agent):
    """Writes what the test wants to have in the log."""

    def __init__(self, act: Act) -> None:
        super().__init__("written", ScriptedModel())
        self._act = act

    def make_run(
        self,
        messages: Sequence[Message],
        *,
        session: str | None = None,
        log: RunLog | None = None,
        id: str | None = None,
        **_: Any,
    ) -> Run:
        """A run that does no more than the test's act."""

        async def driver(writer: Writer) -> Outcome:
            writer.put(e.StepStart, "", 1, "scripted:one")
            await self._act(writer)
            writer.put(e.StepEnd, "", 1, "stop", Usage(3, 2), Timing(1.0, 2.0), MESSAGE)
            return Outcome("stop", (*messages, MESSAGE))

        info = RunInfo(self.name, "scripted:one", session)
        assert id is not None
        return Run(driver, info, log=log, id=id)


def say(writer: Writer, agent: str, text: str) -> None:
    """A piece of an agent's text."""
    writer.put(e.Token, agent, text, 0)


def ask_person(writer: Writer, *calls: str) -> None:
    """Calls of `delete_file` that wait for a person."""
    for call in calls:
        writer.put(e.ApprovalNeeded, "", call, "delete_file", {"path": f"notes/{call}"})


def begin_looker(writer: Writer) -> None:
    """A sub-agent at work."""
    writer.put(e.AgentStart, "router/looker", "looker", "Look for it")
    writer.put(e.StepStart, "router/looker", 1, "scripted:two")
    say(writer, "router/looker", "I am looking")


def end_looker(writer: Writer) -> None:
    """It has found something."""
    message = Message.assistant("I am looking")
    writer.put(e.StepEnd, "router/looker", 1, "stop", Usage(1, 1), Timing(1.0, 1.0), message)
    writer.put(e.AgentEnd, "router/looker", "looker", "Found", 5.0, None)
