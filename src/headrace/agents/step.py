"""One step: a model call written to the log, with its one `step_end` however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from headrace.agents.translate import Translator
from headrace.events import FinishReason, StepEnd, StepStart
from headrace.messages import ToolCall
from headrace.models.assembler import Assembler, Turn
from headrace.models.deltas import TextDelta, ToolCallDelta
from headrace.models.estimate import estimate
from headrace.models.model import Model
from headrace.models.request import ModelRequest
from headrace.runs.writer import Writer
from headrace.usage import Timing, Usage

OnCall = Callable[[ToolCall], None]
"""Told of each call as soon as its arguments are complete, while the model goes on."""

OnText = Callable[[str], object]
"""Told of the answer's text as it comes, once it is written."""


class Step:
    """One try of a step.

    Args:
        model: Whom to ask.
        request: What.
        writer: The run's writer.
        number: The step's number, from 1.
        agent: Path of the agent that asks.
        speaker: The model's name, where it is not that of the run's own agent (a hand-off).
        on_call: Told of each complete call early.
        on_text: Told of the text.

    Attributes:
        since: The first `seq` that a retract of this try withdraws.
    """

    def __init__(
        self,
        model: Model,
        request: ModelRequest,
        writer: Writer,
        number: int,
        *,
        agent: str = "",
        speaker: str = "",
        on_call: OnCall | None = None,
        on_text: OnText | None = None,
    ) -> None:
        self._model = model
        self._request = request
        self._writer = writer
        self._number = number
        self._agent = agent
        self._speaker = speaker
        self._on_call = on_call
        self._on_text = on_text
        self._told = 0
        self._assembler = Assembler()
        self._translator = Translator(writer, agent)
        self._started = 0.0
        self._held = 0.0
        self.since = 0

    @property
    def model(self) -> str:
        """Who answered, as far as that is known; else who was asked."""
        return self._assembler.turn().model or self._model.name

    @property
    def shown(self) -> bool:
        """Whether any content was shown."""
        return self._translator.first_content_at is not None

    async def run(self) -> Turn:
        """Call the model; returns its turn after the `step_end`.

        Raises:
            ProviderError: the call failed, after its `step_end`.
            UsageError: the provider cannot do what the request asks for.
        """
        start = self._writer.put(StepStart, self._agent, self._number, self._model.name)
        self._started, self.since = start.at, start.seq + 1
        self._held = self._writer.meter.held.ms
        try:
            await self._stream()
        except asyncio.CancelledError:
            self._end("cancelled")
            raise
        except Exception:
            self._end("error")
            raise
        turn = self._assembler.turn()
        self._end(turn.finish_reason)
        return turn

    async def _stream(self) -> None:
        write, add = self._translator.write, self._assembler.add
        async with self._model.stream(self._request) as batches:
            async for batch in batches:
                add(batch)
                write(batch)
                if self._on_call is not None and isinstance(batch[-1], ToolCallDelta):
                    self._tell(self._on_call)
                if self._on_text is not None:
                    self._on_text("".join(d.content for d in batch if type(d) is TextDelta))
                if self._writer.crowded:
                    await self._writer.room()

    def _tell(self, on_call: OnCall) -> None:
        calls = self._assembler.completed_calls()
        for call in calls[self._told :]:
            on_call(call)
        self._told = len(calls)

    def _end(self, reason: FinishReason) -> None:
        at = self._writer.now()
        first = self._translator.first_content_at
        timing = Timing(
            duration_ms=round((at - self._started) * 1e3, 3),
            first_content_ms=None if first is None else round((first - self._started) * 1e3, 3),
            held_ms=round(self._writer.meter.held.ms - self._held, 3),
        )
        turn = self._assembler.turn()
        usage = turn.usage or self._estimate(turn)
        fields = (self._number, reason, usage, timing, turn.message, turn.model or self._speaker)
        self._writer.put(StepEnd, self._agent, *fields)

    def _estimate(self, turn: Turn) -> Usage:
        """What a call without told usage took."""
        calls = sum(len(call.name) + len(call.arguments) for call in turn.tool_calls)
        said = len(turn.text) + len(turn.reasoning) + calls
        return estimate(self._request, said, len(turn.reasoning))
