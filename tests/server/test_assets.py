"""The pages' files: all of them, nothing else, packed, and not sent twice."""

from __future__ import annotations

import gzip
import re
from hashlib import sha256
from pathlib import Path
from urllib.parse import urljoin

import pytest

import headrace.server
from headrace.server.assets import MEDIA_TYPES, MINIFIED, assets, has_tag, takes_gzip
from headrace.server.replies import PAGE_SECURITY
from tests.server.asking import TOKENS, asking, raw, speaker
from tests.server.hosting import hosting
from tests.server.serving import serving
from tests.server.test_mount import fastapi, served

FOLDER = Path(headrace.server.__file__).parent / "pages"
PAGES = {"index.html": "/", "dashboard.html": "/dashboard", "headrace.js": "/headrace.js"}
LOADED = [file.relative_to(FOLDER).as_posix() for file in FOLDER.glob("assets/**/*.*")]
FILES = sorted([*PAGES, *LOADED])
SCRIPT = "/assets/chat/app.js"


def address(file: str) -> str:
    return PAGES.get(file, f"/{file}")


def test_none_of_them_has_an_ending_that_is_not_served() -> None:
    assert SCRIPT.removeprefix("/") in LOADED
    assert set(FILES) <= set(assets())


def test_what_is_not_lean_is_served_as_it_is() -> None:
    """tests/server/pages/test_lean.py compares the rest."""
    lean = {file for file in FILES if assets()[file].body != (FOLDER / file).read_bytes()}
    mine = {file for file in FILES if not MINIFIED.fullmatch(file)}
    assert lean == {file for file in mine if file.endswith((".js", ".css"))}
    assert {file for file in FILES if file.startswith("assets/vendor/")} & mine == {
        "assets/vendor/LICENSES.txt",
        "assets/vendor/preact.js",
        "assets/vendor/uplot.css",
    }


def test_packed_is_as_small_as_python_would_make_it() -> None:
    for asset in assets().values():
        assert gzip.decompress(asset.packed) == asset.body
        assert len(asset.packed) <= len(gzip.compress(asset.body, mtime=0))


async def test_every_file_is_served_to_anyone_as_a_part_of_a_page() -> None:
    async with serving([speaker()], tokens=TOKENS) as server, asking(server.url) as ask:
        for file in FILES:
            answer = await ask("GET", address(file), headers={"Accept-Encoding": "identity"})
            assert (answer.status, answer.body) == (200, assets()[file].body), file
            assert answer.headers["content-type"] == MEDIA_TYPES[file.rpartition(".")[2]]
            assert "content-encoding" not in answer.headers
            assert answer.headers.items() >= (PAGE_SECURITY | {"cache-control": "no-cache"}).items()


def test_a_page_may_load_its_own_and_nothing_else() -> None:
    policy = dict(
        rule.split(" ", 1) for rule in PAGE_SECURITY["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert policy["frame-ancestors"] == "'none'"


async def test_what_is_no_file_of_a_page_is_not_there() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        for name in (
            "none.js",
            "",
            "chat",
            "chat/",
            "chat/app.js/",
            "/chat/app.js",
            "CHAT/app.js",
            "chat/app.js%00",
            "chat/app.js.gz",
            "../index.html",
            "../../settings.py",
            "..%2f..%2fsettings.py",
            "%2e%2e/%2e%2e/settings.py",
            "chat/..%2fchat/app.js",
            "..%5c..%5csettings.py",
            "%2fetc%2fpasswd",
            "__init__.py",
        ):
            # Sent as it stands: a client would shorten the dots.
            head = f"GET /assets/{name} HTTP/1.1\r\nhost: x\r\n\r\n"
            answer = await raw(server.url, head.encode())
            assert (answer.status, answer.code) == (404, "not_found"), name
        for path in ("/index.html", "/dashboard.html", "/index.js", "/assets", "/dashboard/"):
            assert (await ask("GET", path)).status == 404, path


async def test_what_is_open_opens_nothing_else() -> None:
    """A path below the open ones is looked up as it stands."""
    async with serving([speaker()], tokens=TOKENS) as server:
        for path in ("/assets/../v1/runs", "/assets/..%2fv1/runs", "/assets//v1/runs"):
            answer = await raw(server.url, f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            assert (answer.status, answer.code) == (404, "not_found"), path


async def test_a_browser_gets_it_packed() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        for file in FILES:
            sent = b"GET %b HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip, deflate, br\r\n\r\n"
            answer = await raw(server.url, sent % address(file).encode())
            assert answer.headers["content-encoding"] == "gzip"
            assert "accept-encoding" in answer.headers["vary"].lower()
            assert gzip.decompress(answer.body) == assets()[file].body, file
        plain = await ask("GET", SCRIPT, headers={"Accept-Encoding": "br"})
        assert "content-encoding" not in plain.headers


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True),
        ("br, GZIP ;q=0.5", True),
        ("gzip;q=1.0", True),
        ("gzip;q=0", False),
        ("br, gzip; q=0.000", False),
        ("br", False),
        ("x-gzip-like", False),
        ("", False),
    ],
)
def test_who_takes_gzip(header: str, takes: bool) -> None:
    assert takes_gzip(header) is takes


@pytest.mark.parametrize(
    ("header", "has"),
    [
        ('W/"abc"', True),
        ('"abc"', True),
        ('"x", W/"abc"', True),
        ("*", True),
        ('W/"abcd"', False),
        ("abc", False),
        ("", False),
    ],
)
def test_who_has_it(header: str, has: bool) -> None:
    assert has_tag(header, 'W/"abc"') is has


async def test_what_a_browser_has_is_not_sent_again() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        tags = set()
        for file in FILES:
            first = await ask("GET", address(file))
            tag = first.headers["etag"]
            assert sha256(first.body).hexdigest().startswith(tag[3:-1])
            again = await ask("GET", address(file), headers={"If-None-Match": tag})
            assert (again.status, again.body) == (304, b"")
            assert again.headers["etag"] == tag
            assert again.headers.items() >= PAGE_SECURITY.items() - {("cache-control", "no-store")}
            tags.add(tag)
        assert len(tags) == len({assets()[file].body for file in FILES})
        other = await ask("GET", SCRIPT, headers={"If-None-Match": 'W/"other"'})
        assert other.status == 200


async def test_a_look_at_its_head_tells_its_tag_alone() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        head = await ask("HEAD", SCRIPT)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["etag"] == (await ask("GET", SCRIPT)).headers["etag"]


async def test_they_are_there_below_a_prefix_too() -> None:
    """Also what a page names by an address that is relative to it."""
    async with hosting(fastapi(served(speaker(), tokens=TOKENS))) as url, asking(url) as ask:
        for file in FILES:
            assert (await ask("GET", f"/ai{address(file)}")).status == 200, file
        for page in ("/ai/", "/ai/dashboard"):
            text = (await ask("GET", page)).body.decode()
            for named in re.findall(r'(?:src|href)="([^":]+)"', text):
                assert (await ask("GET", urljoin(page, named))).status == 200, (page, named)
