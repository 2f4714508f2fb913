"""The laws of a run's log as a check: order, one end, pairs (laws 1, 2 and 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

from headrace.events import (
    TERMINAL,
    AgentEnd,
    AgentStart,
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
      one `agent_end`, by agent and id; nothing is open at the end (law 4).
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


class _Checker:
    def __init__(self) -> None:
        self._at = float("-inf")
        self._ended = False
        self._open: Counter[Hashable] = Counter()
        self._steps: dict[str, int] = {}
        self._index: dict[str, int] = {}
        self._restart: set[str] = set()

    def take(self, position: int, event: Event) -> None:
        _expect(not self._ended, "it comes after the terminal event")
        _expect(event.seq == position + 1, f"seq is {event.seq}, not {position + 1}")
        _expect(event.at >= self._at, f"at falls from {self._at} to {event.at}")
        first = isinstance(event, RunStart)
        _expect(first == (position == 0), "run_start is the first event, and no other is")
        self._at = event.at
        if isinstance(event, TERMINAL):
            self._nothing_open()
            self._ended = True
        else:
            self._pairs(event)
            self._step(event)
            self._content(event)

    def end(self) -> None:
        _expect(self._ended, "there is no terminal event")

    def _nothing_open(self) -> None:
        still = [key for key, count in self._open.items() if count]
        _expect(not still, f"still open at the end: {still}")
        _expect(not self._steps, f"still open at the end: steps {self._steps}")

    def _pairs(self, event: Event) -> None:
        match event:
            case ToolStart():
                self._open["tool", event.agent, event.call_id, event.name] += 1
            case ToolEnd():
                self._close("tool", event.agent, event.call_id, event.name)
            case AgentStart():
                self._open["agent", event.agent, event.name] += 1
            case AgentEnd():
                self._close("agent", event.agent, event.name)
            case ToolProgress():
                running = any(
                    count and key[:3] == ("tool", event.agent, event.call_id)
                    for key, count in self._open.items()
                    if isinstance(key, tuple)
                )
                _expect(running, f"call {event.call_id} is not running")

    def _close(self, *key: Hashable) -> None:
        _expect(self._open[key] > 0, f"there is no start of {key}")
        self._open[key] -= 1

    def _step(self, event: Event) -> None:
        match event:
            case StepStart():
                running = self._steps.get(event.agent)
                _expect(running is None, f"step {running} has not ended")
                _expect(event.step >= 1, f"steps count from 1, not {event.step}")
                self._steps[event.agent] = event.step
                self._index[event.agent] = 0
                self._restart.discard(event.agent)
            case StepEnd():
                running = self._steps.pop(event.agent, None)
                _expect(running == event.step, f"step {event.step} ends, but {running} runs")
            case Retract():
                self._restart.add(event.agent)

    def _content(self, event: Event) -> None:
        if not isinstance(event, Token | Thought | ToolArgs):
            return
        _expect(event.agent in self._steps, f"no step of {event.agent!r} runs")
        if isinstance(event, Token):
            index = self._index[event.agent]
            again = event.index == 0 and event.agent in self._restart
            _expect(event.index == index or again, f"index is {event.index}, not {index}")
            self._restart.discard(event.agent)
            self._index[event.agent] = event.index + 1


def _expect(holds: bool, why: str) -> None:
    if not holds:
        raise AssertionError(why)
