"""Slices that viewers share: each is encoded once, and no one's state is another's."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.errors import HeadraceError
from headrace.events import Event, Token
from headrace.protocols.encoder import Encoder
from headrace.server.frames import KEPT, KEPT_BYTES, Frames


class Counting(Encoder):
    """Tells how many events it has seen; counts how often anyone encoded at all."""

    def __init__(self, key: str = "counting", size: int = 1) -> None:
        self.key = key
        self.seen = 0
        self.size = size
        self.work: list[int] = []  # shared by all forks, on purpose

    def encode(self, events: Sequence[Event]) -> bytes:
        self.seen += len(events)
        self.work.append(self.seen)
        return b"%d" % self.seen * self.size

    def fail(self, error: HeadraceError) -> bytes:
        return b""


def batch(first: int, last: int) -> list[Event]:
    return [Token(seq, 1.0, "", "x", seq) for seq in range(first, last + 1)]


def shared(viewers: int = 2) -> Frames:
    frames = Frames()
    frames.viewers = viewers
    return frames


def test_a_slice_is_encoded_once_for_all_who_stand_there() -> None:
    frames, encoder = shared(200), Counting()
    made = [frames.encoded(encoder, 0, batch(1, 3)) for _ in range(200)]
    assert len(encoder.work) == 1
    assert {slice.data for slice in made} == {b"3"}


def test_the_encoder_that_is_given_stays_where_it_is() -> None:
    frames, encoder = shared(), Counting()
    first = frames.encoded(encoder, 0, batch(1, 3))
    assert encoder.seen == 0
    assert frames.encoded(first.encoder, 3, batch(4, 4)).data == b"4"
    # Another viewer that stands at 3 takes the same bytes, without its own state going wrong.
    assert frames.encoded(first.encoder, 3, batch(4, 5)).data == b"5"
    assert frames.encoded(encoder, 0, batch(1, 3)).data == b"3"


def test_other_cuts_and_other_protocols_share_nothing() -> None:
    frames, one, two = shared(), Counting("a"), Counting("b")
    for encoder in (one, two):
        frames.encoded(encoder, 0, batch(1, 2))
        frames.encoded(encoder, 0, batch(1, 3))
    assert (len(one.work), len(two.work)) == (2, 2)


def test_one_viewer_keeps_nothing() -> None:
    frames, encoder = shared(1), Counting()
    frames.encoded(encoder, 0, batch(1, 1))
    frames.encoded(encoder, 0, batch(1, 1))
    assert len(encoder.work) == 2


def test_what_is_kept_is_bounded() -> None:
    frames, encoder = shared(), Counting()
    for after in range(KEPT + 1):
        frames.encoded(encoder, after, batch(after + 1, after + 1))
    frames.encoded(encoder, 1, batch(2, 2))
    assert len(encoder.work) == KEPT + 1  # it is kept still
    frames.encoded(encoder, 0, batch(1, 1))
    assert len(encoder.work) == KEPT + 2  # it made room
    large = Counting("large", KEPT_BYTES + 1)
    for _ in range(2):
        frames.encoded(large, 0, batch(1, 1))
    assert len(large.work) == 2
