"""Whether an agent streams, as a question that a program can ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Protocol, runtime_checkable

from headrace.messages import MessageInput
from headrace.models.chunk import StreamChunk
from headrace.runs.response import Response
from headrace.views.channel import Channel


@runtime_checkable
class StreamingAgent(Protocol):
    """An agent that gives its answer while it makes it: ``isinstance(agent, StreamingAgent)``.

    Every `Agent` is one, of whatever kind. The check looks whether the methods are there.
    """

    def run_stream(self, message: MessageInput) -> AsyncIterator[StreamChunk]:
        """The answer as it comes."""
        ...

    def execute_stream(self, task: MessageInput, channel: Channel[str]) -> Awaitable[Response]:
        """Send the answer's text into `channel` as it comes, close it always, give the answer."""
        ...
