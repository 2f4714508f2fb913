"""`headrace explain RUN`: where the time of a run went, and what to do about it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from headrace.cli.endings import clear_endings, complain
from headrace.cli.send import Insecure, Token, refused, remote_at
from headrace.cli.storing import StoreURL, opened
from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.frontends.remote import Remote
    from headrace.telemetry.explain_socket import Lag
    from headrace.telemetry.explained import Explanation

What = Annotated[
    str,
    typer.Argument(
        metavar="RUN|URL", help="A run that headrace runs lists, or its address at a server."
    ),
]
Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="The run is at this server, not in a store."),
]
For = Annotated[
    float,
    typer.Option(
        "--for", metavar="SECONDS", help="How long to measure the stream of a server's live run."
    ),
]
GapOver = Annotated[
    float,
    typer.Option("--gap", metavar="SECONDS", help="Silences in mid-answer from which on to tell."),
]
AsJSON = Annotated[bool, typer.Option("--json", help="All of it as JSON.")]

SAME_SESSION = 50
"""Runs of the session that are looked at for the one that it waited for."""


class Told(NamedTuple):
    """What is told of a run; `lag` where the way of its events to here was measured."""

    explanation: Explanation
    words: list[str]
    lag: Lag | None = None


@clear_endings()
def explain(
    what: What,
    server: Server = None,
    seconds: For = 10.0,
    gap: GapOver = 1.0,
    json: AsJSON = False,
    store: StoreURL = None,
    token: Token = None,
    insecure: Insecure = False,
) -> None:
    """Tell where the time of a run went.

    Provider, queue, tools, lost tries, store, and Headrace itself: the parts add up to the whole.
    A run that goes on is told as far as it is. At a server, how its live stream arrives here is
    measured, too.
    """
    from headrace.cli.explain_show import as_json, show
    from headrace.errors import ServerRefused

    where, run_id = address(what, server)
    if not 0 <= seconds < float("inf"):
        raise UsageError("--for takes seconds, 0 or more.")
    if where is None:
        told = asyncio.run(_kept(run_id, gap, store))
    else:
        remote = remote_at(where, token, insecure)
        try:
            told = asyncio.run(_remote(remote, run_id, gap, seconds))
        except ServerRefused as error:
            raise typer.Exit(refused(error)) from None
    if json:
        print(as_json(told).decode())
    else:
        show(told)


def address(what: str, server: str | None) -> tuple[str | None, str]:
    """Where the run is, None for a store, and its id. Pure.

    Raises:
        UsageError: an address of a server, and no run of it.
    """
    if server is not None:
        return server, what
    head, found, rest = what.partition("/v1/runs/")
    if found:
        return head, rest.partition("?")[0].partition("/")[0]
    if "://" in what:
        raise UsageError(
            "That is the address of no run.",
            hint="Write it as http://127.0.0.1:8080/v1/runs/RUN, or RUN --server URL.",
        )
    return None, what


async def _kept(run_id: str, gap: float, url: str | None) -> Told:
    """A run of a store."""
    from headrace.cli.runs import is_lost
    from headrace.runs.stores.record import check_run_id
    from headrace.telemetry.explain import Explainer
    from headrace.telemetry.explain_socket import NOT_MEASURED
    from headrace.telemetry.explain_words import words

    explainer = Explainer(gap)
    async with opened(url) as store:
        record = await store.run(check_run_id(run_id))
        after = 0
        while events := await store.read(run_id, after):
            for event in events:
                explainer.add(event)
            after = events[-1].seq
        others = (
            await store.runs(session=record.session, limit=SAME_SESSION) if record.session else ()
        )
    if is_lost(record):
        complain("No process has this run now.", "It is told as far as its last event.")
    now = time.time() if record.live and not is_lost(record) else None
    explanation = explainer.explanation(record, now=now, others=others)
    return Told(explanation, [*words(explanation), NOT_MEASURED])


async def _remote(remote: Remote, run_id: str, gap: float, seconds: float) -> Told:
    """A run of a server."""
    from headrace.frontends.remote_look import look
    from headrace.telemetry.explain_socket import socket_words
    from headrace.telemetry.explain_words import words

    seen = await look(remote, run_id, seconds=seconds, gap=gap)
    socket = socket_words(seen.lag, seen.live, seconds)
    return Told(seen.explanation, [*words(seen.explanation), socket], seen.lag)
