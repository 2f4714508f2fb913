"""A model whose tries are scripted, batch by batch, with waits between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from headrace.errors import ConnectionFailed, ProviderError, StreamTruncated
from headrace.messages import Message
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import Delta, Finish, TextDelta
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest, Options
from headrace.models.retry import RetryPolicy

Item = Sequence[Delta] | float | BaseException

ASK = ModelRequest((Message.user("Hi"),))
STOP = Finish("stop")
AT_ONCE = RetryPolicy(retries=2, base=0.0)
REFUSED = ConnectionFailed("fake: no connection.")
CUT = StreamTruncated("fake: cut.")


def text(*pieces: str) -> list[Delta]:
    return [TextDelta(piece) for piece in pieces]


class Try:
    """One attempt: gives batches, waits for numbers, raises errors, then is silent for ever."""

    def __init__(self, *script: Item, open_takes: float = 0.0) -> None:
        self._script = list(script)
        self.open_takes = open_takes
        self.opened = False
        self.closes = 0
        self.closing = asyncio.Event()
        self.reads_after_close = 0

    @property
    def closed(self) -> bool:
        return self.closes > 0

    async def read(self) -> list[Delta]:
        self.reads_after_close += self.closed
        while self._script:
            item = self._script.pop(0)
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, int | float):
                await asyncio.sleep(item)
            else:
                return list(item)
        await asyncio.get_running_loop().create_future()
        raise AssertionError("a future that no one sets was set")

    async def close(self) -> None:
        self.closes += 1
        self.closing.set()


class FakeModel(BaseModel):
    """Gives its tries one after the other; an error in their place refuses the request."""

    def __init__(
        self,
        *tries: Try | ProviderError,
        deadlines: Deadlines | None = None,
        retry: RetryPolicy = AT_ONCE,
        options: Options | None = None,
    ) -> None:
        super().__init__("fake", "one", deadlines=deadlines, retry=retry, options=options)
        self.tries = list(tries)
        self.requests: list[ModelRequest] = []

    async def open(self, request: ModelRequest) -> Try:
        current = self.tries[len(self.requests)]
        self.requests.append(request)
        if isinstance(current, ProviderError):
            raise current
        await asyncio.sleep(current.open_takes)
        current.opened = True
        return current
