"""One call of a `Fallback`: the tries that it takes, as one stream with one end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from headrace.errors import (
    ConfigurationError,
    DeadlineExceeded,
    HeadraceError,
    ProviderError,
    RequestRejected,
    StreamingUnsupported,
    StreamTruncated,
    UsageError,
)
from headrace.models.assembler import Assembler
from headrace.models.begun_answer import Seam, can_go_on, with_answer
from headrace.models.deltas import (
    CONTENT,
    AnsweredBy,
    Delta,
    Failure,
    Finish,
    Note,
    UsageDelta,
)
from headrace.models.estimate import estimate
from headrace.models.model import Model
from headrace.models.request import ModelRequest
from headrace.models.stream import ModelStream, truncated
from headrace.usage import Usage

if TYPE_CHECKING:
    from headrace.models.fallback import Fallback


def falls_over(error: HeadraceError) -> bool:
    """Whether another model may do better: all but what is wrong with the request itself."""
    if isinstance(error, RequestRejected):
        return error.status == 404  # no such model there
    return isinstance(error, ProviderError | ConfigurationError | StreamingUnsupported)


class _Try:
    """One model in a call: its stream, and what is known of it so far."""

    def __init__(self, model: Model, request: ModelRequest, seam: Seam | None) -> None:
        self.model = model
        self.request = request
        self.seam = seam
        self.stream: ModelStream = model.stream(request)
        self.content = False
        self.said = 0
        self.told: Usage | None = None

    def add(self, batch: list[Delta]) -> list[Delta]:
        """Take the stream's next deltas; gives them as they go on from the tries before."""
        if self.seam is not None:
            batch = self.seam.take(batch)
        if not self.content and any(isinstance(d, (*CONTENT, Finish)) for d in batch):
            self.content = any(isinstance(d, CONTENT) for d in batch)
            batch = [AnsweredBy(self.model.name), *batch]
        for delta in batch:
            if isinstance(delta, UsageDelta):
                self.told = delta.usage
            elif isinstance(delta, CONTENT):
                self.said += len(getattr(delta, "content", getattr(delta, "arguments", "")))
        return batch

    def used(self, error: HeadraceError) -> Usage:
        """What it took before it broke.

        A provider bills no request that it refused; one that fell silent may have worked on it.
        """
        if self.told is not None:
            return replace(self.told, exact=self.told.exact and not self.content)
        if self.content:
            return estimate(self.request, self.said)
        silent = isinstance(error, DeadlineExceeded | StreamTruncated)
        return Usage(exact=not silent or getattr(error, "wait", "") == "connect")


class FallbackCall:
    """One call over several models: an `Attempt` that outlives the models that fail in it."""

    def __init__(self, of: Fallback, request: ModelRequest) -> None:
        self._of = of
        self._request = request
        self._left = list(of.models)
        self._refused: list[Model | str] = []  # could not go on, and may be asked afresh
        self._try: _Try | None = None
        self._asking: Model | str = of.models[0]
        self._so_far = Assembler()
        self._content = False
        self._broke: ProviderError | None = None
        self._used = Usage()
        self._failed: list[str] = []
        self._closed = False

    async def read(self) -> list[Delta]:
        """The next deltas of whichever model answers."""
        try:
            if self._try is None:
                self._try = self._next()
            batch = await anext(self._try.stream)
        except StopAsyncIteration:
            return await self._over(truncated(self._of.name_of(self._asking)))
        except (ProviderError, UsageError) as error:
            return await self._over(error)
        return self._added(self._try, batch)

    async def close(self) -> None:
        """Close the stream of the model that answers; no other is asked."""
        self._closed = True
        current, self._try = self._try, None
        if current is not None:
            await current.stream.aclose()

    def _next(self) -> _Try:
        """Ask the model whose turn it is."""
        self._asking = self._left.pop(0)
        model = self._of.made(self._asking)
        if not self._content:
            return _Try(model, self._request, None)
        text = self._so_far.turn().text
        seam = Seam(text, echoes=getattr(model, "echoes", False))
        return _Try(model, with_answer(self._request, text), seam)

    def _added(self, current: _Try, batch: list[Delta]) -> list[Delta]:
        batch = current.add(batch)
        if current.content:
            self._content = True
        if self._of.midstream == "continue":
            self._so_far.add(batch)
        if self._used != Usage():
            batch = self._with_usage(current, batch)
        return batch

    def _with_usage(self, current: _Try, batch: list[Delta]) -> list[Delta]:
        """The deltas with the usage of all tries instead of this one's."""
        summed: list[Delta] = []
        for delta in batch:
            if isinstance(delta, UsageDelta):
                delta = UsageDelta(self._used + delta.usage)
            elif isinstance(delta, Finish) and current.told is None and self._used.total:
                now = estimate(current.request, current.said)
                summed.append(UsageDelta(self._used + now))
            summed.append(delta)
        return summed

    async def _over(self, error: HeadraceError) -> list[Delta]:
        """A model failed: say that another is asked now, or end the call."""
        current, self._try = self._try, None
        if current is not None:
            await current.stream.aclose()
            self._used = self._used + current.used(error)
        if self._closed:
            return []
        if self._content:
            return self._broken(error, current is not None and current.content)
        if self._left and falls_over(error):
            return self._switch(error, "instead")
        return self._end(error)

    def _broken(self, error: HeadraceError, its_own: bool) -> list[Delta]:
        """A model failed after content: its own, or that of the one before."""
        last = error if isinstance(error, ProviderError) else self._broke
        if not its_own and not falls_over(error):
            # It takes no answer begun; asked afresh it may well answer.
            self._refused.append(self._asking)
            last = self._broke
        self._broke = last
        midstream = self._of.midstream
        if last is None or midstream == "error" or not falls_over(last):
            return self._end(last or error)
        if midstream == "continue" and can_go_on(self._so_far.turn()) and self._found_one():
            return self._switch(error, "to go on with the answer")
        left = [*self._refused, *self._left]
        return self._end(last, self._of.rest(left) if left else None)

    def _found_one(self) -> bool:
        """Whether a model is left that can go on with an answer; it is asked next."""
        for place, named in enumerate(self._left):
            try:
                model = self._of.made(named)
            except ConfigurationError:
                continue
            if getattr(model, "continues", False):
                self._left.insert(0, self._left.pop(place))
                return True
        return False

    def _switch(self, error: HeadraceError, how: str) -> list[Delta]:
        """Say that the first model that is left is asked now."""
        said = f"{self._of.name_of(self._asking)} failed: {error.message}"
        self._failed.append(said)
        following = self._of.name_of(self._left[0])
        told: list[Delta] = [Note("fallback", f"{said} Asking {following} {how}.")]
        if self._used.total:  # inexact until the model that is asked now has told its own
            told.append(UsageDelta(replace(self._used, exact=False)))
        return told

    def _end(self, error: HeadraceError, instead: Fallback | None = None) -> list[Delta]:
        for said in self._failed:
            error.add_note(said)
        if not isinstance(error, ProviderError):
            raise error
        error.instead = instead
        return [Failure(error)]
