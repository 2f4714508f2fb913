"""The pages' files: each read once, lean, with its gzip and tag; nothing else can be asked for."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from functools import cache, cached_property
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

from headrace.server.lean import lean_css, lean_js
from headrace.server.replies import PAGE_SECURITY

MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
"""What is served, by the end of its name; other files of the folder are not."""


LEAN = {"js": lean_js, "css": lean_css}
"""How files are served, by the ends of their names; all others are as they are."""

MINIFIED = re.compile(r"assets/vendor/(?!preact\.js)[^/]+\.js")
"""Scripts that others wrote are as they made them: small already."""

MEMORY_LEVELS = (6, 7, 8)
"""How much zlib codes together (its `memLevel`); which one is best is another for each file."""


class Asset:
    """A file of a page; made ready when it is first asked for, in a few milliseconds.

    So nothing waits long for it: not the server's start, and no stream that is live meanwhile.

    Args:
        path: Its path below `headrace.server.pages`.
        entry: The file.
        media_type: Its type.
    """

    def __init__(self, path: str, entry: Traversable, media_type: str) -> None:
        self.path = path
        self.media_type = media_type
        self._entry = entry

    @cached_property
    def body(self) -> bytes:
        """What is served."""
        lean = LEAN.get(self.path.rpartition(".")[2])
        if lean is None or MINIFIED.fullmatch(self.path):
            return self._entry.read_bytes()
        return lean(self._entry.read_text("utf-8")).encode()

    @cached_property
    def packed(self) -> bytes:
        """The same in gzip (RFC 1952), without a time, so that equal files are equal bytes."""
        return min((_gzip(self.body, level) for level in MEMORY_LEVELS), key=len)

    @cached_property
    def tag(self) -> str:
        """Its `ETag`: weak, as it is that of the body and of its gzip (RFC 9110, 8.8.3.3)."""
        return f'W/"{sha256(self.body).hexdigest()[:32]}"'


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


def _gzip(data: bytes, memory_level: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS + 16, memory_level)
    return packer.compress(data) + packer.flush()


def _found(folder: Traversable, at: str) -> Iterator[tuple[str, Asset]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _found(entry, f"{at}{entry.name}/")
        elif media_type := MEDIA_TYPES.get(entry.name.rpartition(".")[2]):
            path = at + entry.name
            yield path, Asset(path, entry, media_type)
