"""`headrace runs`: the runs that are kept, newest first."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from headrace.cli.columns import print_columns, span
from headrace.cli.endings import clear_endings
from headrace.cli.storing import StoreURL, opened

if TYPE_CHECKING:
    from headrace.runs.stores.record import RunRecord
    from headrace.usage import Usage

OfSession = Annotated[
    str | None, typer.Option("--session", metavar="NAME", help="Only those of this conversation.")
]
WithStatus = Annotated[
    Literal["live", "complete", "error", "cancelled"] | None,
    typer.Option("--status", help="Only such; a lost run counts as live."),
]
Limit = Annotated[
    int, typer.Option("--limit", metavar="N", min=1, max=1000, help="At most so many.")
]

_HEADINGS = ("RUN", "AGE", "AGENT", "MODEL", "STATUS", "TOKENS", "TOOK", "TITLE")
_SPARE = ("AGENT", "TOKENS", "TOOK", "MODEL")


@clear_endings()
def runs(
    session: OfSession = None,
    status: WithStatus = None,
    limit: Limit = 20,
    json: Annotated[bool, typer.Option("--json", help="The same as JSON, with more.")] = False,
    store: StoreURL = None,
) -> None:
    """List the runs that are kept, newest first.

    A lost run has no process any more: the next headrace run, chat or watch ends it.
    """
    records = asyncio.run(_records(session, status, limit, store))
    if json:
        from json import dumps

        print(dumps([as_json(record) for record in records], indent=2))
    elif records:
        now = time.time()
        print_columns(_HEADINGS, [_row(record, now) for record in records], _SPARE)
    elif session is None and status is None:
        print('No runs are kept yet. Make one: headrace run "…"', file=sys.stderr)
    else:
        print("No such runs are kept.", file=sys.stderr)


async def _records(
    session: str | None, status: str | None, limit: int, url: str | None
) -> list[RunRecord]:
    wanted: Any = "running" if status == "live" else status
    async with opened(url) as store:
        return await store.runs(session=session, status=wanted, limit=limit)


def is_lost(record: RunRecord) -> bool:
    """Whether a run that has not ended has no process any more."""
    return record.live and record.lease_until < time.time()


def status_of(record: RunRecord) -> str:
    """``live``, ``lost`` or how it ended, with the reason where that says more."""
    from headrace.frontends.escapes import one_line

    word = _word(record)
    plain = record.live or record.reason in ("", "stop", word)
    return word if plain else f"{word}: {one_line(record.reason, 60)}"


def as_json(record: RunRecord) -> dict[str, Any]:
    """What is told of a run, for programs. Times are Unix seconds."""
    from msgspec import to_builtins

    told = ("id", "agent", "model", "user", "session", "parent", "title", "reason")
    more = ("created_at", "ended_at", "last_seq", "cut", "recoveries")
    return {
        **{name: getattr(record, name) for name in told},
        "status": _word(record),
        **{name: getattr(record, name) for name in more},
        "usage": to_builtins(record.usage),
    }


def _word(record: RunRecord) -> str:
    if not record.live:
        return record.status
    return "lost" if is_lost(record) else "live"


def _row(record: RunRecord, now: float) -> tuple[str, ...]:
    ended = now if record.ended_at is None else record.ended_at
    return (
        record.id,
        span(now - record.created_at),
        record.agent,
        record.model,
        status_of(record),
        _tokens(record.usage),
        "-" if is_lost(record) else span(ended - record.created_at),
        record.title,
    )


def _tokens(usage: Usage | None) -> str:
    if usage is None:
        return "-"
    return f"{'' if usage.exact else '≈'}{usage.total}"
