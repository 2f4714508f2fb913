"""The pages' files: read once, each with its gzip and its tag; nothing else can be asked for."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from headrace.server.replies import PAGE_SECURITY

MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
"""What is served, by the end of its name; other files of the folder are not."""


class Asset(Struct, frozen=True):
    """A file of a page.

    Attributes:
        body: As it is.
        packed: The same in gzip (RFC 1952), without a time, so that equal files are equal bytes.
        tag: Its `ETag`: weak, as it is that of the file and of its gzip (RFC 9110, 8.8.3.3).
        media_type: Its type.
    """

    body: bytes
    packed: bytes
    tag: str
    media_type: str


@cache
def assets() -> dict[str, Asset]:
    """Every file by its path below `headrace.server.pages`, as ``assets/chat/app.js``."""
    return dict(_found(files("headrace.server") / "pages", ""))


def asset_reply(request: Request, asset: Asset) -> Response:
    """The file; 304 where the browser has it (RFC 9110, 13.1.2)."""
    headers = PAGE_SECURITY | {
        "cache-control": "no-cache",
        "etag": asset.tag,
        "vary": "accept-encoding",
    }
    if has_tag(request.headers.get("if-none-match", ""), asset.tag):
        return Response(None, 304, headers)
    if takes_gzip(request.headers.get("accept-encoding", "")):
        headers["content-encoding"] = "gzip"
        return Response(asset.packed, 200, headers, asset.media_type)
    return Response(asset.body, 200, headers, asset.media_type)


def has_tag(header: str, tag: str) -> bool:
    """Whether an ``If-None-Match`` names this tag; both may be weak or not (RFC 9110, 13.1.2)."""
    return header.strip() == "*" or tag.removeprefix("W/") in header


def takes_gzip(header: str) -> bool:
    """Whether an ``Accept-Encoding`` allows gzip by its name (RFC 9110, 12.5.3)."""
    for told in header.lower().split(","):
        name, _, quality = told.replace(" ", "").partition(";")
        if name == "gzip":
            return re.fullmatch(r"q=0(\.0*)?", quality) is None
    return False


def _found(folder: Traversable, at: str) -> Iterator[tuple[str, Asset]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _found(entry, f"{at}{entry.name}/")
        elif media_type := MEDIA_TYPES.get(entry.name.rpartition(".")[2]):
            body = entry.read_bytes()
            packed = gzip.compress(body, mtime=0)
            tag = f'W/"{sha256(body).hexdigest()[:32]}"'
            yield at + entry.name, Asset(body, packed, tag, media_type)
