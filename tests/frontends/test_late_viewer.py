"""Screens that are shown a run from its middle on: what they have not seen breaks none of them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from headrace.events import (
    AgentEnd,
    AgentStart,
    Answer,
    Approval,
    ApprovalNeeded,
    Complete,
    Event,
    Input,
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
    Warn,
)
from headrace.frontends.plain import JSONScreen, PlainScreen, ProgressScreen
from headrace.frontends.terminal import TerminalScreen
from headrace.frontends.viewing import Screen
from headrace.messages import Message
from headrace.usage import Metrics, Timing, Usage

ENDED = (1, "tool_calls", Usage(), Timing(1.0), Message.assistant("Half."))
LOG: list[Event] = [
    RunStart(1, 1.0, "", "run_1", "a", "m"),
    StepStart(2, 1.0, "", 1, "m"),
    Thought(3, 1.0, "", "Hm."),
    Token(4, 1.0, "", "Half", 0),
    Retract(5, 1.0, "", 3, "stall"),
    Token(6, 1.0, "", "Half.", 0),
    ToolArgs(7, 1.0, "", "c", "look", "{}"),
    StepEnd(8, 1.0, "", *ENDED),  # type: ignore[arg-type]
    ToolStart(9, 1.0, "", "c", "look", {}),
    ApprovalNeeded(10, 1.0, "", "d", "buy", {}),
    ToolProgress(11, 1.0, "", "c", "looking"),
    AgentStart(12, 1.0, "", "helper", "help"),
    Input(13, 1.0, "", "Quick!"),
    Approval(14, 1.0, "", "d", True),
    AgentEnd(15, 1.0, "", "helper", "helped", 1.0),
    ToolEnd(16, 1.0, "", "c", "look", "seen", 1.0),
    Warn(17, 1.0, "", "slow", "It is slow."),
    StepStart(18, 1.0, "", 2, "m"),
    Token(19, 1.0, "", " The end.", 0),
    Retract(20, 1.0, "", 4, "guard"),
    Token(21, 1.0, "", "Whole.", 0),
    StepEnd(22, 1.0, "", 2, "stop", Usage(), Timing(1.0), Message.assistant("Whole.")),
    Answer(23, 1.0, "", "Whole."),
    Complete(24, 1.0, "", "stop", Usage(1, 1), Metrics()),
]


@pytest.mark.parametrize("after", range(len(LOG)))
def test_every_screen_shows_the_rest_from_any_event_on(after: int) -> None:
    plain, told, drawn = io.StringIO(), io.StringIO(), io.StringIO()
    console = Console(file=drawn, force_terminal=True, color_system=None, width=80, height=24)
    screens: list[Screen] = [
        PlainScreen(plain, io.StringIO()),
        JSONScreen(told),
        ProgressScreen(io.StringIO()),
        TerminalScreen(console),
    ]
    for screen in screens:
        for event in LOG[after:]:
            screen.add([event])
            screen.tick()
        screen.close()
    assert len(told.getvalue().splitlines()) == len(LOG) - after
    if after < 21:
        assert plain.getvalue().endswith("Whole.\n")
        assert "Whole." in drawn.getvalue()
