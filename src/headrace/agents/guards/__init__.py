"""Guards: what a model writes is looked at before, or after, anyone sees it.

`redact` and `block` hold back a window of the stream, so that what they look for is caught whole
before any of it is shown. `judge` looks at what has been shown, and may withdraw it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from headrace.agents.guards.pattern import Pattern
from headrace.agents.guards.scanner import MAX_WINDOW, WINDOW, Match, Scanner
from headrace.agents.guards.watch import (
    CHANNELS,
    Channel,
    Finding,
    Replace,
    Stop,
    StreamGuard,
    Watch,
)
from headrace.errors import UsageError
from headrace.messages import ToolCall

__all__ = [
    "Channel",
    "End",
    "Finding",
    "Guard",
    "JudgeGuard",
    "Replace",
    "Said",
    "Stop",
    "StreamGuard",
    "Verdict",
    "Watch",
    "Withdraw",
    "as_guard",
    "block",
    "judge",
    "redact",
]

Only = Callable[[str], bool]
"""Decides about a match by its text."""


class Said(Struct, frozen=True):
    """What a model has said in one answer, as viewers have seen it.

    Attributes:
        text: The answer's text.
        reasoning: Its reasoning.
        calls: The tools that it asks for.
        ended: Whether the answer is over.
    """

    text: str
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    ended: bool = True


class End(Struct, frozen=True):
    """The verdict that the answer ends here; what was shown stands.

    Attributes:
        reason: For people; it is shown.
    """

    reason: str


class Withdraw(Struct, frozen=True):
    """The verdict that the answer is taken back.

    Attributes:
        reason: For people and the model; it is shown.
        hint: What the model is told when it is asked again.
        instead: An answer to give in its place; then the model is not asked again.
    """

    reason: str
    hint: str = ""
    instead: str = ""


Verdict = End | Withdraw

Judgement = Callable[[Said], "Verdict | None"]
"""Looks at an answer; None lets it stand."""


@runtime_checkable
class JudgeGuard(Protocol):
    """A guard that looks back at what was shown.

    Attributes:
        every: Characters of text after each of which it is asked; 0 for only at the end.
    """

    every: int

    def check(self, said: Said) -> Verdict | None:
        """Look at an answer; None lets it stand."""
        ...


Guard = StreamGuard | JudgeGuard | Judgement
"""What `Agent(guards=…)` takes."""


def redact(
    pattern: str | re.Pattern[str],
    replacement: str = "[redacted]",
    *,
    where: Iterable[Channel] = CHANNELS,
    window: int = WINDOW,
    only: Only | None = None,
) -> StreamGuard:
    """Show something else in the place of what matches.

    In a tool call's arguments nothing is replaced: the call does not run, and its model is told so
    by its result.

    Args:
        pattern: A regular expression. A match must be one within `window` characters of its start;
            it may then go on without end.
        replacement: What is shown.
        where: In what of the answer to look.
        window: Characters that may be held back, from 1 to 4096.
        only: Asked with a match's text whether it is one; a match longer than the window counts.

    Raises:
        UsageError: as `Pattern`; a window, or a `where`, that there is not; a window in which no
            match fits.
    """
    return PatternGuard(Pattern(pattern), where, window, only, replacement=replacement)


def block(
    pattern: str | re.Pattern[str],
    reason: str = "",
    *,
    where: Iterable[Channel] = CHANNELS,
    window: int = WINDOW,
    only: Only | None = None,
) -> StreamGuard:
    """End the answer before what matches, as `content_filter`; no tool that it asks for runs.

    Args:
        pattern: As for `redact`.
        reason: For people: it is shown, as a warning.
        where: In what of the answer to look.
        window: As for `redact`.
        only: As for `redact`.

    Raises:
        UsageError: as `redact`.
    """
    told = reason or "A guard ended the answer."
    return PatternGuard(Pattern(pattern), where, window, only, reason=told)


def judge(check: Judgement, *, every: int = 0) -> JudgeGuard:
    """Let a function look back at each answer: at its end, and now and then before.

    Args:
        check: What it says of an answer; what it raises ends the run.
        every: Characters of text after each of which it is asked; 0 for only at the end.

    Raises:
        UsageError: `check` is no function, or a coroutine's; `every` is negative.
    """
    return _Judge(check, every)


def as_guard(guard: Guard) -> StreamGuard | JudgeGuard:
    """What an agent was given, as a guard.

    Raises:
        UsageError: it is none.
    """
    if isinstance(guard, type) or not (
        isinstance(guard, StreamGuard | JudgeGuard) or callable(guard)
    ):
        raise UsageError(
            f"{guard!r} is no guard.",
            hint="Give redact(…), block(…), judge(…), a function of what was said, or an object "
            "with a method `watch` or `check`.",
        )
    return guard if isinstance(guard, StreamGuard | JudgeGuard) else judge(guard)


class PatternGuard:
    """What `redact` and `block` give.

    Args:
        pattern: What to look for.
        where: In what.
        window: Characters that may be held back.
        only: Decides about a match.
        replacement: What is shown instead.
        reason: Why the answer ends; empty where something is shown instead.
    """

    def __init__(
        self,
        pattern: Pattern,
        where: Iterable[Channel],
        window: int,
        only: Only | None,
        *,
        replacement: str = "",
        reason: str = "",
    ) -> None:
        self.where = frozenset([where] if isinstance(where, str) else where)
        if not self.where or not self.where <= set(CHANNELS):
            raise UsageError(f"`where` is some of {', '.join(CHANNELS)}, not {where!r}.")
        if not 1 <= window <= MAX_WINDOW:
            raise UsageError(f"A window has 1 to {MAX_WINDOW} characters, not {window}.")
        if pattern.least > window:
            raise UsageError(
                f"The pattern {pattern.text[:80]!r} matches {pattern.least} characters or more, "
                f"and the window has {window}: it would find nothing.",
                hint=f"Set window={pattern.least} or more; {MAX_WINDOW} is the most.",
            )
        self.pattern = pattern
        self.window = window
        self.only = only
        self.replacement = replacement
        self.reason = reason

    def __repr__(self) -> str:
        return f"{'block' if self.reason else 'redact'}({self.pattern.text!r})"

    def watch(self, channel: Channel) -> Watch | None:
        """A watch, where this guard looks there."""
        return _PatternWatch(self) if channel in self.where else None


class _PatternWatch(Watch):
    """Watches one content for one pattern."""

    def __init__(self, guard: PatternGuard) -> None:
        self._guard = guard
        self._scanner = Scanner(guard.pattern, guard.window, keep=guard.only is not None)

    @property
    def clear(self) -> int:
        told = self._certain()
        return self._scanner.clear if told is None else told[1]

    def feed(self, text: str) -> Sequence[Finding]:
        found = self._findings(self._scanner.feed(text))
        told = self._certain()
        return found if told is None else [*found, self._finding(*told)]

    def pause(self) -> Sequence[Finding]:
        return self._findings(self._scanner.pause())

    def close(self) -> Sequence[Finding]:
        return self._findings(self._scanner.close())

    def _certain(self) -> tuple[int, int] | None:
        """A match under way that is one already, however far it goes on."""
        scanner = self._scanner
        if scanner.pending is None or not scanner.sure:
            return None
        start, end = scanner.pending
        return (start, end) if self._guard.only is None or scanner.too_long(start, end) else None

    def _findings(self, matches: Iterable[Match]) -> list[Finding]:
        findings = []
        for match in matches:
            try:
                if self._is_one(match):
                    findings.append(self._finding(match.start, match.end))
            except Exception as error:  # fails closed, at the same place whatever the pieces
                findings.append(Stop(match.start, "", error))
        return findings

    def _is_one(self, match: Match) -> bool:
        only = self._guard.only
        too_long = self._scanner.too_long(match.start, match.end)
        return only is None or too_long or bool(only(match.text))

    def _finding(self, start: int, end: int) -> Finding:
        if self._guard.reason:
            return Stop(start, self._guard.reason)
        return Replace(start, end, self._guard.replacement)


class _Judge:
    def __init__(self, check: Judgement, every: int) -> None:
        if not callable(check):
            raise UsageError(f"A judge is a function of what was said, not {check!r}.")
        call = getattr(check, "__call__", check)  # noqa: B004  # an object's own may be one, too
        if inspect.iscoroutinefunction(check) or inspect.iscoroutinefunction(call):
            raise UsageError(
                f"The judge {check!r} is a coroutine function, and the stream cannot wait for it.",
                hint="Give a plain function of what was said.",
            )
        if every < 0:
            raise UsageError(f"`every` is at least 0, not {every}.")
        self.every = every
        self.check = check

    def __repr__(self) -> str:
        return f"judge({getattr(self.check, '__name__', self.check)!r}, every={self.every})"
