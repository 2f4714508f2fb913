"""Keeps a model's or a tool's text from steering the terminal it is shown in. Pure.

A terminal obeys what it is sent: ESC and C1 sequences move the cursor, set the clipboard, change
titles, and make it type answers back (ECMA-48 §5; xterm's "Control Sequences"). Bidirectional
overrides and isolates make text read as something it is not (Unicode TR 36 §3.1, "Trojan
Source"). These characters are replaced one by one, never whole sequences, so that a sequence
that is cut over two tokens gets no further than one that comes whole.
"""

from __future__ import annotations

import re

_HOSTILE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_PICTURES = 0x2400
"""Where Unicode draws the C0 controls: U+241B is the picture of ESC."""


def visible(text: str) -> str:
    """The text with every control character but newline and tab made harmless.

    C0 controls and DEL become their picture (ESC is ``␛``), a carriage return vanishes, and C1
    controls, bidirectional controls and lone surrogates (which no output can encode) become
    ``�``. Each character is judged alone: ``visible(a + b) == visible(a) + visible(b)``.
    """
    return _HOSTILE.sub(_shown, text) if _HOSTILE.search(text) else text


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code == 0x0D:
        return ""
    if code == 0x7F:
        return "\u2421"
    return chr(_PICTURES + code) if code < 0x20 else "\ufffd"


def one_line(text: str, limit: int = 200) -> str:
    """The text made `visible`, in one line of at most `limit` characters."""
    line = " ".join(visible(text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def escape_json(line: bytes) -> bytes:
    r"""A line of JSON, the same value, with those characters written as ``\uXXXX``.

    JSON itself leaves DEL, C1 and bidirectional controls as they are (RFC 8259 §7).
    """
    text = line.decode()
    if not _HOSTILE.search(text):
        return line
    return _HOSTILE.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()
