"""`headrace doctor` through a real nginx, in each way that people get it wrong."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.doctor import report
from headrace.frontends.doctor_findings import Finding
from tests.cli.shell import headrace
from tests.support.loopback import FIN, RESET, Loopback, head, http_chunk, reply
from tests.support.nginx import nginx
from tests.support.probed import probed

NO_HINT = "proxy_ignore_headers X-Accel-Buffering;"
GZIP = "gzip on; gzip_types text/event-stream; gzip_proxied any; gzip_min_length 0;"


async def doctor(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(lambda: headrace("doctor", *arguments, **more))


async def marks(*arguments: str, **more: Any) -> dict[str, tuple[str, str]]:
    """What is looked at, with its mark and the lines to change."""
    findings = json.loads((await doctor(*arguments, "--json", **more)).stdout)
    return {
        f["what"]: (f["mark"], " ".join(line for _, line in f.get("change", ()))) for f in findings
    }


async def test_a_server_without_a_proxy_is_well() -> None:
    async with probed() as url:
        done = await doctor(url)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list("✓✓✓✓✓·✓·")
    assert f"{url} answers in" in lines[0]
    assert lines[-1].split(maxsplit=2)[2] == "none seen"
    assert done.stderr == ""


async def test_nginx_that_does_not_buffer_is_well(tmp_path: Path) -> None:
    async with probed() as upstream:
        with nginx(tmp_path, upstream, "proxy_buffering off; proxy_http_version 1.1;") as url:
            seen = await marks(url)
    assert {mark for mark, _ in seen.values()} == {"ok", "note"}
    assert "buffering" not in seen


async def test_nginx_as_it_comes_buffers_and_does_as_it_is_told(tmp_path: Path) -> None:
    async with probed() as upstream:
        with nginx(tmp_path, upstream) as url:
            seen = await marks(url)
    assert seen["streaming"] == seen["large events"] == ("ok", "")
    assert seen["buffering"] == ("note", "")
    assert seen["http"][0] == "warning"
    assert "proxy_http_version 1.1;" in seen["http"][1]


async def test_nginx_that_buffers_is_found_with_the_line_to_change(tmp_path: Path) -> None:
    async with probed() as upstream:
        with nginx(tmp_path, upstream, NO_HINT) as url:
            done = await doctor(url, code=1)
    lines = done.stdout.splitlines()
    large = next(line for line in lines if "large events" in line)
    assert large.startswith("✗")
    assert "frames wait for others" in large
    at = lines.index("To change for large events:")
    assert lines[at + 1].split()[:3] == ["nginx", "proxy_buffering", "off;"]
    assert len([line for line in lines if line.startswith("  ") and "buffering" in line]) == 1


async def test_nginx_that_compresses_is_found(tmp_path: Path) -> None:
    async with probed() as upstream:
        with nginx(tmp_path, upstream, GZIP) as url:
            seen = await marks(url)
    mark, line = seen["compression"]
    assert (mark, line.split()[:2]) == ("warning", ["gzip", "off;"])
    assert seen["streaming"] == ("ok", "")


async def test_nginx_that_buffers_and_compresses_holds_all_to_the_end(tmp_path: Path) -> None:
    async with probed() as upstream:
        with nginx(tmp_path, upstream, NO_HINT, GZIP) as url:
            done = await doctor(url, code=1)
    line = next(line for line in done.stdout.splitlines() if "compression" in line)
    assert line.startswith("✗")
    late = re.search(r"up to (\d+) ms late", line)
    assert late is not None
    assert int(late[1]) >= 1390  # its 1400 ms, and whatever a busy machine adds
    assert "gzip off;" in done.stdout


@pytest.mark.slow
async def test_nginx_that_cuts_a_silence_off_is_found(tmp_path: Path) -> None:
    async with probed() as upstream:
        with nginx(tmp_path, upstream, "proxy_read_timeout 2s;") as url:
            seen = await marks(url, "--idle", "5", code=1)
    assert seen["silence"] == ("fault", "proxy_read_timeout 300s;")
    assert seen["streaming"] == ("ok", "")


async def test_a_silence_that_passes() -> None:
    async with probed() as url:
        done = await doctor(url, "--idle", "1")
    assert "✓ silence       1 s of it pass" in done.stdout


@pytest.mark.parametrize(("http2", "mark"), [(True, "ok"), (False, "warning")])
async def test_what_tls_offers_a_browser(tmp_path: Path, http2: bool, mark: str) -> None:
    async with probed() as upstream:
        lines = "proxy_http_version 1.1;"
        with nginx(tmp_path, upstream, lines, tls=True, http2=http2) as url:
            env = {"SSL_CERT_FILE": str(tmp_path / "cert.pem")}
            seen = await marks(url, env=env)
            unknown = await doctor(url, code=1)
    assert seen["http"][0] == mark
    assert ("http2" in seen["http"][1]) != http2
    assert "TLS with" in unknown.stdout


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    async with probed() as upstream:
        with nginx(tmp_path, upstream) as url:
            pass
    done = await doctor(url, code=1)
    assert done.stdout.startswith("✗ server        No connection to 127.0.0.1")
    assert "Connection refused" in done.stdout


async def test_a_gateway_whose_server_is_gone(tmp_path: Path) -> None:
    async with probed() as upstream:
        pass
    with nginx(tmp_path, upstream) as url:
        done = await doctor(url, code=1)
    assert "502 Bad Gateway" in done.stdout


FRAME = b'data: {"n":1,"of":8,"sent_at":1.0,"http_version":"1.1"}\n\n'


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (reply(404, {"code": "not_found", "message": "Nothing here."}), "Nothing here."),
        (reply(200, "<html>Hi</html>", "text/html"), "text/html and no frames"),
        ([head(), http_chunk(b"data: no frame\n\n"), FIN], "no frames"),
        ([head(), http_chunk(FRAME), RESET], "broken off after 1 of 8 frames"),
        ([head(), http_chunk(FRAME * 500), http_chunk(b"")], "broken off after 5"),
    ],
)
async def test_a_server_that_has_no_probe(answer: list[object], text: str) -> None:
    async with Loopback(reply(200, {"status": "ok"}), answer) as server:
        done = await doctor(server.origin, code=1)
    line = next(line for line in done.stdout.splitlines() if "streaming" in line)
    assert line.startswith("✗")
    assert text in line


async def test_a_token_goes_along_and_is_shown_nowhere() -> None:
    refused = reply(401, {"code": "unauthorized", "message": "token-abc123 is unknown."})
    async with Loopback(refused) as server:
        done = await doctor(server.origin, code=1, env={"HEADRACE_TOKEN": "token-abc123"})
    assert server.requests[0].headers["authorization"] == "Bearer token-abc123"
    assert "token-abc123" not in done.stdout + done.stderr
    done = await doctor("http://192.0.2.1", "--token", "token-abc123", code=2)
    assert "plain http" in done.stderr
    assert "token-abc123" not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [[], ["ftp://x"], [":80", "--idle", "301"]])
def test_wrong_use(arguments: list[str]) -> None:
    assert headrace("doctor", *arguments, code=2).stdout == ""


def test_what_a_server_says_cannot_steer_the_terminal() -> None:
    (line,) = report([Finding("proxies", "note", "\x1b]0;owned\x07 nginx")])
    assert "\x1b" not in line
