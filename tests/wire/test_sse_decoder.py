"""The SSE decoder against the standard, a slow reference and every way to cut the bytes."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.errors import EventTooLarge, LineTooLong, UsageError, WireError
from headrace.testing.chunkings import bytewise, every_cut, random_cuts, whole
from headrace.wire.sse_decoder import SSEDecoder, SSEEvent

Outcome = tuple[list[SSEEvent], str, int | None, type[WireError] | None]


def run(
    chunks: Iterable[bytes], *, max_line: int = 8 * 2**20, max_event: int = 8 * 2**20
) -> Outcome:
    """Feed and close; return events, ID, retry and the kind of error."""
    decoder = SSEDecoder(max_line=max_line, max_event=max_event)
    events: list[SSEEvent] = []
    failure: type[WireError] | None = None
    try:
        for chunk in chunks:
            events += decoder.feed(chunk)
        events += decoder.close()
    except WireError as error:
        failure = type(error)
    return events, decoder.last_event_id, decoder.retry_ms, failure


def decoded(data: bytes) -> list[SSEEvent]:
    return run([data])[0]


def reference(data: bytes) -> Outcome:
    """Decode a whole stream by the letter of WHATWG HTML 9.2.5 and 9.2.6."""
    text = data.decode("utf-8", "replace")
    if text.startswith("\ufeff"):
        text = text[1:]
    events: list[SSEEvent] = []
    retry: int | None = None
    data_buffer = event_type = id_buffer = last_event_id = ""
    for line in reference_lines(text):
        if line == "":
            last_event_id = id_buffer
            if data_buffer != "":
                events.append(SSEEvent(data_buffer[:-1], event_type or "message", last_event_id))
            data_buffer = event_type = ""
            continue
        field, value = reference_field(line)
        if field == "data":
            data_buffer += value + "\n"
        if field == "event":
            event_type = value
        if field == "id" and "\0" not in value:
            id_buffer = value
        if field == "retry" and value and all(c in "0123456789" for c in value):
            retry = int(value)
    return events, last_event_id, retry, None


def reference_lines(text: str) -> Iterator[str]:
    line = ""
    i = 0
    while i < len(text):
        if text[i] == "\r" and text[i + 1 : i + 2] == "\n":
            i += 1
        if text[i] in "\r\n":
            yield line
            line = ""
        else:
            line += text[i]
        i += 1


def reference_field(line: str) -> tuple[str, str]:
    if ":" not in line:
        return line, ""
    at = line.index(":")
    field, value = line[:at], line[at + 1 :]
    if value[:1] == " ":
        value = value[1:]
    return field, value


FRAGMENTS = [
    *(b"\n", b"\n", b"\n\n", b"\r", b"\r\n", b"\r\n\r\n", b"\r\r", b" ", b":", b"\0", b"data"),
    *(b"data:", b"data: ", b"data: x", b"data:y", b"data:  z ", b"Data: no", b" data: no"),
    *(b"event: e", b"event", b"event:", b"id: 1", b"id: a\0b", b"id", b"id:", b": comment"),
    *(b"retry: 5", b"retry:70", b"retry: 5x", b"retry:", b"retry", b"retry: -1", b"other: o"),
    *("\u2028".encode(), "\u2029".encode(), "\x85".encode(), b"\x0b", b"\x0c", b"\x1c\x1d\x1e"),
    *(b"\xef\xbb\xbf", b"\xef\xbb", b"\xff", b"\xe2\x82", b"\xf0\x9f\x98\x80", b"\xf0\x9f"),
    *(
        "retry: \u0663".encode(),
        b"data: a\n\n",
        b"event: t\ndata: b\n\n",
        b"event: t\ndata: b\n\n" * 3,
        b"event: t\ndata: b\nid: 7\n\n",
        b"event: \ndata: b\n\n",
        b"id: 9\ndata: c\r\n\r\n",
    ),
]
soup = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=3), max_size=30).map(b"".join)
streams = soup | st.binary(max_size=60)


@given(streams)
@example(b"data: a\n\n\ndata: b\n\n\n\ndata: c\n\n")
@example(b"\n\ndata: a\n\n\n")
@example(b"event: a\n\ndata: b\n\n")
@example(b"event: a\ndata: 1\n\nevent: a\ndata: 2\n\nevent: b\ndata: 3\n\nevent: a\ndata: 4\n\n")
@example(b"event: a\ndata: 1\n\nevent: a\ndata: 2\nevent: b\n\n\nevent: a\ndata: 3\n\n")
@example(b"data: a\n\ndata: b\nid: 4\n\ndata: c\n\n")
@example(b"event: a\nid: 1\ndata: b\n\nevent: \ndata: \n\n")
def test_the_result_is_the_standards(data: bytes) -> None:
    assert run([data]) == reference(data)


@given(streams, st.integers(0, 2**32), st.integers(1, 12))
def test_the_result_never_depends_on_the_cuts(data: bytes, seed: int, pieces: int) -> None:
    expected = reference(data)
    for cutting in chain(bytewise(data), every_cut(data), random_cuts(data, seed, pieces)):
        assert run(cutting) == expected


@given(streams, st.integers(1, 24), st.integers(1, 24), st.integers(0, 2**32))
@example(b"data\ndata: x", 5, 4, 0)
@example(b"data: abc\ndata: d\n\n", 9, 10, 0)
def test_with_small_bounds_the_result_never_depends_on_the_cuts(
    data: bytes, max_line: int, max_event: int, seed: int
) -> None:
    cuttings = chain(whole(data), bytewise(data), every_cut(data), random_cuts(data, seed))
    outcomes = [run(c, max_line=max_line, max_event=max_event) for c in cuttings]
    assert all(outcome == outcomes[0] for outcome in outcomes)
    good, *_ = reference(data)
    assert outcomes[0][0] == good[: len(outcomes[0][0])]


@given(streams)
def test_each_event_comes_with_the_byte_that_completes_it(data: bytes) -> None:
    decoder = SSEDecoder()
    events: list[SSEEvent] = []
    for end in range(1, len(data) + 1):
        events += decoder.feed(data[end - 1 : end])
        assert (events, decoder.last_event_id, decoder.retry_ms, None) == reference(data[:end])


# The nine rules, one by one.


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_rule_1_three_line_ends_are_one(end: bytes) -> None:
    data = end.join([b"event: e", b"data: a", b"data: b", b"", b"data: c", b"", b""])
    expected = [SSEEvent("a\nb", "e"), SSEEvent("c")]
    assert all(run(cutting)[0] == expected for cutting in every_cut(data))


@pytest.mark.parametrize(
    "char", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"]
)
def test_rule_1_nothing_else_ends_a_line(char: str) -> None:
    assert decoded(f"data: a{char}b\n\n".encode()) == [SSEEvent(f"a{char}b")]


def test_rule_1_cr_and_lf_over_two_chunks_are_one_line_end() -> None:
    assert run([b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n"])[0] == [SSEEvent("a\nb")]
    assert run([b"data: a\r", b"", b"\ndata: b\n\n"])[0] == [SSEEvent("a\nb")]


def test_rule_2_one_leading_bom_is_dropped() -> None:
    data = b"\xef\xbb\xbfdata: a\n\n"
    assert all(run(c)[0] == [SSEEvent("a")] for c in chain(every_cut(data), bytewise(data)))
    assert decoded(b"\xef\xbb\xbf" + data) == []
    assert decoded(b"\n" + data) == []
    assert decoded(b"\xef\xbbdata: a\n\n") == []


def test_rule_2_bad_utf8_is_replaced_by_maximal_subparts() -> None:
    data = b"data: \xff|\xe2\x82|\xf0\x9f\x98|\xc3\n\n"
    expected = [SSEEvent("\ufffd|\ufffd|\ufffd|\ufffd")]
    assert all(run(c)[0] == expected for c in chain(every_cut(data), bytewise(data)))


def test_rule_2_a_character_may_be_cut() -> None:
    assert all(run(c)[0] == [SSEEvent("a😀b")] for c in every_cut("data: a😀b\n\n".encode()))


def test_rule_3_one_space_is_dropped_and_nothing_at_the_end() -> None:
    assert decoded(b"data:  a \t\n\ndata:\tb\n\n") == [SSEEvent(" a \t"), SSEEvent("\tb")]


def test_rule_3_field_names_are_exact() -> None:
    assert decoded(b"Data: a\nDATA: b\n data: c\ndata : d\nfoo: e\n: data: f\n\n") == []


def test_rule_3_a_line_without_colon_is_a_field_without_value() -> None:
    assert decoded(b"data\ndata\n\nevent\ndata: x\n\n") == [SSEEvent("\n"), SSEEvent("x")]


def test_rule_4_an_empty_data_line_dispatches() -> None:
    assert decoded(b"data:\n\n") == [SSEEvent("")]


def test_rule_4_without_data_the_type_is_dropped() -> None:
    assert decoded(b"event: lost\n\ndata: a\n\n") == [SSEEvent("a", "message")]


def test_rule_4_the_last_type_counts_and_an_empty_one_is_message() -> None:
    assert decoded(b"event: a\nevent: b\ndata: x\n\n") == [SSEEvent("x", "b")]
    assert decoded(b"event: \ndata: x\n\n") == [SSEEvent("x", "message")]


def test_rule_5_the_id_persists_and_an_empty_one_resets() -> None:
    data = b"id: 1\ndata: a\n\ndata: b\n\nid: 2\0\ndata: c\n\nid\ndata: d\n\n"
    assert [event.id for event in decoded(data)] == ["1", "1", "1", ""]


def test_rule_5_a_blank_line_commits_the_id_also_without_data() -> None:
    assert run([b"id: 7\n\n"])[1] == "7"
    assert run([b"id: 7\n\nid: 8\n"])[1] == "7"
    assert run([b"id: 7\n\nid: 8\n", b"\n"])[1] == "8"


def test_rule_5_an_id_from_an_earlier_connection_stays() -> None:
    decoder = SSEDecoder()
    decoder.last_event_id = "41"
    assert decoder.feed(b"data: a\n\n") == [SSEEvent("a", id="41")]


@pytest.mark.parametrize(
    "value", ["", "-1", "+1", "1.5", "1 ", " 1", "1s", "\u0663", "\u00b2", "9" * 5000]
)
def test_rule_6_retry_needs_ascii_digits(value: str) -> None:
    data = f"retry: 10\nretry: {value}\n".encode()
    assert [run(cutting)[2] for cutting in ([data], [data, b"\n"], [data + b"\n"])] == [10] * 3


def test_rule_6_retry_takes_effect_on_its_line() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"retry: 25")
    assert decoder.retry_ms is None
    decoder.feed(b"00\n")
    assert decoder.retry_ms == 2500


def test_rule_7_an_unfinished_block_is_dropped() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\n\nid: 3\ndata: b\n") == [SSEEvent("a")]
    assert decoder.close() == []
    assert decoder.last_event_id == ""


@pytest.mark.parametrize("end", [b"\n\n", b"\r\r", b"\r\n\r"])
def test_rule_8_an_event_comes_out_of_the_call_that_completes_it(end: bytes) -> None:
    decoder = SSEDecoder()
    for number in range(3):
        assert decoder.feed(b"data: %d" % number) == []
        assert decoder.feed(end) == [SSEEvent(str(number))]


def test_rule_9_a_line_has_a_bound() -> None:
    line = b"data: " + b"x" * 94
    assert run([line + b"\n\n"], max_line=100)[0] == [SSEEvent("x" * 94)]
    for cutting in chain(whole(line + b"x"), bytewise(line + b"x"), whole(line + b"x\n\n")):
        assert run(cutting, max_line=100) == ([], "", None, LineTooLong)


def test_rule_9_an_event_has_a_bound() -> None:
    lines = b"data: 3456789\n" * 5
    assert len(run([lines + b"\n"], max_event=69)[0]) == 1
    for data in (lines + b"d", lines + b"id: 1\n\n", b"data: x\n" * 9, b"d" * 70):
        for cutting in chain(whole(data), bytewise(data)):
            assert run(cutting, max_event=69) == ([], "", None, EventTooLarge)


def test_rule_9_of_two_bounds_passed_at_once_the_line_is_named() -> None:
    for cutting in chain(whole(b"d" * 11), bytewise(b"d" * 11)):
        assert run(cutting, max_line=10, max_event=10)[3] is LineTooLong


def test_rule_9_comments_count_for_no_event() -> None:
    decoder = SSEDecoder(max_line=100, max_event=100)
    for _ in range(100):
        assert decoder.feed(b": still here\n") == []
    assert decoder.feed(b"data: a\n\n") == [SSEEvent("a")]
    assert decoder.feed(b"data: " + b"b" * 90 + b"\n:" + b" " * 50 + b"\n\n")[0].data == "b" * 90
    with pytest.raises(LineTooLong):
        decoder.feed(b":" * 101)


@pytest.mark.parametrize(
    "piece", [b"x" * 512, b"data: " + b"x" * 506, b"data: a\n" * 64, b"data\n" * 100]
)
def test_rule_9_memory_stays_bounded(piece: bytes) -> None:
    bound = 2**18

    def fill() -> None:
        endless = (piece for _ in range(20 * bound // len(piece)))
        assert run(endless, max_line=bound, max_event=bound)[3] is not None

    assert peak_of(fill) < 4 * bound


def test_rule_9_endless_comments_take_no_memory() -> None:
    def fill() -> None:
        decoder = SSEDecoder()
        for _ in range(20_000):
            decoder.feed(b": still here, and nothing to say\n")

    assert peak_of(fill) < 2**15


def peak_of(action: Callable[[], None]) -> int:
    """Return the most memory that the action holds at once, in bytes."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"data: " + b"x" * 2**16 + b"\n\n",
        b"data: xy\n" * 2**13 + b"\n",
        b"data: xy\n\n" * 2**13,
        b"data: xy\r\n\r\n" * 2**13,
        b"\n" * 2**16,
    ],
    ids=["long line", "many lines", "many events", "many events, CR LF", "blank lines"],
)
@pytest.mark.parametrize("step", [1, 7, 2**16])
def test_rule_9_the_cost_is_linear(data: bytes, step: int) -> None:
    decoder = SSEDecoder()
    chunks = [data[i : i + step] for i in range(0, len(data), step)]
    assert touched(lambda: [decoder.feed(chunk) for chunk in chunks]) <= 20 * len(data)


def touched(action: Callable[[], object]) -> int:
    """Count the bytes and characters that methods of bytes and str were called upon."""
    count = 0

    def profile(_frame: object, event: str, function: Any) -> None:
        nonlocal count
        owner = getattr(function, "__self__", None)
        if event == "c_call" and isinstance(owner, (bytes, bytearray, str)):
            count += len(owner)

    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


# Errors and the end.


def test_events_before_an_error_are_returned_first() -> None:
    decoder = SSEDecoder(max_line=20)
    assert decoder.feed(b"data: a\n\nid: 5\n\ndata: b\n\n" + b"x" * 21) == [
        SSEEvent("a"),
        SSEEvent("b", id="5"),
    ]
    with pytest.raises(LineTooLong, match="20 bytes"):
        decoder.feed(b"\n")


def test_a_failed_decoder_stays_failed() -> None:
    decoder = SSEDecoder(max_line=20)
    for _ in range(2):
        with pytest.raises(LineTooLong):
            decoder.feed(b"x" * 21)
    with pytest.raises(LineTooLong):
        decoder.feed(b"data: a\n\n")
    with pytest.raises(LineTooLong):
        decoder.close()


def test_close_raises_what_feed_could_not() -> None:
    decoder = SSEDecoder(max_event=20)
    assert decoder.feed(b"data: a\n\ndata: " + b"x" * 20) == [SSEEvent("a")]
    with pytest.raises(EventTooLarge):
        decoder.close()


def test_a_closed_decoder_takes_nothing_more() -> None:
    decoder = SSEDecoder()
    assert decoder.close() == decoder.close() == []
    with pytest.raises(UsageError, match="closed"):
        decoder.feed(b"data: a\n\n")


def test_long_events_pass_within_the_default_bounds() -> None:
    text = "x" * 1_000_000
    data = f"data: {text}\ndata: {text}\n\n".encode()
    chunks = [data[i : i + 65_536] for i in range(0, len(data), 65_536)]
    assert run(chunks)[0] == [SSEEvent(f"{text}\n{text}")]
