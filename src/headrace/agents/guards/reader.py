"""Reads a model's answer past an agent's guards: pure, the same whatever the cuts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence

from msgspec.structs import replace

from headrace.agents.guards import End, JudgeGuard, Said, Verdict, Withdraw
from headrace.agents.guards.before import Before
from headrace.agents.guards.passage import Escaped, Passage, Plain
from headrace.agents.guards.scanner import MAX_WINDOW
from headrace.agents.guards.watch import CHANNELS, Channel, Stop, StreamGuard, Watch
from headrace.errors import AnswerRefused, GuardFailed
from headrace.messages import Opaque, ToolCall
from headrace.models.deltas import (
    Delta,
    Failure,
    Finish,
    Note,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from headrace.models.estimate import CHARS_PER_TOKEN
from headrace.models.model import Model
from headrace.text import TextBuffer
from headrace.usage import Usage

UNNAMED = "withheld_by_a_guard"
"""What a call is named in whose name a guard found something: no tool, so nothing runs."""

Again = Callable[[Withdraw], "Model | None"]
"""Whom to ask after an answer was withdrawn; None where it was asked often enough."""


class GuardReader:
    """Lets through what no guard objects to; one answer.

    Text, reasoning and each call's arguments pass the guards on their own. What is held back of one
    of them is decided before another goes on, so that a turn's parts keep their order.

    Args:
        guards: In their order.
        json_text: Whether the answer's text is JSON.
        again: Whom to ask after a verdict of `Withdraw`.
        before: What the agent said in the steps before; gets what it says in this one.
        tools: The names of the tools that there are, which are no secret. Any other name of a call
            is the model's own words.
    """

    def __init__(
        self,
        guards: Sequence[StreamGuard | JudgeGuard],
        *,
        json_text: bool = False,
        again: Again = lambda verdict: None,
        before: Before | None = None,
        tools: Collection[str] = (),
    ) -> None:
        self._guards = [guard for guard in guards if isinstance(guard, StreamGuard)]
        self._judges = [guard for guard in guards if isinstance(guard, JudgeGuard)]
        self._json_text = json_text
        self._again = again
        self._before = Before() if before is None else before
        self._tools = tools
        # Each piece has a character at least: so many hold the end that the next step needs.
        self._pieces: dict[Channel | int, deque[str]] = {
            "text": deque(maxlen=MAX_WINDOW),
            "reasoning": deque(maxlen=MAX_WINDOW),
        }
        self._passages: dict[Channel | int, Passage | None] = {}
        self._calls: dict[int, ToolCallDelta] = {}
        self._open: Channel | int | None = None
        self._said: dict[Channel | int, TextBuffer] = {}
        self._chars = 0
        self._shown = 0
        self._usage: Usage | None = None
        self._out: list[Delta] = []
        self._over = False

    def feed(self, deltas: Sequence[Delta]) -> list[Delta]:
        """Take the next deltas; what may be shown of them."""
        for delta in deltas:
            if not self._over:
                self._take(delta)
        return self._given()

    def close(self) -> list[Delta]:
        """The answer broke off: what was held back, and no guard objects to."""
        if not self._over:
            self._close_all()
        return self._given()

    def _given(self) -> list[Delta]:
        given, self._out = self._out, []
        return given

    def _take(self, delta: Delta) -> None:
        match delta:
            case TextDelta() | ReasoningDelta():
                key: Channel = "text" if isinstance(delta, TextDelta) else "reasoning"
                self._content(key, key, delta.content)
            case ToolCallDelta():
                self._call(delta)
            case OpaqueDelta():
                self._opaque(delta)
            case Finish():
                self._finish(delta)
            case Failure():
                self._close_all()
                self._put(delta)
            case _:
                if isinstance(delta, UsageDelta):
                    self._usage = delta.usage
                self._put(delta)

    def _put(self, delta: Delta) -> None:
        if not self._over:
            self._out.append(delta)

    def _content(self, key: Channel | int, channel: Channel, piece: str) -> None:
        self._switch(key)
        if self._over:
            return
        passage = self._passage(key, channel)
        self._show(key, piece if passage is None else passage.feed(piece), passage)

    def _call(self, delta: ToolCallDelta) -> None:
        self._switch(delta.index)
        if not self._over and delta.index not in self._calls:
            begun = replace(delta, name=self._named(delta.name), arguments="")
            self._calls[delta.index] = begun
            self._put(begun)
        self._content(delta.index, "arguments", delta.arguments)

    def _named(self, name: str) -> str:
        """The name of a call; of no tool that there is where a guard finds something in it."""
        if name in self._tools:
            return name
        try:
            found = [
                finding
                for watch in self._watches("arguments")
                for finding in (*watch.feed(name), *watch.close())
            ]
        except Exception as error:  # fails closed
            self._fail(error)
            return UNNAMED
        for finding in found:
            if isinstance(finding, Stop):
                self._stop(finding)
        return UNNAMED if found else name

    def _switch(self, key: Channel | int | None) -> None:
        """Another content goes on: what is held back of the last one comes before it."""
        last, self._open = self._open, key
        if last is None or last == key:
            return
        passage = self._passages[last]
        if passage is not None:
            self._show(last, passage.pause(), passage)

    def _passage(self, key: Channel | int, channel: Channel) -> Passage | None:
        """None where no guard looks."""
        if key not in self._passages:
            try:
                watches = self._watches(channel)
            except Exception as error:  # fails closed
                self._fail(error)
                return None
            self._passages[key] = self._made(watches, channel) if watches else None
        return self._passages[key]

    def _watches(self, channel: Channel) -> list[Watch]:
        watches = [guard.watch(channel) for guard in self._guards]
        found = [watch for watch in watches if watch is not None]
        # A structured answer is a text of its own in each step.
        goes_on = channel != "arguments" and not self._json_text
        return found + (self._before.watches(self._guards, channel) if goes_on else [])

    def _made(self, watches: list[Watch], channel: Channel) -> Passage:
        escaped = channel == "arguments" or (channel == "text" and self._json_text)
        return Passage(watches, Escaped() if escaped else Plain(), cut=channel == "arguments")

    def _show(self, key: Channel | int, text: str, passage: Passage | None) -> None:
        """Write what came through, and end the answer where a guard says so."""
        while text and not self._over:
            piece = text[: self._until_asked()] if key == "text" else text
            text = text[len(piece) :]
            self._write(key, piece)
            if key == "text":
                self._chars += len(piece)
                self._ask(lambda judge: judge.every and not self._chars % judge.every)
        stop = None if passage is None else passage.stop
        if stop is not None and not self._over:
            self._stop(stop)

    def _stop(self, stop: Stop) -> None:
        if stop.error is not None:
            self._fail(stop.error)
        else:
            self._end(stop.reason)

    def _write(self, key: Channel | int, piece: str) -> None:
        self._shown += len(piece)
        if self._judges:
            self._said.setdefault(key, TextBuffer()).append(piece)
        if key in self._pieces:
            self._pieces[key].append(piece)
        if key == "text":
            self._put(TextDelta(piece))
        elif key == "reasoning":
            self._put(ReasoningDelta(piece))
        elif isinstance(key, int):
            self._put(replace(self._calls[key], arguments=piece))

    def _opaque(self, delta: OpaqueDelta) -> None:
        self._switch(None)
        if self._over:
            return
        try:
            clean = self._is_clean(delta.item)
        except Exception as error:  # fails closed
            self._fail(error)
            return
        if clean:
            self._put(delta)
        else:
            self._put(
                Note("guard", "A guard found something in an item of the provider's: left out.")
            )

    def _is_clean(self, item: Opaque) -> bool:
        """Whether no guard finds anything in it: it goes back byte for byte, or not at all."""
        shape = Escaped()
        text = shape.add(item.data)
        for guard in self._guards:
            watches = (guard.watch(channel) for channel in CHANNELS)
            watch = next((watch for watch in watches if watch is not None), None)
            if watch is not None and (watch.feed(text) or watch.close()):
                return False
        return True

    def _close_all(self) -> None:
        for key, passage in list(self._passages.items()):
            if passage is not None and not self._over:
                self._show(key, passage.close(), passage)

    def _finish(self, finish: Finish) -> None:
        self._close_all()
        self._ask(lambda judge: True, ended=True)
        if not self._over:
            self._before.add("text", self._pieces["text"])
            self._before.add("reasoning", self._pieces["reasoning"])
        self._put(finish)
        self._over = True

    def _until_asked(self) -> int | None:
        """Characters of text until a judge is asked; None where none is."""
        every = [judge.every for judge in self._judges if judge.every]
        return min((n - self._chars % n for n in every), default=None)

    def _ask(self, due: Callable[[JudgeGuard], object], *, ended: bool = False) -> None:
        asked = [] if self._over else [judge for judge in self._judges if due(judge)]
        if not asked:
            return
        said = self._so_far(ended)
        for judge in asked:
            try:
                self._judged(judge.check(said))
            except Exception as error:  # fails closed
                self._fail(error)
            if self._over:
                return

    def _so_far(self, ended: bool) -> Said:
        said = {key: str(text) for key, text in self._said.items()}
        calls = tuple(
            ToolCall(call.id, call.name, said.get(index, "")) for index, call in self._calls.items()
        )
        return Said(said.get("text", ""), said.get("reasoning", ""), calls, ended)

    def _judged(self, verdict: Verdict | None) -> None:
        match verdict:
            case None:
                return
            case End():
                self._end(verdict.reason)
            case Withdraw():
                refused = AnswerRefused(sentence(verdict.reason))
                refused.instead = self._again(verdict)
                self._break(refused)
            case _:
                raise TypeError(f"a judge gives End, Withdraw or None, not {verdict!r}")

    def _end(self, reason: str) -> None:
        """The answer ends here, and what was shown stands."""
        self._so_much()
        self._put(Note("guard", reason))
        self._put(Finish("content_filter", f"guard: {reason}"))
        self._over = True

    def _fail(self, error: Exception) -> None:
        self._break(GuardFailed(error))

    def _break(self, error: AnswerRefused | GuardFailed) -> None:
        if not self._over:
            self._so_much()
            self._put(Failure(error))
            self._over = True

    def _so_much(self) -> None:
        """What was used: the provider's last word is not awaited, so at least what was shown."""
        if self._usage is not None:
            output = max(self._usage.output, self._shown // CHARS_PER_TOKEN)
            self._put(UsageDelta(replace(self._usage, output=output, exact=False)))


def sentence(reason: str) -> str:
    """A reason with its full stop, as other sentences follow it."""
    reason = reason.rstrip()
    return reason if not reason or reason[-1] in ".!?…。" else f"{reason}."
