"""What an explanation holds: where the time of a run went, in whole microseconds."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from headrace.telemetry.explain_timeline import Kind
from headrace.usage import Usage


class Gap(Struct, frozen=True):
    """A silence in mid-answer.

    Attributes:
        at_us: When it began, from the run's begin.
        us: How long it was.
        step: In which step.
        agent: Of which agent.
    """

    at_us: int
    us: int
    step: int
    agent: str = ""


class StepTime(Struct, frozen=True):
    """Where one model call's time went: the three add up to it.

    Attributes:
        step: Its number.
        agent: Path of the agent that asked.
        model: Who answered, or who was asked.
        at_us: When it began, from the run's begin.
        waiting_us: Until its first content, tries that failed before it left out.
        streaming_us: From the first content to the end.
        lost_us: Tries that failed before any content; the whole call where it was withdrawn.
        gaps: Silences in it over the threshold.
        gap_us: These together.
        held_us: How long the run's own log held it up, a part of the above.
        output: Generated tokens.
        finish_reason: None while it goes on.
        withdrawn: Whether it counts no more.
    """

    step: int
    agent: str
    model: str
    at_us: int
    waiting_us: int
    streaming_us: int
    lost_us: int
    gaps: int
    gap_us: int
    held_us: int
    output: int
    finish_reason: str | None
    withdrawn: bool


class ToolTime(Struct, frozen=True):
    """What the calls of one tool took.

    Attributes:
        name: The tool.
        calls: How many.
        failed: How many of them ended with an error.
        us: Time in which at least one of them ran.
        longest_us: The longest call.
    """

    name: str
    calls: int
    failed: int
    us: int
    longest_us: int


class InTurn(Struct, frozen=True):
    """Several calls that one answer asked for, and that never ran side by side.

    Attributes:
        step: Which step asked for them.
        agent: Of which agent.
        calls: How many.
        us: What they took together.
    """

    step: int
    agent: str
    calls: int
    us: int


class Trouble(Struct, frozen=True):
    """A warning of the run.

    Attributes:
        at_us: When, from the run's begin.
        code: As in the event.
        message: As in the event.
    """

    at_us: int
    code: str
    message: str


class Explanation(Struct, frozen=True):
    """Where the time of a run went.

    `parts` add up to `duration_us` exactly, `before_first_token` to `first_token_us`. Steps and
    tools are told as each of them saw it; where several ran side by side, these sums are longer.

    Attributes:
        run_id: The run.
        agent: Its agent.
        model: Its model.
        session: Its session, if any.
        status: ``running`` or how it ended.
        reason: Its finish reason, error code or cancel reason.
        message: The error's message.
        began_at: Unix seconds at which it was submitted, or where that is not known began.
        duration_us: From then to its end, or to where it is now.
        parts: What this time went to.
        behind: The run of the same session whose end it waited for, if any.
        first_token_us: When its first `token` came, from `began_at`; None without one.
        before_first_token: What the time until then went to; what the store had of it is not
            known, and stays in the parts where it fell.
        steps: Its model calls, those of sub-agents too.
        gap_over_us: From which length on a silence is told.
        gaps: How many there were.
        gap_us: How long they were together.
        longest_gaps: The longest ones, longest first, a few.
        tools: By name, the longest time first.
        in_turn: Where calls ran one after another.
        troubles: Its first warnings, in order.
        warnings: How many warnings there were.
        retries: How many tries were made again, or went to another model.
        withdrawn: How often text was withdrawn.
        withdrawn_chars: How many characters of answers were.
        usage: Its tokens.
        tokens_per_second: As its terminal event says; 0.0 where not known.
    """

    run_id: str
    agent: str
    model: str
    session: str | None
    status: Literal["running", "complete", "error", "cancelled"]
    reason: str
    message: str
    began_at: float
    duration_us: int
    parts: dict[Kind, int]
    behind: str | None
    first_token_us: int | None
    before_first_token: dict[Kind, int]
    steps: tuple[StepTime, ...]
    gap_over_us: int
    gaps: int
    gap_us: int
    longest_gaps: tuple[Gap, ...]
    tools: tuple[ToolTime, ...]
    in_turn: tuple[InTurn, ...]
    troubles: tuple[Trouble, ...]
    warnings: int
    retries: int
    withdrawn: int
    withdrawn_chars: int
    usage: Usage
    tokens_per_second: float
