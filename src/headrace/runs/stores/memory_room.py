"""What all parts of a memory store share: its bound, and the door that lets one in at a time."""

from __future__ import annotations

import threading
from types import TracebackType

from headrace.errors import StoreUnavailable


class Room:
    """The bytes that a store may hold, and those that it holds."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used = 0

    def fits(self, size: int) -> bool:
        """Whether so many more would fit."""
        return self.used + size <= self.max_bytes


class Door:
    """`with door:` lets one thread in at a time, and none once the store is closed.

    The store never awaits inside, so that event loops of several threads may share it.
    """

    def __init__(self) -> None:
        self.closed = False
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()
        if self.closed:
            self._lock.release()
            raise StoreUnavailable("The memory store is closed.", hint="Open a new one.")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def even_closed(self) -> threading.Lock:
        """The lock alone."""
        return self._lock
