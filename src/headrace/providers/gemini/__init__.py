"""Gemini's own wire, `models.streamGenerateContent` with server-sent events.

`encode.py` (with `contents.py` and `thinking.py`) makes the request, `decode.py` (with `chunk.py`,
`parts.py`, `usage_counts.py` and `raw_error.py`) reads the stream, `client.py` carries both.
"""
