"""The model call that makes a summary; however it ends, the run goes on."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from headrace.agents.memory.summaries import MAX_SUMMARY, SHOWN, Missing, Summary
from headrace.errors import HeadraceError
from headrace.models.deltas import (
    Delta,
    Finish,
    Note,
    ReasoningDelta,
    TextDelta,
    UsageDelta,
)
from headrace.models.estimate import estimate
from headrace.models.model import Model
from headrace.models.stream import ModelStream
from headrace.text import TextBuffer
from headrace.usage import Usage

CODE = "summary_failed"


class SummaryCall:
    """One summary on its way.

    Args:
        memory: Says who makes it, whether it is shown, and how long it may take.
        missing: What is asked.
        own: The agent's model, for a memory that names none.

    Attributes:
        over: Whether it has ended.
        text: The summary once it is over; empty where it failed.
        usage: What it took so far.
    """

    def __init__(self, memory: Summary, missing: Missing, own: Model) -> None:
        self._memory = memory
        self._request = missing.request
        self._own = own
        self._until = asyncio.get_running_loop().time() + memory.seconds
        self._stream: ModelStream | None = None
        self._said = TextBuffer()
        self._counted: Usage | None = None
        self._filtered = False
        self.over = False
        self.text = ""

    @property
    def usage(self) -> Usage:
        """What the provider told; else an estimate."""
        if self._stream is None:
            return Usage()
        return self._counted or estimate(self._request, len(self._said))

    async def read(self) -> list[Delta]:
        """What a viewer sees of it next; a warning where it fails."""
        try:
            async with asyncio.timeout_at(self._until) as limit:
                batch = await anext(self._begun())
        except StopAsyncIteration:
            return await self._end([])
        except HeadraceError as error:
            return await self._fail(error.message)
        except Exception as error:  # a model of the caller's own: its faults are not the run's
            if limit.expired():
                return await self._fail(f"It took more than {self._memory.seconds:g} s.")
            return await self._fail(f"{type(error).__name__}.")
        shown = self._take(batch)
        whole = isinstance(batch[-1], Finish) or len(self._said) > MAX_SUMMARY
        return await self._end(shown) if whole else [*shown, UsageDelta(self.usage)]

    async def close(self) -> None:
        """Close the model's stream."""
        if self._stream is not None:
            await self._stream.aclose()

    def _begun(self) -> ModelStream:
        """The stream; the model is looked up when it is first needed."""
        if self._stream is None:
            self._stream = (self._memory.maker or self._own).stream(self._request)
        return self._stream

    def _take(self, batch: list[Delta]) -> list[Delta]:
        shown: list[Delta] = []
        for delta in batch:
            match delta:
                case TextDelta():
                    if self._memory.show:
                        opening = "" if len(self._said) else SHOWN[0]
                        shown.append(ReasoningDelta(opening + delta.content))
                    self._said.append(delta.content)
                case UsageDelta():
                    self._counted = delta.usage
                case Finish():
                    self._filtered = delta.reason == "content_filter"
                case Note():
                    shown.append(delta)
        return shown

    async def _end(self, shown: list[Delta]) -> list[Delta]:
        text = str(self._said).strip()
        if self._filtered or not text:
            return await self._fail("It was filtered." if self._filtered else "It is empty.", shown)
        self.text = text if len(text) <= MAX_SUMMARY else f"{text[:MAX_SUMMARY]} […]"
        return await self._over(shown)

    async def _fail(self, why: str, shown: list[Delta] | None = None) -> list[Delta]:
        told = f"No summary of what was said before could be made: {why} It is left out."
        return await self._over([*(shown or []), Note(CODE, told)])

    async def _over(self, shown: list[Delta]) -> list[Delta]:
        self.over = True
        if self._memory.show and len(self._said):
            shown = [*shown, ReasoningDelta(SHOWN[1])]
        with suppress(HeadraceError):
            await self.close()
        return [*shown, UsageDelta(self.usage)]
