"""The laws of a run's log as a check: order, one end, pairs (laws 1, 2 and 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from headrace.events import (
    TERMINAL,
    AgentEnd,
    AgentStart,
    Approval,
    ApprovalNeeded,
    Event,
    Retract,
    RunStart,
    StepEnd,
    StepStart,
    Thought,
    Token,
    ToolArgs,
    ToolEnd,
    ToolProgress,
    ToolStart,
    type_of,
)


def check_events(events: Iterable[Event]) -> None:
    """Check a whole log, from its first event to its terminal one.

    - `seq` counts from 1 without gaps; `at` never falls (law 1).
    - `run_start` comes first and once; one terminal event comes last (law 2).
    - Each `tool_start` has one `tool_end`, each `step_start` one `step_end`, each `agent_start`
      one `agent_end`, by agent and id; nothing is open at the end (law 4). What an agent below
      the root does lies between its start and its end. A call that waits for a person does not
      run before the `approval`, and no one is answered who did not ask.
    - Text, reasoning and arguments come within a step of their agent; a token's `index` counts
      from 0 within it. (After a `retract` within a step it may begin again.)

    Raises:
        AssertionError: names the event's position, from 0, and what is wrong with it.
    """
    checker = _Checker()
    position = -1
    for position, event in enumerate(events):
        try:
            checker.take(position, event)
        except AssertionError as error:
            raise AssertionError(f"event {position} ({type_of(event)}): {error}") from None
    try:
        checker.end()
    except AssertionError as error:
        raise AssertionError(f"after event {position}, the last: {error}") from None


class Pairs:
    """Laws 2 and 4 over the structural events of one run (any but its content), one at a time.

    It serves whoever is told only of these, such as an observer (`headrace.runs.observer`).

    Args:
        left_open: What was begun or asked before the first event here, as in a run that was taken
            up again.
    """

    def __init__(
        self, left_open: Iterable[StepStart | ToolStart | AgentStart | ApprovalNeeded] = ()
    ) -> None:
        self.ended = False
        self._tools: Counter[tuple[str, str, str]] = Counter()
        self._agents: Counter[tuple[str, str]] = Counter()
        self._steps: dict[str, int] = {}
        self._asked: set[tuple[str, str]] = set()
        for start in left_open:
            self.take(start)

    def take(self, event: Event) -> None:
        """Check the next event.

        Raises:
            AssertionError: says what is wrong with it.
        """
        _expect(not self.ended, "it comes after the terminal event")
        match event:
            case ToolStart() | ToolEnd() | ToolProgress():
                self._tool(event)
            case AgentStart() | AgentEnd():
                self._agent(event)
            case StepStart() | StepEnd():
                self._step(event)
            case ApprovalNeeded() | Approval():
                self._approval(event)
        if isinstance(event, TERMINAL):
            self._nothing_open()
            self.ended = True

    def in_step(self, agent: str) -> bool:
        """Whether a step of this agent runs."""
        return agent in self._steps

    def _nothing_open(self) -> None:
        still = [*(self._tools.elements()), *(self._agents.elements())]
        _expect(not still, f"still open at the end: {still}")
        _expect(not self._steps, f"still open at the end: steps {self._steps}")

    def _tool(self, event: ToolStart | ToolEnd | ToolProgress) -> None:
        call = (event.agent, event.call_id)
        match event:
            case ToolStart():
                self._inside(event.agent)
                _expect(call not in self._asked, f"call {event.call_id} waits for an approval")
                self._tools[*call, event.name] += 1
            case ToolEnd():
                _expect(self._tools[*call, event.name] > 0, f"there is no start of {event.call_id}")
                self._tools[*call, event.name] -= 1
            case ToolProgress():
                running = any(n and key[:2] == call for key, n in self._tools.items())
                _expect(running, f"call {event.call_id} is not running")

    def _agent(self, event: AgentStart | AgentEnd) -> None:
        key = (event.agent, event.name)
        if isinstance(event, AgentStart):
            self._agents[key] += 1
            return
        _expect(self._agents[key] > 0, f"there is no start of {key}")
        self._agents[key] -= 1
        left = [path for path in self._running() if _within(path, event.agent)]
        _expect(not left or self._open(event.agent), f"still open in {event.agent!r}: {left}")

    def _step(self, event: StepStart | StepEnd) -> None:
        running = self._steps.get(event.agent)
        if isinstance(event, StepEnd):
            _expect(running == event.step, f"step {event.step} ends, but {running} runs")
            del self._steps[event.agent]
            return
        self._inside(event.agent)
        _expect(running is None, f"step {running} has not ended")
        _expect(event.step >= 1, f"steps count from 1, not {event.step}")
        self._steps[event.agent] = event.step

    def _approval(self, event: ApprovalNeeded | Approval) -> None:
        call = (event.agent, event.call_id)
        if isinstance(event, ApprovalNeeded):
            _expect(call not in self._asked, f"call {event.call_id} waits already")
            self._asked.add(call)
        else:
            _expect(call in self._asked, f"call {event.call_id} waits for no approval")
            self._asked.discard(call)

    def _inside(self, agent: str) -> None:
        _expect(not agent or self._open(agent), f"agent {agent!r} has not begun, or has ended")

    def _open(self, agent: str) -> bool:
        return any(count and path == agent for (path, _), count in self._agents.items())

    def _running(self) -> list[str]:
        """The paths of what is open."""
        tools = (agent for (agent, _, _), count in self._tools.items() if count)
        agents = (agent for (agent, _), count in self._agents.items() if count)
        return [*self._steps, *tools, *agents]


class _Checker:
    def __init__(self) -> None:
        self._pairs = Pairs()
        self._at = float("-inf")
        self._index: dict[str, int] = {}
        self._restart: set[str] = set()

    def take(self, position: int, event: Event) -> None:
        _expect(not self._pairs.ended, "it comes after the terminal event")
        _expect(event.seq == position + 1, f"seq is {event.seq}, not {position + 1}")
        _expect(event.at >= self._at, f"at falls from {self._at} to {event.at}")
        first = isinstance(event, RunStart)
        _expect(first == (position == 0), "run_start is the first event, and no other is")
        self._at = event.at
        self._pairs.take(event)
        match event:
            case StepStart():
                self._index[event.agent] = 0
                self._restart.discard(event.agent)
            case Retract():
                self._restart.add(event.agent)
            case Token() | Thought() | ToolArgs():
                self._content(event)

    def end(self) -> None:
        _expect(self._pairs.ended, "there is no terminal event")

    def _content(self, event: Token | Thought | ToolArgs) -> None:
        _expect(self._pairs.in_step(event.agent), f"no step of {event.agent!r} runs")
        if isinstance(event, Token):
            index = self._index[event.agent]
            again = event.index == 0 and event.agent in self._restart
            _expect(event.index == index or again, f"index is {event.index}, not {index}")
            self._restart.discard(event.agent)
            self._index[event.agent] = event.index + 1


def _within(path: str, agent: str) -> bool:
    return path == agent or path.startswith(agent + "/")


def _expect(holds: bool, why: str) -> None:
    if not holds:
        raise AssertionError(why)
