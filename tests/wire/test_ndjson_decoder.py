"""The NDJSON decoder: lines, bounds and every way to cut the bytes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from itertools import chain

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.errors import LineTooLong, UsageError, WireError
from headrace.testing.chunkings import bytewise, every_cut, random_cuts, whole
from headrace.wire.ndjson_decoder import NDJSONDecoder

Outcome = tuple[list[bytes], type[WireError] | None]


def run(chunks: Iterable[bytes], *, max_line: int = 8 * 2**20) -> Outcome:
    decoder = NDJSONDecoder(max_line=max_line)
    lines: list[bytes] = []
    try:
        for chunk in chunks:
            lines += decoder.feed(chunk)
        lines += decoder.close()
    except WireError as error:
        return lines, type(error)
    return lines, None


def reference(data: bytes) -> Outcome:
    """Cut a whole stream into lines, byte by byte."""
    lines = [b""]
    for number in data:
        if number == 10:
            lines.append(b"")
        else:
            lines[-1] += bytes([number])
    without_cr = [line[:-1] if line[-1:] == b"\r" else line for line in lines]
    return [line for line in without_cr if any(byte not in b" \t\r" for byte in line)], None


FRAGMENTS = [
    *(b"\n", b"\n", b"\r\n", b"\r", b"\n\n", b" ", b"\t", b"\x0b", b'{"a":1}', b'{"b":"'),
    *("\u2028".encode(), "\x85".encode(), b"\xff", b"\xef\xbb\xbf", b'"}', b"\0"),
]
streams = st.lists(st.sampled_from(FRAGMENTS), max_size=30).map(b"".join) | st.binary(max_size=60)


@given(streams, st.integers(0, 2**32), st.integers(1, 12))
@example(b'{"a":1}\r\n\r\n \r\n{"b":2}\r', 0, 3)
def test_the_result_never_depends_on_the_cuts(data: bytes, seed: int, pieces: int) -> None:
    expected = reference(data)
    cuttings = chain(whole(data), bytewise(data), every_cut(data), random_cuts(data, seed, pieces))
    for cutting in cuttings:
        assert run(cutting) == expected


@given(streams, st.integers(1, 12), st.integers(0, 2**32))
@example(b"1234\r\n", 4, 0)
def test_with_a_small_bound_the_result_never_depends_on_the_cuts(
    data: bytes, max_line: int, seed: int
) -> None:
    cuttings = chain(whole(data), bytewise(data), every_cut(data), random_cuts(data, seed))
    outcomes = [run(cutting, max_line=max_line) for cutting in cuttings]
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0][0] == reference(data)[0][: len(outcomes[0][0])]
    assert (outcomes[0][1] is None) == all(len(x) <= max_line for x in data.split(b"\n"))


def test_a_line_comes_out_of_the_call_that_completes_it() -> None:
    decoder = NDJSONDecoder()
    assert decoder.feed(b'{"a":') == []
    assert decoder.feed(b"1}\n{") == [b'{"a":1}']
    assert decoder.feed(b"}\r\n[]\n") == [b"{}", b"[]"]


def test_only_lf_ends_a_line_and_a_cr_before_it_is_dropped() -> None:
    data = '{"a":"\u2028\x85"}\r{}\r\n'.encode()
    assert run([data]) == ([data[:-2]], None)


def test_blank_lines_are_skipped() -> None:
    assert run([b"\n\r\n  \t\n1\n\n"]) == ([b"1"], None)


def test_a_last_line_without_lf_counts() -> None:
    assert run([b"1\n2"]) == ([b"1", b"2"], None)
    assert run([b"1\n \r"]) == ([b"1"], None)


def test_lines_before_an_error_are_returned_first() -> None:
    decoder = NDJSONDecoder(max_line=10)
    assert decoder.feed(b"1\n2\n" + b"x" * 11) == [b"1", b"2"]
    for _ in range(2):
        with pytest.raises(LineTooLong, match="10 bytes"):
            decoder.feed(b"3\n")
    with pytest.raises(LineTooLong):
        decoder.close()


def test_a_closed_decoder_takes_nothing_more() -> None:
    decoder = NDJSONDecoder()
    decoder.feed(b"1")
    assert decoder.close() == [b"1"]
    assert decoder.close() == []
    with pytest.raises(UsageError, match="closed"):
        decoder.feed(b"2\n")


def test_an_endless_line_takes_bounded_memory() -> None:
    bound = 2**18
    endless = (b"x" * 512 for _ in range(20 * bound // 512))
    tracemalloc.start()
    try:
        assert run(endless, max_line=bound) == ([], LineTooLong)
        assert tracemalloc.get_traced_memory()[1] < 3 * bound
    finally:
        tracemalloc.stop()
