"""``data:`` URLs (RFC 2397)."""

from __future__ import annotations

from base64 import b64encode


def data_url(data: bytes | None, media_type: str) -> str:
    """The bytes as a ``data:`` URL in base64."""
    return f"data:{media_type};base64,{b64encode(data or b'').decode()}"
