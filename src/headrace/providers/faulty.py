"""A model for tests: another model, broken in a chosen way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from headrace.errors import ProviderError
from headrace.models.deltas import Delta, Failure
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest
from headrace.models.stream import Attempt, truncated


@dataclass(frozen=True)
class Cut:
    """The transport ends after `after` deltas, without the provider's own end."""

    after: int = 0


@dataclass(frozen=True)
class Stall:
    """Nothing comes any more after `after` deltas, and the connection stays open."""

    after: int = 0


@dataclass(frozen=True)
class Fail:
    """The provider fails with `error` after `after` deltas; with 0 it refuses the request."""

    error: ProviderError
    after: int = 0


@dataclass(frozen=True)
class Slow:
    """Each read takes `seconds` longer."""

    seconds: float


Fault = Cut | Stall | Fail | Slow
"""One way to break."""


class FaultyModel(BaseModel):
    """A model with a fault.

    Args:
        inner: What it answers with as far as it does.
        fault: How it breaks.
        times: The first so many requests break, later ones do not; None breaks all.
        options: As for `BaseModel`; deadlines and retries are the inner model's by default.
    """

    def __init__(
        self, inner: BaseModel, fault: Fault, *, times: int | None = None, **options: Any
    ) -> None:
        given = {"deadlines": inner.deadlines, "retry": inner.retry, **options}
        super().__init__(inner.provider, inner.model, **given)
        self.inner = inner
        self.continues, self.echoes = inner.continues, inner.echoes
        self.features = inner.features
        self.fault = fault
        self._left = times

    async def open(self, request: ModelRequest) -> Attempt:
        """Ask the inner model, and break its answer.

        Raises:
            ProviderError: the inner model's, or a `Fail` before the first delta.
        """
        if self._left == 0:
            return await self.inner.open(request)
        if self._left is not None:
            self._left -= 1
        if isinstance(self.fault, Fail) and self.fault.after == 0:
            raise self.fault.error
        return _FaultyAttempt(await self.inner.open(request), self.fault, self.provider)


class _FaultyAttempt:
    def __init__(self, inner: Attempt, fault: Fault, provider: str) -> None:
        self._inner = inner
        self._fault = fault
        self._provider = provider
        self._left = 0 if isinstance(fault, Slow) else fault.after

    async def read(self) -> list[Delta]:
        if isinstance(self._fault, Slow):
            await asyncio.sleep(self._fault.seconds)
            return await self._inner.read()
        if self._left == 0:
            return await self._break()
        batch = (await self._inner.read())[: self._left]
        self._left -= len(batch)
        return batch

    async def close(self) -> None:
        await self._inner.close()

    async def _break(self) -> list[Delta]:
        if isinstance(self._fault, Stall):
            await asyncio.Event().wait()
        if isinstance(self._fault, Fail):
            return [Failure(self._fault.error)]
        return [Failure(truncated(self._provider))]
