"""The SSE encoder: its bytes, what it refuses, and the round trip through the decoder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import UsageError
from headrace.wire.sse_decoder import SSEDecoder, SSEEvent
from headrace.wire.sse_encoder import encode_comment, encode_event

line_ends = st.sampled_from(["\r", "\n", "\r\n", "\u2028", "\x85", "\0", " ", ":", "\ufeff"])
texts = st.lists(st.text(max_size=8) | line_ends, max_size=8).map("".join)
one_liners = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))


def test_a_plain_event() -> None:
    assert encode_event("hello") == b"data: hello\n\n"


def test_every_field() -> None:
    encoded = encode_event("a", event="token", id="7", retry_ms=3000)
    assert encoded == b"event: token\nid: 7\nretry: 3000\ndata: a\n\n"


def test_empty_data_is_still_an_event() -> None:
    assert SSEDecoder().feed(encode_event("")) == [SSEEvent("")]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_each_line_end_begins_a_data_line(end: str) -> None:
    assert encode_event(f"a{end}b{end}") == b"data: a\ndata: b\ndata: \n\n"


@pytest.mark.parametrize("char", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1e"])
def test_no_other_character_does(char: str) -> None:
    assert encode_event(f"a{char}b") == f"data: a{char}b\n\n".encode()


def test_a_lone_surrogate_becomes_a_question_mark() -> None:
    assert encode_event("a\ud83db", event="\udc00", id="\ud800") == (
        b"event: ?\nid: ?\ndata: a?b\n\n"
    )
    assert encode_comment("\ud83d") == b": ?\n\n"


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b", "\n"])
def test_names_and_ids_hold_no_line_end_and_no_nul(bad: str) -> None:
    with pytest.raises(UsageError, match="`event`"):
        encode_event("x", event=bad)
    with pytest.raises(UsageError, match="`id`"):
        encode_event("x", id=bad)


def test_retry_is_never_negative() -> None:
    with pytest.raises(UsageError, match="-1"):
        encode_event("x", retry_ms=-1)


@given(
    data=texts,
    event=st.none() | one_liners,
    id=st.none() | one_liners,
    retry_ms=st.none() | st.integers(0, 2**40),
)
def test_the_decoder_reads_back_what_was_written(
    data: str, event: str | None, id: str | None, retry_ms: int | None
) -> None:
    decoder = SSEDecoder()
    encoded = encode_event(data, event=event, id=id, retry_ms=retry_ms)
    expected = SSEEvent(
        data.replace("\r\n", "\n").replace("\r", "\n"), event or "message", id or ""
    )
    assert decoder.feed(encoded) == [expected]
    assert decoder.retry_ms == retry_ms
    assert decoder.feed(encode_event("next"))[0].data == "next"


@given(texts)
def test_no_comment_is_ever_an_event(text: str) -> None:
    decoder = SSEDecoder()
    assert decoder.feed(encode_comment(text)) == []
    assert decoder.feed(encode_event("next")) == [SSEEvent("next")]


def test_a_comment_is_a_whole_frame() -> None:
    assert encode_comment() == b": \n\n"
    assert encode_comment("a\r\nb") == b": a\n: b\n\n"
