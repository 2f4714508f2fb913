"""`StreamChunk`: a piece of an answer, for callers who want text and little else."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from headrace.events import FinishReason


class StreamChunk(Struct, frozen=True, gc=False):
    """One piece of a streamed answer.

    Attributes:
        content: The text of this piece; may be empty.
        index: Position in this stream, from 0.
        is_final: True on exactly the last chunk of a stream.
        finish_reason: None until it is known; ``tool_calls`` on the chunk after which tools run.
        metadata: On the final chunk ``model``, ``tokens``, ``usage``, ``metrics`` and more.
        timestamp: Unix seconds.
    """

    content: str
    index: int = 0
    is_final: bool = False
    finish_reason: FinishReason | None = None
    metadata: dict[str, Any] | None = None
    timestamp: float = 0.0

    @property
    def delta(self) -> str:
        """The same text as `content`."""
        return self.content
