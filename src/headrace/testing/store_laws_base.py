"""What the laws of a store stand on: the store to try, and checks that say what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from types import TracebackType
from typing import Any, TypeVar

from headrace.events import TERMINAL, Event
from headrace.runs.stores.record import RunRecord
from headrace.runs.stores.store import Store
from headrace.testing.store_laws_samples import run_record

T = TypeVar("T")


class StoreLawsBase:
    """Gives each law a store of its own.

    Attributes:
        patience: Seconds that a law may take; a store that lets it wait for longer has failed.
    """

    patience: float = 5.0

    def make_store(self) -> Store | AbstractAsyncContextManager[Store]:
        """A new and empty store, or an async context manager that gives one."""
        raise NotImplementedError("Say in make_store() which store to try.")

    def opened(self) -> Opened:
        """The store of one law: ``async with self.opened() as store``."""
        return Opened(self.make_store(), self.patience)


class Opened:
    """A store while a law tries it: closed at the end, and the law ends in time."""

    def __init__(self, made: Store | AbstractAsyncContextManager[Store], patience: float) -> None:
        self._made = made
        self._patience = patience
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Store:
        try:
            if isinstance(self._made, AbstractAsyncContextManager):
                store = await self._stack.enter_async_context(self._made)
            else:
                store = self._made
                self._stack.push_async_callback(store.close)
            await self._stack.enter_async_context(asyncio.timeout(self._patience))
        except BaseException:
            await self._stack.aclose()
            raise
        return store

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            async with asyncio.timeout(self._patience):  # closing may hang too
                await self._stack.__aexit__(kind, error, trace)
        except TimeoutError:
            raise AssertionError(
                f"After {self._patience:g} s the store still lets its caller wait."
            ) from error


def expect(holds: bool, why: str) -> None:
    """Fail with `why` where it does not hold.

    Raises:
        AssertionError: it does not.
    """
    if not holds:
        raise AssertionError(why)


def same(got: object, want: object, what: str) -> None:
    """Fail where two values differ.

    Raises:
        AssertionError: they do; it shows the beginning of both.
    """
    expect(got == want, f"{what}: {_short(got)}, where {_short(want)} was expected")


def same_events(got: Sequence[Event], want: Sequence[Event], what: str) -> None:
    """Fail where two logs differ.

    Raises:
        AssertionError: they do; it shows the seqs and the first event that differs.
    """
    if list(got) == list(want):
        return
    for mine, theirs in zip(got, want, strict=False):
        same(mine, theirs, f"{what}, at seq {theirs.seq}")
    same([event.seq for event in got], [event.seq for event in want], f"{what}, the seqs")


@contextmanager
def refused(*errors: type[BaseException], what: str) -> Iterator[list[BaseException]]:
    """The body must raise one of these errors; the list holds it afterwards.

    Raises:
        AssertionError: it raised nothing. Another error goes through.
    """
    seen: list[BaseException] = []
    try:
        yield seen
    except errors as error:
        seen.append(error)
    else:
        raise AssertionError(f"{what}: not refused by {' or '.join(e.__name__ for e in errors)}")


@asynccontextmanager
async def beside(*calls: Coroutine[Any, Any, T]) -> AsyncIterator[list[asyncio.Task[T]]]:
    """Tasks that go on beside the law; none is left when it ends, however it does."""
    tasks = [asyncio.create_task(call) for call in calls]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def all_refused(
    error: type[BaseException], what: str, *calls: Coroutine[Any, Any, object]
) -> None:
    """Each of these calls must raise this error.

    Raises:
        AssertionError: one raised nothing. Another error goes through.
    """
    left = list(calls)
    try:
        while left:
            call = left.pop(0)
            with refused(error, what=f"{what}, in {getattr(call, '__qualname__', 'a call')}"):
                await call
    finally:
        for call in left:
            call.close()


async def begin(store: Store, run_id: str = "run_1", **fields: Any) -> RunRecord:
    """Make a live run."""
    return await store.create(run_record(run_id, **fields))


async def whole(store: Store, run_id: str = "run_1", after: int = 0) -> list[Event]:
    """All events behind `after`, read piece by piece."""
    events: list[Event] = []
    while piece := await store.read(run_id, after):
        expect(piece[0].seq > after, f"reading behind {after} gave {piece[0].seq} again")
        events += piece
        after = piece[-1].seq
    return events


async def followed(
    store: Store,
    run_id: str = "run_1",
    after: int = 0,
    started: Callable[[], object] | None = None,
) -> list[Event]:
    """All events that a follower is shown, to the run's end; `started` is told of the first."""
    events: list[Event] = []
    async for piece in store.follow(run_id, after):
        expect(bool(piece), "a follower is given nothing")
        events += piece
        if started is not None:
            started()
    expect(not events or isinstance(events[-1], TERMINAL), "a follower stops before the end")
    return events


async def poll(ask: Callable[[], Awaitable[Any]], what: str, seconds: float = 5.0) -> Any:
    """Ask again and again until the answer is true; gives it.

    Raises:
        AssertionError: it never was.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while not (answer := await ask()):
        expect(loop.time() < until, f"{what}: not within {seconds:g} s")
        await asyncio.sleep(0.005)
    return answer


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:297]}…"
