"""`headrace doctor URL`: what the proxies on the way to a server do to its streams."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.endings import FAILED, clear_endings
from headrace.cli.send import Insecure, ServerURL, Token, remote_at

if TYPE_CHECKING:
    from headrace.frontends.doctor_findings import Finding

Idle = Annotated[
    int,
    typer.Option(
        "--idle",
        metavar="SECONDS",
        min=0,
        max=300,
        help="Also keep a stream silent for so long, and see whether it is cut off.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="The findings as JSON.")]

_MARKS = {"ok": "✓", "note": "·", "warning": "!", "fault": "✗"}


@clear_endings()
def doctor(
    url: ServerURL,
    idle: Idle = 0,
    json: Json = False,
    token: Token = None,
    insecure: Insecure = False,
) -> None:
    """See what proxies do to a server's streams.

    Reads timed frames through whatever stands on the way, and tells whether they are buffered,
    compressed or cut off, and which line of configuration to change. It takes a few seconds, asks
    no model and starts no run.

    Exit codes: 0 all is well, 1 a fault was found, 2 wrong usage.
    """
    from headrace.frontends.doctor import examine
    from headrace.frontends.doctor_findings import diagnose

    server = remote_at(url, token, insecure).server
    findings = diagnose(asyncio.run(examine(server, idle)))
    if json:
        import msgspec

        print(msgspec.json.encode(findings).decode())
    else:
        for line in report(findings):
            print(line)
    if any(finding.mark == "fault" for finding in findings):
        raise typer.Exit(FAILED)


def report(findings: Sequence[Finding]) -> Iterator[str]:
    """The findings as lines: first what was found, then what to change."""
    from headrace.frontends.escapes import one_line

    for finding in findings:
        yield f"{_MARKS[finding.mark]} {finding.what.ljust(13)} {one_line(finding.text, 300)}"
    for finding in findings:
        if finding.change:
            yield ""
            yield f"To change for {finding.what}:"
            yield from _columns(finding.change)


def _columns(change: Iterable[tuple[str, str]]) -> Iterator[str]:
    rows = list(change)
    width = max(len(proxy) for proxy, _ in rows)
    for proxy, line in rows:
        yield f"  {proxy.ljust(width)}  {line}"
