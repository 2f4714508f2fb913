"""A thread that takes all jobs that wait, carries them out together, and answers each loop once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from headrace.errors import StoreUnavailable

T = TypeVar("T")


class Job(Generic[T]):
    """Something to be done in a thread for a coroutine that waits for it.

    Attributes:
        call: What to do; it is given what its thread works with.
        result: What came of it.
        error: What it raised instead.
    """

    __slots__ = ("call", "error", "future", "result")

    def __init__(self, call: Callable[[T], Any], future: asyncio.Future[Any]) -> None:
        self.call = call
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None


class Worker(Generic[T]):
    """One daemon thread, begun by the first job.

    Args:
        name: The thread's.
        what: Whose thread it is, for the error of a closed one: ``The store …``.
    """

    def __init__(self, name: str, what: str) -> None:
        self._name = name
        self._what = what
        self._queue: SimpleQueue[Job[T] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._asleep = False
        self._finished: futures.Future[None] = futures.Future()

    # What a kind of worker says -------------------------------------------------------------

    def carry_out(self, jobs: list[Job[T]]) -> Sequence[asyncio.Future[None]]:
        """Give every job its result or error; gives futures that are to be woken besides."""
        raise NotImplementedError

    def patience(self) -> float | None:
        """Seconds after which `idle` is to be called if no job comes; None for never."""
        return None

    def idle(self) -> Sequence[asyncio.Future[None]]:
        """No job has come for so long; gives futures that are to be woken."""
        return ()

    def leave(self) -> None:
        """The thread ends."""

    # What the loops call ---------------------------------------------------------------------

    def submit(self, call: Callable[[T], Any]) -> asyncio.Future[Any]:
        """Have `call` done in the thread; gives what to await.

        Raises:
            StoreUnavailable: the store is closed.
        """
        future = asyncio.get_running_loop().create_future()
        job = Job(call, future)
        with self._lock:
            if self._closed:
                raise StoreUnavailable(f"{self._what} is closed.", hint="Open it again.")
            self._begin()
            self._queue.put(job)
        return future

    def watch(self) -> None:
        """Something has changed that `patience` asks for: let the thread ask, if it sleeps."""
        if self._thread is None or self._asleep:
            with self._lock:
                if not self._closed:
                    self._begin()
                    self._queue.put(None)

    def abandon(self) -> None:
        """Let the thread end when it has done what waits; not to be waited for."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._thread is None:
                self._finished.set_result(None)
            else:
                self._queue.put(None)

    async def close(self) -> None:
        """Do what waits, and end the thread; again is no error."""
        self.abandon()
        await asyncio.shield(asyncio.wrap_future(self._finished))
        if self._thread is not None:
            self._thread.join()

    # The thread ------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            while True:
                jobs = self._take()
                if jobs:
                    answer(jobs, self.carry_out(jobs))
                # Not `elif`: the nudge of `close` may have been taken along with these jobs.
                if self._closed and self._queue.empty():
                    return
        finally:
            self.leave()
            self._finished.set_result(None)

    def _take(self) -> list[Job[T]]:
        """All jobs that wait, once there is one; or none, after a nudge or a long silence."""
        queue = self._queue
        # Set before asking, so that whoever changes the answer meanwhile sees it.
        self._asleep = True
        patience = self.patience()
        self._asleep = patience is None
        try:
            first = queue.get(timeout=patience)
        except Empty:
            answer((), self.idle())
            return []
        taken = [first]
        for _ in range(queue.qsize()):
            taken.append(queue.get())
        return [job for job in taken if job is not None]


def answer(jobs: Sequence[Job[Any]], woken: Sequence[asyncio.Future[None]]) -> None:
    """Tell every job's coroutine what came of it: one call into each loop, however many wait."""
    if len(jobs) == 1 and not woken:
        _call(jobs[0].future.get_loop(), jobs, woken)
        return
    loops: dict[asyncio.AbstractEventLoop, tuple[list[Job[Any]], list[asyncio.Future[None]]]] = {}
    for job in jobs:
        loop = job.future.get_loop()
        if loop not in loops:
            loops[loop] = ([], [])
        loops[loop][0].append(job)
    for future in woken:
        loops.setdefault(future.get_loop(), ([], []))[1].append(future)
    for loop, (done, rung) in loops.items():
        _call(loop, done, rung)


def _call(
    loop: asyncio.AbstractEventLoop,
    jobs: Sequence[Job[Any]],
    woken: Sequence[asyncio.Future[None]],
) -> None:
    # A loop that was closed meanwhile has no one left who waits.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_settle, jobs, woken)


def _settle(jobs: Sequence[Job[Any]], woken: Sequence[asyncio.Future[None]]) -> None:
    for job in jobs:
        if job.future.done():
            continue  # its coroutine was cancelled
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
    for future in woken:
        if not future.done():
            future.set_result(None)
