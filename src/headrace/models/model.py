"""The `Model` interface, and the base class that gives a provider everything but its wire."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from time import time
from typing import Any, Protocol, overload, runtime_checkable

from headrace.errors import ProviderError, UsageError
from headrace.messages import MessageInput
from headrace.models.assembler import Assembler, Turn
from headrace.models.chunk import StreamChunk
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import Decoder, TextDelta
from headrace.models.request import ModelRequest, Options
from headrace.models.retry import RetryPolicy
from headrace.models.stream import Attempt, ModelStream

OnChunk = Callable[[str], Awaitable[None] | None]
"""Takes each piece of text; what it raises stops the stream and comes out of `stream`."""


@runtime_checkable
class Model(Protocol):
    """Something that streams deltas for a request."""

    @property
    def name(self) -> str:
        """As a person writes it: ``openai:gpt-5-mini``."""
        ...

    @property
    def provider(self) -> str:
        """Who serves it: ``openai``."""
        ...

    def stream(self, request: ModelRequest) -> ModelStream:
        """Ask; gives an async context manager of batches of deltas."""
        ...


class BaseModel(ABC):
    """A model over a provider's wire: the provider writes `open`, the rest is here.

    Args:
        provider: The provider's name in the table.
        model: The provider's name of the model.
        deadlines: How long to wait for what.
        retry: When to ask again before the first content.
        options: What every request takes where it says nothing itself.

    Attributes:
        continues: Whether a conversation that ends in an assistant's message is an answer begun,
            with which the model goes on.
        echoes: Whether it then begins with the text that it was given.
        features: What it can be asked for, where that decides how it is asked: ``tools``,
            ``tool_choice`` (a call can be forced), ``schema`` (a JSON Schema as
            `response_format`), ``schema+tools`` (and tools in the same request), ``open schema``
            (with objects of any properties, and schemas that hold themselves).
    """

    continues: bool = False
    echoes: bool = False
    features: frozenset[str] = frozenset({"tools", "tool_choice"})

    def __init__(
        self,
        provider: str,
        model: str,
        *,
        deadlines: Deadlines | None = None,
        retry: RetryPolicy | None = None,
        options: Options | None = None,
    ) -> None:
        self.provider = provider
        self.model = model
        self.deadlines = deadlines or Deadlines()
        self.retry = retry or RetryPolicy()
        self.options = options or Options()

    @property
    def name(self) -> str:
        """``provider:model``."""
        return f"{self.provider}:{self.model}" if self.model else self.provider

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @abstractmethod
    async def open(self, request: ModelRequest) -> Attempt:
        """Send the request.

        Raises:
            ProviderError: when it was not accepted.
            UsageError: when the provider lacks what it asks for.
        """

    def decoder(self) -> Decoder:
        """A fresh decoder for one answer of this model's wire: what `open` reads with.

        Raises:
            UsageError: for a model without a wire, such as ``demo``.
        """
        raise UsageError(f"{self.name} has no wire: there are no bytes to decode.")

    @overload
    def stream(self, request: ModelRequest) -> ModelStream: ...
    @overload
    def stream(self, request: ModelRequest, on_chunk: OnChunk) -> Awaitable[Turn]: ...

    def stream(
        self, request: ModelRequest, on_chunk: OnChunk | None = None
    ) -> ModelStream | Awaitable[Turn]:
        """Ask the model.

        Without `on_chunk`: an async context manager of batches (lists) of deltas. With it: an
        awaitable that calls it with each piece of text and gives the whole turn.

        Raises:
            ProviderError: from the iteration or the await; its `turn` holds what came before.
        """
        if on_chunk is not None:
            return self._call_back(request, on_chunk)
        return ModelStream(self, self._with_options(request), self.deadlines, self.retry)

    async def complete(self, request: ModelRequest) -> Turn:
        """Ask, wait, and give the whole turn.

        Raises:
            ProviderError: its `turn` holds what came before the failure.
        """
        return await self._call_back(request, None)

    async def chat_stream(
        self, messages: MessageInput, **options: Any
    ) -> AsyncGenerator[StreamChunk]:
        """The answer to a conversation as `StreamChunk`s; the last one `is_final`.

        Raises:
            ProviderError: out of the iteration.
            UnknownOption: for an option that no model knows.
        """
        assembler = Assembler()
        index = 0
        async with self.stream(ModelRequest.of(messages, **options)) as batches:
            async for batch in batches:
                assembler.add(batch)
                for delta in batch:
                    if isinstance(delta, TextDelta):
                        yield StreamChunk(delta.content, index, timestamp=time())
                        index += 1
        turn = assembler.turn()
        usage = turn.usage
        metadata = {
            "model": turn.model or self.name,
            "usage": usage,
            "tokens": usage.total if usage else None,
        }
        yield StreamChunk("", index, True, turn.finish_reason, metadata, time())

    def complete_stream(self, prompt: str, **options: Any) -> AsyncGenerator[StreamChunk]:
        """The answer to one prompt, as `chat_stream`."""
        return self.chat_stream(prompt, **options)

    async def _call_back(self, request: ModelRequest, on_chunk: OnChunk | None) -> Turn:
        assembler = Assembler()
        try:
            async with self.stream(request) as batches:
                async for batch in batches:
                    assembler.add(batch)
                    if on_chunk is not None:
                        await _each(on_chunk, batch)
        except ProviderError as error:
            error.turn = assembler.failed(error)
            raise
        return assembler.turn()

    def _with_options(self, request: ModelRequest) -> ModelRequest:
        options = request.options.over(self.options)
        return ModelRequest(request.messages, request.tools, options)


async def _each(on_chunk: OnChunk, batch: list[Any]) -> None:
    for delta in batch:
        if isinstance(delta, TextDelta):
            result = on_chunk(delta.content)
            if inspect.isawaitable(result):
                await result
