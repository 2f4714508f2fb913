"""`headrace sessions`: the conversations that are kept: list, show, export, delete."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from headrace.cli.columns import print_columns, span
from headrace.cli.endings import FAILED, clear_endings
from headrace.cli.runs import Limit
from headrace.cli.storing import StoreURL, opened
from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.runs.stores.record import SessionRecord

sessions_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A session that the list names.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Format = Annotated[
    Literal["json", "md"],
    typer.Option("--format", "-f", help="json with everything, or md to be read."),
]

_HEADINGS = ("SESSION", "MESSAGES", "BEGUN", "LAST USED", "LIVE RUN", "TITLE")


@sessions_app.callback()
@clear_endings()
def sessions(
    context: typer.Context,
    limit: Limit = 20,
    json: Annotated[bool, typer.Option("--json", help="The list as JSON.")] = False,
    store: StoreURL = None,
) -> None:
    """List, show, export or delete conversations.

    The list has those that are kept, last used first.
    """
    if context.invoked_subcommand is not None:
        context.obj = store
        return
    records = asyncio.run(_list(limit, store))
    if json:
        from json import dumps

        print(dumps([_as_json(record) for record in records], indent=2))
    elif records:
        now = time.time()
        print_columns(_HEADINGS, [_row(record, now) for record in records])
    else:
        print("No conversations are kept yet. Make one: headrace chat", file=sys.stderr)


@sessions_app.command()
@clear_endings()
def show(context: typer.Context, name: Name, store: StoreURL = None) -> None:
    """Show a conversation."""
    from headrace.cli.conversation import as_markdown

    record = asyncio.run(_get(name, store or context.obj))
    text = as_markdown(record)
    if not sys.stdout.isatty():
        print(text)
        return
    from headrace.frontends.safe_markdown import safe_markdown
    from headrace.frontends.terminal import make_console

    make_console().print(safe_markdown(text))


@sessions_app.command()
@clear_endings()
def export(
    context: typer.Context, name: Name, format: Format = "json", store: StoreURL = None
) -> None:
    """Write a conversation to standard output.

    With all that belongs to it.
    """
    from headrace.cli.conversation import as_json, as_markdown

    record = asyncio.run(_get(name, store or context.obj))
    print(as_json(record) if format == "json" else as_markdown(record))


@sessions_app.command()
@clear_endings()
def delete(context: typer.Context, name: Name, yes: Yes = False, store: StoreURL = None) -> None:
    """Forget a conversation with its runs."""
    url = store or context.obj
    record = asyncio.run(_get(name, url))
    if not yes and not _sure(record):
        print("Nothing was deleted.", file=sys.stderr)
        raise typer.Exit(FAILED)
    asyncio.run(_delete(name, url))


def _sure(record: SessionRecord) -> bool:
    from headrace.frontends.escapes import one_line

    if not sys.stdin.isatty():
        raise UsageError("No one is there to be asked.", hint="Say --yes to delete it.")
    what = f"Delete {one_line(record.id)}, {record.version} messages, and its runs?"
    return typer.confirm(what, err=True)


async def _list(limit: int, url: str | None) -> list[SessionRecord]:
    async with opened(url) as store:
        return await store.sessions(limit=limit)


async def _get(name: str, url: str | None) -> SessionRecord:
    from headrace.runs.stores.record import check_name

    async with opened(url) as store:
        return await store.session(check_name(name, "a session"))


async def _delete(name: str, url: str | None) -> None:
    async with opened(url) as store:
        await store.delete_session(name)


def _row(record: SessionRecord, now: float) -> tuple[str, ...]:
    return (
        record.id,
        str(record.version),
        f"{span(now - record.created_at)} ago",
        f"{span(now - record.updated_at)} ago",
        record.live_run or "-",
        record.title,
    )


def _as_json(record: SessionRecord) -> dict[str, Any]:
    return {
        "session": record.id,
        "title": record.title,
        "user": record.user,
        "messages": record.version,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "live_run": record.live_run,
    }
