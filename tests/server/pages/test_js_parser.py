"""`SSEParser` of headrace.js against our own decoder, which is tested against the standard."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import WireError
from headrace.wire.sse_decoder import SSEDecoder
from tests.support.node import run_node
from tests.wire.test_sse_decoder import FRAGMENTS, streams

ASCII = [fragment for fragment in FRAGMENTS if fragment.isascii()]
CASES = [
    *(
        b"\xef\xbb\xbfdata: a\n\n",
        b"\xef\xbb\xbf" * 2 + b"data: a\n\n",
        b"\n\xef\xbb\xbfdata: a\n\n",
    ),
    *(b"\xef\xbb\xbf", b"\xef\xbb\xbf\ndata: a\n\n", b"\xef\xbbdata: a\n\n", b"\xef\xbb\xbf\r\n"),
    *(b"data: a\r\ndata: b\r\r", b"data: a\r\n\r\ndata: b\r\n\r\n", b"data: a\r\r\n\ndata: b\n\n"),
    *(b"event: e\n\ndata: a\n\n", b"data\n\n", b"data:\n\n", b"data\ndata\n\n", b"data: a\n"),
    *(b"id: 7\n\nid: 8\n", b"id: 1\ndata: a\n\nid\ndata: b\n\n", b"id: a\0b\nid: 2\0\ndata: c\n\n"),
    *(b"retry: 5\nretry: 5x\nretry:\nretry: -1\nretry: 1.5\nretry:  7\n", b"retry: 0012"),
    *(b"data:  a \t\n\ndata:\tb\n\n", b"Data: a\ndata : b\n: data: c\nx: d\n\n"),
    b"data: \xff|\xe2\x82|\xf0\x9f\x98|\xc3|\xed\xa0\x80|\xf4\x90\x80\x80|\xc0\x80\n\n",
    "data: a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1eh😀i\n\n".encode(),
    b"event: __proto__\nid: constructor\ndata: toString\n\n",
]


def ours(data: bytes) -> tuple[list[Any], list[int]]:
    """The decoder's outcome as the script tells it, and how many events are out after each byte."""
    decoder, events, after = SSEDecoder(), list[Any](), list[int]()
    for i in range(len(data)):
        events += decoder.feed(data[i : i + 1])
        after.append(len(events))
    told = [{"data": e.data, "event": e.event, "id": e.id} for e in events]
    return [told, decoder.last_event_id, decoder.retry_ms, None], after


async def parsed(inputs: list[bytes], **bounds: int) -> list[dict[str, Any]]:
    lines = [json.dumps({"data": base64.b64encode(i).decode(), "bounds": bounds}) for i in inputs]
    out = await run_node("headrace_parse.mjs", stdin="\n".join(lines).encode())
    return [json.loads(line) for line in out.split("\n")[:-1]]


def collected(strategy: st.SearchStrategy[bytes], count: int) -> list[bytes]:
    """Inputs that Hypothesis makes up: one process then takes them all."""
    found = list[bytes]()

    @settings(max_examples=count, derandomize=True, database=None)
    @given(strategy)
    def collect(data: bytes) -> None:
        found.append(data)

    collect()
    return found


async def test_it_parses_as_our_decoder_does_in_every_cut() -> None:
    inputs = [*CASES, *collected(streams, 400)]
    results = await parsed(inputs)
    assert len(results) == len(inputs) > 300
    for data, result in zip(inputs, results, strict=True):
        assert (result["outcome"], result["after"]) == ours(data), data
        assert result["same"], data


async def test_with_small_bounds_it_fails_where_our_decoder_does() -> None:
    """ASCII, because the bounds are in bytes there and in UTF-16 code units here."""
    soup = st.lists(st.sampled_from(ASCII), max_size=20).map(b"".join)
    # A `retry` counts for no event there; so that the bounds are the same, there is none.
    inputs = [data for data in collected(soup, 300) if b"retry" not in data]
    results = await parsed(inputs, maxLine=12, maxEvent=20)
    codes = set()
    for data, result in zip(inputs, results, strict=True):
        decoder, events, code = SSEDecoder(max_line=12, max_event=20), list[Any](), None
        try:
            for i in range(len(data)):
                events += decoder.feed(data[i : i + 1])
        except WireError as error:
            code = error.code
        assert len(result["outcome"][0]) == len(events), data
        assert result["outcome"][3] == code, data
        assert result["same"], data
        codes.add(code)
    assert codes == {None, "line_too_long", "event_too_large"}


async def test_an_event_of_megabytes_passes_and_one_over_8_mib_does_not() -> None:
    text = b"x" * 3_000_000
    passes = b"data: " + text + b"\ndata: " + text + b"\n\n"
    out = await run_node("headrace_long.mjs", stdin=passes)
    assert json.loads(out) == {"lengths": [6_000_001], "code": None}
    for late in (b"data: " + b"x" * (8 * 2**20), b"data: y\n" * 2**20 + b"data: y"):
        out = await run_node("headrace_long.mjs", stdin=b"data: a\n\n" + late)
        told = json.loads(out)
        assert told["lengths"] == [1]
        assert told["code"] in {"line_too_long", "event_too_large"}
