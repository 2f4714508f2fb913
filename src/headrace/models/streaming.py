"""Whether a model streams, as a question that a program can ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol, runtime_checkable

from headrace.messages import MessageInput
from headrace.models.chunk import StreamChunk
from headrace.models.model import Model


@runtime_checkable
class StreamingModel(Model, Protocol):
    """A model that gives chunks as they come: ``isinstance(model, StreamingModel)``.

    Every model of `headrace.providers` is one: whatever stands on `BaseModel`. A `Model` of your
    own that has only `stream` runs agents all the same.
    """

    def chat_stream(self, messages: MessageInput, **options: Any) -> AsyncIterator[StreamChunk]:
        """The answer to a conversation as `StreamChunk`s; the last one `is_final`."""
        ...

    def complete_stream(self, prompt: str, **options: Any) -> AsyncIterator[StreamChunk]:
        """The answer to one prompt, as `chat_stream`."""
        ...
