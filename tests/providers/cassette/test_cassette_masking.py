"""No secret gets into a cassette, however the bytes are cut."""

from __future__ import annotations

import json
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import LineTooLong
from headrace.providers.cassette.format import Piece
from headrace.providers.cassette.masking import MAX_HELD, LineMask, Masker, secret_values
from headrace.testing.chunkings import bytewise

KEY = "can/ary-0123456789+abc=def"
BODY = (
    f'data: {{"content":"your key is {KEY}."}}\n\n: é\n'
    f'data: {{"x":"Bearer abcdef123456"}}\r\ndata: {KEY}\rdata: {KEY}'
).encode()


def through(mask: LineMask, pieces: list[bytes]) -> list[Piece]:
    out = [kept for at, data in enumerate(pieces) for kept in mask.take(at, data)]
    return out + mask.close()


def text_of(pieces: list[Piece]) -> bytes:
    return b"".join(piece.data for piece in pieces)


def fresh() -> LineMask:
    return LineMask(Masker([KEY]))


def test_every_cut_of_the_bytes_masks_the_same() -> None:
    whole = text_of(through(fresh(), [BODY]))
    assert (
        whole
        == (
            'data: {"content":"your key is ****."}\n\n: é\n'
            'data: {"x":"Bearer ****"}\r\ndata: ****\rdata: ****'
        ).encode()
    )
    for cut in range(1, len(BODY)):
        assert text_of(through(fresh(), [BODY[:cut], BODY[cut:]])) == whole, cut
    assert text_of(through(fresh(), next(bytewise(BODY)))) == whole


@given(st.binary(), st.lists(st.integers(0, 200)))
def test_other_bytes_pass_as_they_are_in_the_pieces_that_they_came_in(
    data: bytes, cuts: list[int]
) -> None:
    marks = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in pairwise(marks)]
    out = through(LineMask(Masker(["never-in-there"])), pieces)
    assert text_of(out) == data
    times = [piece.ms for piece in out]
    assert times == sorted(times)


def test_times_stay_and_a_masked_line_has_that_of_its_end() -> None:
    pieces = [b"da", b"ta: a\n\ndata: ", KEY[:5].encode(), KEY[5:].encode() + b"\n", b"x\n"]
    assert through(fresh(), pieces) == [
        Piece(0, b"da"),
        Piece(1, b"ta: a\n\n"),
        Piece(3, b"data: ****\n"),
        Piece(4, b"x\n"),
    ]


def test_what_is_masked_does_not_depend_on_how_many_lines_came_at_once() -> None:
    lines = [b"Basic\n", b"abcdef123\n"]
    assert text_of(through(fresh(), lines)) == text_of(through(fresh(), [b"".join(lines)]))


def test_an_answer_that_breaks_off_within_a_key_keeps_no_part_of_it() -> None:
    for size in range(4, len(KEY) + 1):
        for pieces in ([f"data: {KEY[:size]}"], ["data: ", KEY[:3], KEY[3:size]]):
            out = through(fresh(), [piece.encode() for piece in pieces])
            assert text_of(out) == b"data: ****"
    assert text_of(through(fresh(), [b"data: can"])) == b"data: can"


def test_a_whole_line_is_not_held_back() -> None:
    mask = fresh()
    assert text_of(mask.take(0, b"data: a\n\nda")) == b"data: a\n\n"


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        quote(KEY, safe=""),
        quote(KEY, safe="").lower(),
        json.dumps(KEY)[1:-1],
        KEY.replace("/", "\\/"),
        KEY.replace("/", "\\u002f"),
        KEY.replace("+", "\\u002B"),
        KEY.replace("/", "\\\\/"),
        "".join(f"\\u{ord(char):04x}" for char in KEY),
    ],
)
def test_escaped_keys_are_masked_too(form: str) -> None:
    assert Masker([KEY]).text(f"<{form}>") == "<****>"


def test_json_stays_json() -> None:
    value = {
        "secret": None,
        "api_key": "abcd1234",
        "x-api-key": True,
        "access_token": ["a", {"key": "https://u:p@host/?key=abc"}],
        "text": 'api_key="abc123" secret=abcd\\ and "http://a" b:c@d',
        "key": f"{KEY}\\",
    }
    masked = Masker([KEY]).text(json.dumps(value))
    assert json.loads(masked)["api_key"] == "****"
    assert KEY not in masked


def test_a_line_without_end_is_bounded() -> None:
    mask = fresh()
    mask.take(0, b"x" * MAX_HELD)
    with pytest.raises(LineTooLong):
        mask.take(1, b"x")


def test_headers_are_masked_by_their_names_and_by_their_values() -> None:
    headers = {
        "Set-Cookie": "session=abc",
        "X-Api-Key": "abc",
        "WWW-Authenticate": "Basic realm=x",
        "X-Session-Token": "abc",
        "x-request-id": "req_123",
        "X-RateLimit-Remaining-Tokens": "17",
        "x-echo": f"you sent {KEY}",
        "content-type": "text/event-stream",
    }
    assert Masker([KEY]).headers(headers) == {
        "set-cookie": "****",
        "x-api-key": "****",
        "www-authenticate": "****",
        "x-session-token": "****",
        "x-request-id": "req_123",
        "x-ratelimit-remaining-tokens": "17",
        "x-echo": "you sent ****",
        "content-type": "text/event-stream",
    }


def test_very_many_and_very_long_headers_are_cut() -> None:
    headers = {f"x-{number}": "y" * 5000 for number in range(500)}
    kept = Masker([]).headers(headers)
    assert len(kept) == 100
    assert {len(value) for value in kept.values()} == {1000}


def test_which_parts_of_a_request_are_secrets() -> None:
    sent = {
        "Authorization": "Bearer canary-12345",
        "Proxy-Authorization": "Basic dXNlcjpwYXNz",
        "api-key": "canary-67890",
        "X-Corp-Token": "two words here",
        "Content-Type": "application/json",
        "X-Key": "short",
    }
    assert secret_values(sent.items()) == [
        "canary-12345",
        "dXNlcjpwYXNz",
        "canary-67890",
        "words here",
    ]
