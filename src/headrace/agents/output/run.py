"""The structured answer of one run: shown while it is written, checked at the end, asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from headrace.agents.next_step import State
from headrace.agents.output import Output
from headrace.agents.output.partial import Growing
from headrace.errors import InvalidOutput
from headrace.events import FinishReason, Partial, Retract, Warn
from headrace.messages import Message
from headrace.runs.run import Outcome
from headrace.runs.writer import Writer

_ENDED: dict[str, str] = {
    "length": "The answer was cut at its limit of tokens.",
    "content_filter": "The answer was filtered.",
    "max_steps": "The run has made all its model calls.",
}


class Answering:
    """What is known of one run's answer.

    Args:
        output: What it is to be.
        writer: The run's.
        agent: Path of the agent that answers.
        retract: Whether viewers can take text back.

    Attributes:
        aside: What the next request has besides the conversation: an answer that was refused, and
            why. It is no part of the conversation, as its text is withdrawn.
    """

    def __init__(self, output: Output, writer: Writer, agent: str, retract: bool) -> None:
        self._output = output
        self._writer = writer
        self._agent = agent
        self._retract = retract
        self._shown: Any = UNSET
        self._refused = 0
        self.aside: tuple[Message, ...] = ()

    def watch(self) -> Callable[[str], object]:
        """Takes the pieces of one model call's text, and writes what they come to as `partial`."""
        return Growing(self._output.known, self._output.faults, self._show).feed

    def end(self, state: State, reason: FinishReason, *, more: bool) -> Outcome | State:
        """What follows from an answer: the run's outcome, or the state to ask again from.

        Args:
            state: Where the loop stands; the answer is its last turn's.
            reason: How it ended.
            more: Whether the model may be called again.

        Raises:
            InvalidOutput: it does not fit, and is not asked for again.
        """
        text = "" if state.turn is None else state.turn.text
        try:
            value = self._output.value(text)
        except InvalidOutput as error:
            again = reason == "stop" and more and self._refused < self._output.retries
            if not again or (text and not self._retract):
                raise self._final(error, reason) from error.__cause__
            return self._again(state, text, error)
        told = self._output.json_value(value)
        if told != self._shown:
            self._writer.put(Partial, self._agent, told)
        return Outcome(reason, state.messages, told, value)

    def _show(self, value: object) -> None:
        value = self._output.unwrapped(value)
        if value is not UNSET and value != self._shown:
            self._shown = value
            self._writer.put(Partial, self._agent, value)

    def _again(self, state: State, text: str, error: InvalidOutput) -> State:
        """Withdraw the answer, and make ready to ask again."""
        writer, agent = self._writer, self._agent
        self._refused += 1
        said = f"{error.message} It is asked again."
        writer.put(Warn, agent, error.code, said)
        writer.put(Retract, agent, writer.steps[agent] + 1, error.code)
        if not agent:
            writer.text.cut(len(writer.text) - len(text))
        self._shown = UNSET
        told = Message.user(f"{error.message}\nAnswer again, with the whole corrected JSON.")
        self.aside = (Message.assistant(text), told) if text else (told,)
        return State(state.messages[:-1], state.step)

    def _final(self, error: InvalidOutput, reason: FinishReason) -> InvalidOutput:
        asked = f"Asked {self._refused + 1} times. " if self._refused else ""
        ended = f"{_ENDED[reason]} " if reason in _ENDED else ""
        return InvalidOutput(f"{ended}{asked}{error.message}")
