"""The ways to cut bytes: nothing is lost, and each keeps its promise."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from headrace.testing.chunkings import bytewise, every_cut, random_cuts, whole


@given(st.binary(max_size=40), st.integers(), st.integers(1, 60))
def test_the_chunks_join_to_the_data(data: bytes, seed: int, pieces: int) -> None:
    cuttings = chain(whole(data), bytewise(data), random_cuts(data, seed, pieces), every_cut(data))
    for cutting in cuttings:
        assert b"".join(cutting) == data


def test_each_cutting() -> None:
    assert list(whole(b"abc")) == [[b"abc"]]
    assert list(bytewise(b"abc")) == [[b"a", b"b", b"c"]]
    assert list(every_cut(b"ab")) == [[b"", b"ab"], [b"a", b"b"], [b"ab", b""]]


def test_random_cuts_repeat_with_their_seed() -> None:
    data = bytes(100)
    first = list(random_cuts(data, 1, 5))
    assert first == list(random_cuts(data, 1, 5))
    assert first != list(random_cuts(data, 2, 5))
    assert [len(cutting) for cutting in first] == [5]
