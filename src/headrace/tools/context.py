"""What a running tool is given: the run's context, a cancel signal, a way to tell of progress."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


class CancelSignal:
    """A flag that is set once, and can be awaited in any event loop and in any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def is_set(self) -> bool:
        """Whether it is set."""
        return self._event.is_set()

    def set(self) -> None:
        """Set it and wake all who wait; again is no error."""
        with self._lock:
            self._event.set()
            waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            loop = waiter.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(_wake, waiter)

    async def wait(self) -> None:
        """Wait until it is set."""
        waiter = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._event.is_set():
                return
            self._waiters.add(waiter)
        try:
            await waiter
        finally:
            with self._lock:
                self._waiters.discard(waiter)

    def wait_sync(self, timeout: float | None = None) -> bool:
        """Block this thread until it is set, at most `timeout` seconds; whether it is set."""
        return self._event.wait(timeout)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _nowhere(text: str) -> None:
    """Progress outside a run goes nowhere."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a tool may ask for: a parameter annotated `RunContext` gets it, unseen by the model.

    It may be used from any thread. Made by hand, for a test of a tool, it needs no arguments.

    Attributes:
        context: What the caller gave as `context=` to the run; shared by all its tools.
        run_id: The run.
        call_id: The call that this is.
        tool_name: The tool's name as the model knows it.
        signal: Set when the call was cancelled or took too long.
    """

    context: Mapping[str, Any] = field(default_factory=dict)
    run_id: str = ""
    call_id: str = ""
    tool_name: str = ""
    signal: CancelSignal = field(default_factory=CancelSignal, repr=False)
    emit: Callable[[str], None] = field(default=_nowhere, repr=False)

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for this call's result any more: stop as soon as you can."""
        return self.signal.is_set

    async def wait_cancelled(self) -> None:
        """Wait until the call is cancelled."""
        await self.signal.wait()

    def wait_cancelled_sync(self, timeout: float | None = None) -> bool:
        """Block this thread until the call is cancelled, at most `timeout` seconds.

        Use it instead of `time.sleep` in a loop: it gives True as soon as there is no need to
        go on.
        """
        return self.signal.wait_sync(timeout)

    def progress(self, text: str) -> None:
        """Tell viewers how it is going (a `tool_progress` event).

        After the call's end it does nothing. In a thread it waits while many pieces are still
        on their way to the event loop.
        """
        self.emit(text)

    def for_call(self, call_id: str, tool_name: str, emit: Callable[[str], None]) -> RunContext:
        """This context for one call, with a cancel signal of its own."""
        return replace(self, call_id=call_id, tool_name=tool_name, signal=CancelSignal(), emit=emit)
