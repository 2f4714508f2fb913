"""One model call: opened, watched by its deadlines, retried until first content, closed."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol

from headrace.errors import DeadlineExceeded, ProviderError, StreamTruncated
from headrace.models.deadlines import Deadlines, Watchdog
from headrace.models.deltas import CONTENT, Delta, Failure, Finish, Note, TextDelta
from headrace.models.request import ModelRequest
from headrace.models.retry import RetryPolicy


class Attempt(Protocol):
    """One request on its way: what a provider's client gives."""

    async def read(self) -> list[Delta]:
        """The next deltas, ``[]`` for bytes without any; a `Finish` or `Failure` comes last.

        Raises:
            ProviderError: when the connection breaks.
        """
        ...

    async def close(self) -> None:
        """Close the transport at once, whatever is still to come; never raises."""
        ...


class Opener(Protocol):
    """A model, as far as a stream needs it."""

    @property
    def provider(self) -> str:
        """Who, for error messages."""
        ...

    async def open(self, request: ModelRequest) -> Attempt:
        """Send the request; returns when the provider has accepted it.

        Raises:
            ProviderError: when it did not.
        """
        ...


class ModelStream:
    """Batches of deltas: an async context manager and an async iterator.

    Iterating sends the request. Errors before the first content are retried by the policy, each
    retry announced by a `Note`; later errors are raised after the deltas that came before them.
    The iteration ends after the batch that holds the `Finish`. Leaving the context closes the
    connection at once, so that the provider stops generating.

    Raises (from the iteration):
        ProviderError: the provider refused, broke, fell silent, or stopped without an end.
        UsageError: the provider has no way to do what the request asks for.
    """

    def __init__(
        self, model: Opener, request: ModelRequest, deadlines: Deadlines, retry: RetryPolicy
    ) -> None:
        self._model = model
        self._request = request
        self._deadlines = deadlines
        self._retry = retry
        self._retries = 0
        self._attempt: Attempt | None = None
        self._watchdog: Watchdog | None = None
        self._content = False
        self._ended = False
        self._pending: ProviderError | None = None
        self._wait = 0.0

    async def __aenter__(self) -> ModelStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection; iterating afterwards gives nothing."""
        self._ended = True
        if self._watchdog is not None:
            self._watchdog.stop()
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            await attempt.close()

    def __aiter__(self) -> ModelStream:
        return self

    async def __anext__(self) -> list[Delta]:
        while not self._ended:
            if self._pending is not None:
                await self._fail(self._pending)
            if self._wait:
                await self._sleep()
                continue
            try:
                batch = await self._read()
            except ProviderError as error:
                batch = [Failure(error)]
            if not batch:
                continue
            last = type(batch[-1])
            if last is Failure or last is Finish:
                batch = await self._end(batch)
            if batch:
                return batch
        raise StopAsyncIteration

    async def _read(self) -> list[Delta]:
        """One read under the watchdog."""
        watchdog = self._watchdog
        if watchdog is None:
            watchdog = self._watchdog = Watchdog(self._deadlines.run, self._deadlines.gap)
        if self._attempt is None:
            watchdog.expect("first_content", self._deadlines.first_content)
        watchdog.enter()
        content = False
        try:
            attempt = self._attempt
            if attempt is None:
                attempt = self._attempt = await self._model.open(self._request)
            if self._ended:  # `aclose` came from another task while it was opened
                await self.aclose()
                return []
            batch = await attempt.read()
            if batch and (type(batch[0]) is TextDelta or _has_content(batch)):
                content = self._content = True
            return batch
        except asyncio.CancelledError:
            if not watchdog.expired():
                raise
        finally:
            watchdog.leave(content)
        # Raised out here: the cancellation's frames hold the client's headers, and so its key.
        raise self._late(watchdog)

    async def _end(self, batch: list[Delta]) -> list[Delta]:
        """The last batch of a try: its end, a retry, or what came before a failure to raise."""
        last = batch[-1]
        if not isinstance(last, Failure):
            await self.aclose()
            return batch
        note = await self._again(last.error)
        if note is None:
            self._pending = last.error
            return batch[:-1]
        # What else came without any content (usage) belongs to the try that is lost.
        return [*(d for d in batch if isinstance(d, Note)), note]

    async def _again(self, error: ProviderError) -> Note | None:
        """Close the try; make ready for a retry and say so, or None to give up."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            await attempt.close()
        if self._content or self._ended or self._watchdog is None:
            return None
        wait = self._retry.wait_before(self._retries + 1, error, _jitter())
        if wait is None or wait >= self._watchdog.left:
            return None
        self._retries += 1
        self._wait = max(wait, 1e-6)
        return Note("retry", f"{error.message} Asking again in {self._wait:.1f} s.")

    async def _sleep(self) -> None:
        wait, self._wait = self._wait, 0.0
        await asyncio.sleep(wait)

    async def _fail(self, error: ProviderError) -> None:
        await self.aclose()
        raise error

    def _late(self, watchdog: Watchdog) -> DeadlineExceeded:
        if watchdog.left <= 0:
            late = DeadlineExceeded("run", self._deadlines.run or 0, provider=self._model.provider)
            late.retryable = False
            return late
        return DeadlineExceeded(watchdog.wait, watchdog.seconds, provider=self._model.provider)


def _has_content(batch: list[Delta]) -> bool:
    return any(isinstance(delta, CONTENT) for delta in batch)


def _jitter() -> float:
    from random import random  # takes hashlib along, and most streams never retry

    return random()  # noqa: S311  # spreads retries out; no secret


def truncated(provider: str) -> StreamTruncated:
    """The error for a transport that ended without the provider's own end (law 3)."""
    return StreamTruncated(
        f"{provider}: the stream ended before the answer did.",
        hint="The text so far is kept; ask again, or look for a proxy that cuts connections.",
        provider=provider,
    )
