"""Ways to cut bytes into chunks, to show that a decoder's result never depends on the cuts.

Each function yields one or more cuttings; a cutting is a list of chunks that join to the data.
"""

from __future__ import annotations

import random
from collections.abc import Iterator


def whole(data: bytes) -> Iterator[list[bytes]]:
    """Yield the data as one chunk."""
    yield [data]


def bytewise(data: bytes) -> Iterator[list[bytes]]:
    """Yield the data as chunks of one byte."""
    yield [data[i : i + 1] for i in range(len(data))]


def random_cuts(data: bytes, seed: int, pieces: int = 8) -> Iterator[list[bytes]]:
    """Yield the data as `pieces` chunks (at least one), cut anywhere; some may be empty.

    The same seed always gives the same cuts.
    """
    chance = random.Random(seed)  # noqa: S311 - a repeatable choice of cuts, no secret
    ends = sorted(chance.randint(0, len(data)) for _ in range(pieces - 1))
    yield [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


def every_cut(data: bytes) -> Iterator[list[bytes]]:
    """Yield every way to make two chunks, also with an empty one at either end."""
    for cut in range(len(data) + 1):
        yield [data[:cut], data[cut:]]
