"""A run as `StreamChunk`s."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Literal

from headrace.events import Cancelled, Complete, Error, Event, StepEnd, Token
from headrace.models.chunk import StreamChunk
from headrace.runs.run import Run

OnError = Literal["raise", "chunk"]


async def chunks(run: Run, *, on_error: OnError = "raise") -> AsyncGenerator[StreamChunk]:
    """Each piece of the answer's text, then one final chunk.

    A chunk without text and with ``finish_reason="tool_calls"`` stands where tools run. The final
    chunk (`is_final`) has no text; its `metadata` has ``model``, ``tokens``, ``usage``,
    ``metrics`` and ``run_id``, and ``output`` where the agent has an output type. Leaving the
    iteration cancels the run.

    Args:
        run: The run to read; it is cancelled when the reader leaves.
        on_error: With ``chunk`` a failed run ends with a final chunk whose `finish_reason` is
            ``error`` and whose `metadata` has ``error`` (``code``, ``message``, ``retryable``).

    Raises:
        RunFailed: the run failed and `on_error` is ``raise``.
        RunCancelled: the run was cancelled elsewhere and `on_error` is ``raise``.
    """
    index = 0
    async with run:
        async for batch in run.batches():
            for event in batch:
                if type(event) is Token:
                    if not event.agent:
                        yield StreamChunk(event.content, index, False, None, None, event.at)
                        index += 1
                elif type(event) is StepEnd:
                    if event.finish_reason == "tool_calls" and not event.agent:
                        asked = {"tool_calls": event.message.tool_calls}
                        yield StreamChunk("", index, False, "tool_calls", asked, event.at)
                        index += 1
                elif isinstance(event, Complete | Error | Cancelled):
                    if on_error == "raise":
                        run.check()
                    yield _final(run, event, index)


def _final(run: Run, event: Complete | Error | Cancelled, index: int) -> StreamChunk:
    metadata: dict[str, Any] = {
        "model": run.model,
        "tokens": event.usage.total if event.usage else None,
        "usage": event.usage,
        "metrics": event.metrics,
        "run_id": run.id,
    }
    if isinstance(event, Complete) and event.output is not None:
        metadata["output"] = run.output
    reason = _reason(event)
    if isinstance(event, Error):
        metadata["error"] = {
            "code": event.code,
            "message": event.message,
            "retryable": event.retryable,
        }
    return StreamChunk("", index, True, reason, metadata, event.at)


def _reason(event: Event) -> Any:
    if isinstance(event, Complete):
        return event.finish_reason
    return "error" if isinstance(event, Error) else "cancelled"
