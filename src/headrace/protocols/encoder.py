"""What a protocol is: a pure state machine from batches of events to bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Self

from headrace.errors import HeadraceError
from headrace.events import Event


class Encoder(ABC):
    """One protocol, as far as one viewer has read.

    It is fed a run's events in order, from the first one on, cut into any batches, neighbouring
    deltas joined or not. What it promises, and tests check of every protocol:

    - The bytes fold to the run's text, finish reason, usage and tool calls (law 10), whatever the
      cuts and joins; text that was withdrawn by a `retract` does not count.
    - What it has opened it closes, before the end. Once it has written an end it is fed no more.
    - Its state is a value: it hangs on the events alone (no clock, no randomness), `fork` gives
      an independent one, and encoders of equal `key` give equal bytes for equal events. So a
      batch is encoded once, however many viewers there are.

    Attributes:
        key: What tells this encoder from others of the same run: the protocol, and the options
            that change its bytes.
        cut: Whether the stream must not look whole, in a protocol that has no word for that: the
            server then breaks the body off instead of ending it.
        primed: Whether what it writes hangs on the events before: one that begins in the middle
            of a run is first fed with them.
    """

    key: Hashable
    cut: bool = False
    primed: bool = True

    @abstractmethod
    def encode(self, events: Sequence[Event]) -> bytes:
        """The bytes for the next events; ``b""`` where they say nothing in this protocol.

        The terminal event closes what is open and writes the protocol's own end.
        """

    @abstractmethod
    def fail(self, error: HeadraceError) -> bytes:
        """The bytes for a stream that must end here though the run has not ended.

        It closes what is open and tells the error where the protocol has a place for it; it never
        looks like an answer that is whole.
        """

    def fork(self) -> Self:
        """The same state, apart from this one. Attributes are immutable values."""
        kind = type(self)
        made = kind.__new__(kind)
        made.__dict__.update(self.__dict__)  # a third of what `copy.copy` takes
        return made
