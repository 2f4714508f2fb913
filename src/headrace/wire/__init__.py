"""Bytes in, values out: the codecs of the house, without I/O, async, clock or logging.

What is in the room:

- `sse_decoder`: ``SSEDecoder``, ``SSEEvent``: server-sent events from bytes in any cuts.
- `sse_encoder`: ``encode_event``, ``encode_comment``: the same format, written.
- `ndjson_decoder`: ``NDJSONDecoder``: newline-delimited JSON, one line at a time.
- `partial_json`: ``PartialJSON``: when to parse a growing JSON text again.

Decoders are fed and closed by whoever owns the socket. What they return never depends on how the
bytes were cut, what they keep has a bound, and past it they raise a ``WireError``.
"""
