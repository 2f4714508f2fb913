"""A model around another: what is asked is rewritten, and what comes back is read anew.

ReAct, guards and structured output are each a pure reader of deltas, and one `WrappedModel` around
the model that answers; so an agent's loop, its tools, retries and views need not know of them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import Protocol

from headrace.errors import ProviderError
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import Delta, Failure, Finish
from headrace.models.model import BaseModel, Model
from headrace.models.request import ModelRequest
from headrace.models.retry import NO_RETRY
from headrace.models.stream import ModelStream, truncated


class Reader(Protocol):
    """Reads one answer: deltas in, deltas out; pure, the same whatever the cuts."""

    def feed(self, deltas: Sequence[Delta]) -> list[Delta]:
        """Take the next deltas; what follows from them. A `Finish` is the last that comes."""
        ...

    def close(self) -> list[Delta]:
        """The answer broke off: what was held back and may be shown."""
        ...


class WrappedModel(BaseModel):
    """Asks another model, whose deadlines and retries hold.

    Args:
        model: The other one.
    """

    def __init__(self, model: Model) -> None:
        waits = Deadlines(connect=None, first_content=None, gap=None, run=None)
        super().__init__(model.provider, "", deadlines=waits, retry=NO_RETRY)
        self.wrapped = model

    @property
    def name(self) -> str:
        """The other one's: who answers is what a person wants to know."""
        return self.wrapped.name

    @property
    def features(self) -> frozenset[str]:  # type: ignore[override]  # the other one's
        """What the other one can be asked for."""
        return getattr(self.wrapped, "features", BaseModel.features)

    def around(self, model: Model) -> WrappedModel:
        """The same around another model."""
        other = copy(self)
        other.provider, other.wrapped = model.provider, model
        return other

    @abstractmethod
    def rewrite(self, request: ModelRequest) -> ModelRequest:
        """What the other model is asked; pure.

        Raises:
            UsageError: the request asks for what this cannot carry.
        """

    @abstractmethod
    def reader(self, request: ModelRequest) -> Reader:
        """A fresh reader for the answer to this request."""

    async def open(self, request: ModelRequest) -> WrappedAttempt:
        """Ask the other model."""
        stream = self.wrapped.stream(self.rewrite(request))
        return WrappedAttempt(self, stream, self.reader(request))


class WrappedAttempt:
    """One answer of the other model, on its way."""

    def __init__(self, model: WrappedModel, stream: ModelStream, reader: Reader) -> None:
        self._model = model
        self._stream = stream
        self._reader = reader

    async def read(self) -> list[Delta]:
        """The next deltas, read anew; where the other model breaks, its `Failure` comes last."""
        try:
            return self._reader.feed(await anext(self._stream))
        except StopAsyncIteration:
            broke: ProviderError = truncated(self._model.name)
        except ProviderError as error:
            broke = error
        if isinstance(broke.instead, Model):  # what a fallback has left is read in the same way
            broke.instead = self._model.around(broke.instead)
        return [*self._reader.close(), Failure(broke)]

    async def close(self) -> None:
        """Close the other model's stream."""
        await self._stream.aclose()


def ends(deltas: Sequence[Delta]) -> bool:
    """Whether these are the last of an answer."""
    return bool(deltas) and isinstance(deltas[-1], Finish | Failure)
