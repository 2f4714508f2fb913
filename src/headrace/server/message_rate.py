"""How fast a client may send messages over one WebSocket. Pure: it is told the time."""

from __future__ import annotations

from typing import Literal

PER_SECOND = 30.0
"""Messages a second that a client may send over one socket, on and on."""

BURST = 60.0
"""Messages that it may send at once, after a while of silence."""

REFUSED = 30.0
"""Messages beyond that are refused; so many more than it may send end the socket."""

Verdict = Literal["take", "refuse", "close"]


class MessageRate:
    """A bucket of `BURST` messages that fills by `PER_SECOND`, and may be overdrawn by `REFUSED`.

    Args:
        now: Seconds of a clock that never falls.
    """

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        self._at = now
        self._left = BURST

    def message(self, now: float) -> Verdict:
        """What to do with a message that came now.

        One that is refused counts, too: a client that does not slow down is closed.
        """
        self._left = min(BURST, self._left + (now - self._at) * PER_SECOND) - 1.0
        self._at = now
        if self._left >= 0:
            return "take"
        return "refuse" if self._left >= -REFUSED else "close"
