"""Slices of a run as bytes, shared: each is encoded once for a protocol, not for each viewer."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from msgspec import Struct

from headrace.events import Event
from headrace.protocols.encoder import Encoder

KEPT = 32
"""Slices of one run that are kept for the other viewers; those who are up to date need one."""

KEPT_BYTES = 256 * 1024
"""Bytes of a slice that is worth keeping: a viewer that catches up reads larger ones alone."""


class Slice(Struct, frozen=True):
    """What an encoder made of a batch, and the encoder behind it."""

    data: bytes
    encoder: Encoder


class Frames:
    """The slices of one run that its viewers have encoded lately."""

    __slots__ = ("_kept", "viewers")

    def __init__(self) -> None:
        self._kept: dict[Hashable, Slice] = {}
        self.viewers = 0

    def encoded(self, encoder: Encoder, after: int, batch: Sequence[Event]) -> Slice:
        """The bytes of the batch behind `after`, and the encoder to go on with.

        The encoder that is given stays as it is: others may stand there still.
        """
        place = (encoder.key, after, batch[-1].seq)
        found = self._kept.get(place)
        if found is None:
            fork = encoder.fork()
            found = Slice(fork.encode(batch), fork)
            if self.viewers > 1 and len(found.data) <= KEPT_BYTES:
                while len(self._kept) >= KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[place] = found
        return found
