"""Reads ReAct's form as it comes: thoughts, one call of a tool, or an answer; pure.

- What stands under `Thought:` is reasoning, what stands under `Final Answer:` the answer's text;
  both come as they are written. Text without any mark is the answer, where no mark follows it.
- One action is a turn: the first counts, and reading stops at whatever mark follows its input, so
  that a model's own `Observation:` is never read. An action behind an answer does not count.
- A turn with neither an action nor an answer, and an action that names no tool, become a call of
  `UNREADABLE`, whose error tells the model the form. When that was told and did not help, what the
  model thought is its answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from headrace.models.deltas import (
    Delta,
    Failure,
    Finish,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from headrace.models.react.action import ActionLine, Names
from headrace.models.react.arguments import ArgumentsText, named_arguments
from headrace.models.react.marks import Label, Mark, Marks
from headrace.models.react.sections import Opening, Said, Unmarked
from headrace.models.request import ToolSpec

UNREADABLE = "react_format"
"""Name of the call that stands for what could not be read."""

MAX_NAME = 128
"""Characters of a line `Action:` in an answer that are held back, to see whether it is a tool's."""

_COLON = re.compile("[:\uff1a]")

_Place = Literal["unmarked", "thought", "action", "input", "answer"]


class ReActReader:
    """Reads one answer.

    Args:
        tools: The tools that there are.
        call_id: Id of the call, if one comes.
        told: Whether the model was told the form already, and nothing came of it.
    """

    def __init__(self, tools: Sequence[ToolSpec], call_id: str, *, told: bool = False) -> None:
        self._schemas = {tool.name: tool.parameters for tool in tools}
        self._names = Names(self._schemas)
        self._call_id = call_id
        self._told = told
        self._marks = Marks()
        self._place: _Place = "unmarked"
        self._unmarked = Unmarked()
        self._said = Said()
        self._action = ActionLine(self._names)
        self._opening = Opening()
        self._arguments = ArgumentsText({})
        self._name = ""  # of the call, once it has begun
        self._doubt: str | None = None  # a line of the answer that may be an action
        self._thought: list[str] = []
        self._reasoned = self._answered = self._bad = self._over = False

    def feed(self, deltas: Sequence[Delta]) -> list[Delta]:
        """Take the next deltas of the model; nothing comes of those behind the end."""
        out: list[Delta] = []
        for delta in deltas:
            if not self._over:
                self._delta(delta, out)
        return out

    def close(self) -> list[Delta]:
        """The answer broke off: what was held back; a call stays without its end."""
        out: list[Delta] = []
        self._last_text(out)
        self._end_of_text(out)
        self._over = True
        return out

    def _delta(self, delta: Delta, out: list[Delta]) -> None:
        match delta:
            case TextDelta():
                for piece in self._marks.feed(delta.content):
                    if not self._over:
                        self._piece(piece, out)
            case ReasoningDelta():
                self._reasoned = self._reasoned or bool(delta.content)
                out.append(delta)
            case ToolCallDelta():  # not asked for; place 0 is the action's
                out.append(ToolCallDelta(delta.index + 1, delta.id, delta.name, delta.arguments))
                self._answered = True
            case Finish():
                self._last_text(out)
                if not self._over:
                    self._finish(delta, out)
            case Failure():
                out += self.close()
                out.append(delta)
            case _:
                out.append(delta)

    def _piece(self, piece: str | Mark, out: list[Delta]) -> None:
        if isinstance(piece, str):
            self._text(piece, out)
            return
        if self._place == "answer":
            self._settle(out)
        if self._over:
            return
        match self._place:
            case "input":
                self._after_input(piece, out)
            case "answer":
                self._after_answer(piece, out)
            case "action":
                self._after_action(piece, out)
            case _:
                self._next(piece, out)

    def _last_text(self, out: list[Delta]) -> None:
        for text in self._marks.close():
            if not self._over:
                self._text(text, out)

    def _text(self, text: str, out: list[Delta]) -> None:
        """Text of the section that is open."""
        match self._place:
            case "unmarked":
                out += self._unmarked.take(text)
                self._answered = self._answered or self._unmarked.is_answer
            case "thought":
                self._think(self._said.take(text), out)
            case "answer":
                self._answer(text, out)
            case "action":
                given = self._action.take(text)
                if given is not None:
                    self._begin_call(out)
                    self._input(given, out)
            case "input":
                self._input(text, out)

    def _think(self, text: str, out: list[Delta]) -> None:
        if text:
            out.append(ReasoningDelta(text))
            self._thought.append(text)
            self._reasoned = True

    def _say(self, text: str, out: list[Delta]) -> None:
        if text:
            out.append(TextDelta(text))
            self._answered = True

    def _input(self, text: str, out: list[Delta]) -> None:
        if not self._over:
            self._argue(self._arguments.take(self._opening.take(text)), out)

    def _argue(self, text: str, out: list[Delta]) -> None:
        if text:
            out.append(ToolCallDelta(0, self._call_id, self._name, text))

    def _answer(self, text: str, out: list[Delta]) -> None:
        if self._doubt is None:
            self._say(self._said.take(text), out)
            return
        if text.isspace() and "\n" in text:
            self._settle(out)
            if not self._over:
                self._say(self._said.take(text), out)
            return
        self._doubt += text
        if len(self._doubt) > MAX_NAME:
            doubt, self._doubt = self._doubt, None
            self._say(self._said.take(doubt), out)

    def _settle(self, out: list[Delta]) -> None:
        """Whether the line in doubt is an action, with which the answer has ended."""
        doubt, self._doubt = self._doubt, None
        if doubt is None:
            return
        if self._names.read(_COLON.split(doubt, maxsplit=1)[-1]).known:
            self._stop("action", out)
        else:
            self._say(self._said.take(doubt), out)

    def _next(self, mark: Mark, out: list[Delta]) -> None:
        """A mark after a thought, or after text without one."""
        if self._place == "unmarked" and mark.label == "observation":
            self._bad = not self._unmarked.begun
            self._stop(mark.label, out)
            return
        if self._place == "unmarked" and not self._unmarked.is_answer:
            for thought in self._unmarked.thought():
                self._think(thought.content, out)
        elif self._place == "thought":
            self._think(self._said.end(), out)
        self._open(mark, out)

    def _open(self, mark: Mark, out: list[Delta]) -> None:
        match mark.label:
            case "thought":
                self._place = "thought"
                self._thought.clear()
                self._said = Said(mark.opened, "\n" if self._reasoned else "")
            case "final" | "answer":
                self._place = "answer"
                self._said = Said(mark.opened, "\n\n" if self._answered else "")
            case "action":
                self._place = "action"
            case "input":  # of no action
                self._bad = True
                self._stop(mark.label, out)
            case "observation":
                self._stop(mark.label, out)

    def _after_action(self, mark: Mark, out: list[Delta]) -> None:
        if mark.label in ("final", "answer") and not self._action.read().known:
            self._open(mark, out)  # "Action: None"
            return
        if mark.label != "input":
            self._stop(mark.label, out)
            return
        self._opening = Opening(mark.opened)
        self._begin_call(out)

    def _after_input(self, mark: Mark, out: list[Delta]) -> None:
        if mark.label == "answer":
            self._text(mark.raw, out)
        else:
            self._stop(mark.label, out)

    def _after_answer(self, mark: Mark, out: list[Delta]) -> None:
        match mark.label:
            case "answer":
                self._text(mark.raw, out)
            case "action":
                self._doubt = mark.raw
            case _:
                self._stop(mark.label, out)

    def _begin_call(self, out: list[Delta]) -> None:
        """The action's line has ended; its input comes under a mark, on the line, or not."""
        named = self._action.read()
        self._place = "input"
        self._name = named.name
        self._arguments = ArgumentsText(self._schemas.get(named.name, {}))
        if not named.name:
            self._bad = True
            self._stop("input", out)
            return
        out.append(ToolCallDelta(0, self._call_id, self._name, ""))

    def _stop(self, label: Label, out: list[Delta]) -> None:
        """Nothing that follows is read."""
        self._finish(Finish("stop", label), out)

    def _finish(self, finish: Finish, out: list[Delta]) -> None:
        """The end; where it settles what is open, that may be an end of its own."""
        ends_well = finish.reason in ("stop", "tool_calls")
        if self._place == "action" and ends_well:
            named = self._action.read()
            self._begin_call(out)
            schema = self._schemas.get(named.name, {})
            self._input(named_arguments(named.input, schema) or named.input, out)
        self._end_of_text(out)
        if not self._over:
            self._end(finish, ends_well, out)

    def _end(self, finish: Finish, ends_well: bool, out: list[Delta]) -> None:
        if ends_well and not self._name and not self._answered:
            self._unreadable(out)
        out.append(Finish("tool_calls" if self._name and ends_well else finish.reason, finish.raw))
        self._over = True

    def _end_of_text(self, out: list[Delta]) -> None:
        """What the open section held back."""
        if self._over:
            return
        match self._place:
            case "unmarked":
                for delta in self._unmarked.answer():
                    self._say(delta.content, out)
            case "thought":
                self._think(self._said.end(), out)
            case "answer":
                self._settle(out)
                if not self._over:
                    self._say(self._said.end(), out)
            case "input":
                self._argue(self._arguments.end(), out)

    def _unreadable(self, out: list[Delta]) -> None:
        """Neither an action nor an answer: tell the model, or take what it thought."""
        marked = self._place != "unmarked"  # "Thought:", and nothing else
        if not self._told and (self._bad or self._thought or marked):
            self._name = UNREADABLE
            out.append(ToolCallDelta(0, self._call_id, UNREADABLE, "{}"))
        else:
            self._say("".join(self._thought).strip(), out)
