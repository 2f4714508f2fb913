"""Images and files as content blocks of the Messages API: pure.

Source: API reference, "Vision", "PDF support", "Files API".
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import unquote_to_bytes

from headrace.errors import UsageError
from headrace.messages import File, Image

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_PDF = "application/pdf"
_UNTOLD = "application/octet-stream"


def image_block(image: Image) -> dict[str, Any]:
    """An image's block.

    Raises:
        UsageError: for a kind of image that the API does not take.
    """
    if image.url is not None:
        if not image.url.startswith("data:"):
            return {"type": "image", "source": {"type": "url", "url": image.url}}
        kind, data = _data_url(image.url)
    else:
        kind, data = image.media_type, image.data or b""
    return _image(kind, data)


def file_block(file: File) -> dict[str, Any]:
    """A file's block: PDF and text as a document, pictures as an image.

    Raises:
        UsageError: for a kind of file that the API does not take.
    """
    if file.file_id is not None:
        kind = "image" if file.media_type.startswith("image/") else "document"
        return _named({"type": kind, "source": {"type": "file", "file_id": file.file_id}}, file)
    if file.url is not None and not file.url.startswith("data:"):
        return _linked(file, file.url)
    kind, data = _data_url(file.url) if file.url else (file.media_type, file.data or b"")
    if kind in _IMAGES:
        return _image(kind, data)
    if kind == _PDF:
        source = {"type": "base64", "media_type": _PDF, "data": b64encode(data).decode()}
    elif kind.startswith("text/"):
        text = data.decode("utf-8", "replace")
        source = {"type": "text", "media_type": "text/plain", "data": text}
    else:
        raise _refused(f"files of the type {kind}")
    return _named({"type": "document", "source": source}, file)


def _linked(file: File, url: str) -> dict[str, Any]:
    if file.media_type in _IMAGES:
        return {"type": "image", "source": {"type": "url", "url": url}}
    if file.media_type not in (_PDF, _UNTOLD):
        raise _refused(f"files of the type {file.media_type} by their URL")
    return _named({"type": "document", "source": {"type": "url", "url": url}}, file)


def _image(kind: str, data: bytes) -> dict[str, Any]:
    if kind not in _IMAGES:
        raise _refused(f"images of the type {kind}")
    source = {"type": "base64", "media_type": kind, "data": b64encode(data).decode()}
    return {"type": "image", "source": source}


def _named(block: dict[str, Any], file: File) -> dict[str, Any]:
    return {**block, "title": file.name} if file.name and block["type"] == "document" else block


def _data_url(url: str) -> tuple[str, bytes]:
    """Media type and bytes of a ``data:`` URL (RFC 2397)."""
    head, comma, data = url.removeprefix("data:").partition(",")
    kind, *parameters = head.split(";")
    try:
        raw = unquote_to_bytes(data)
        content = b64decode(raw, validate=True) if "base64" in parameters else raw
    except ValueError:
        comma = ""
    if not comma:
        raise UsageError("An image's or file's data: URL cannot be read.")
    return kind.strip().lower() or "text/plain", content


def _refused(what: str) -> UsageError:
    return UsageError(
        f"Anthropic's Messages API takes no {what}.",
        hint="It takes PDF and text files, and JPEG, PNG, GIF and WebP images.",
    )
