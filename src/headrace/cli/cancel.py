"""`headrace cancel RUN`: ends a run, wherever it lives, and tells what came of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.endings import clear_endings
from headrace.cli.storing import HOST, StoreURL, opened
from headrace.cli.watch import RunID

if TYPE_CHECKING:
    from headrace.events import Cancelled
    from headrace.runs.fold import RunState
    from headrace.runs.stores.record import RunRecord

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; the run keeps it.")]


@clear_endings()
def cancel(run: RunID, reason: Reason = "cancelled", store: StoreURL = None) -> None:
    """End a run, and keep what it has said.

    It may live in any process. Tells what it had used, where its tools stood and how soon the
    model's connection was closed. A run that had ended already stays as it ended; that is no
    error.
    """
    for line in asyncio.run(_cancel(run, reason, store)):
        print(line)


async def _cancel(run_id: str, reason: str, url: str | None) -> list[str]:
    from headrace.events import Cancelled
    from headrace.runs.stores.record import check_run_id
    from headrace.runtime.runtime import Runtime

    async with opened(url) as store, Runtime(store, name=HOST, recover=False) as runtime:
        if not (record := await store.run(check_run_id(run_id))).live:
            return [_had_ended(record)]
        end = await runtime.cancel(run_id, reason)
        if not isinstance(end, Cancelled):  # it was quicker
            return [_had_ended(await store.run(run_id))]
        return receipt(run_id, end, await runtime.snapshot(run_id))


def _had_ended(record: RunRecord) -> str:
    from headrace.cli.runs import status_of

    return f"{record.id} had ended already: {status_of(record)}."


def receipt(run_id: str, end: Cancelled, state: RunState) -> list[str]:
    """What a cancelled run leaves, a line each. Pure."""
    from headrace.frontends.escapes import one_line
    from headrace.frontends.summary import milliseconds

    names = {tool.call_id: tool.name for tool in state.tools}
    tools = ", ".join(
        f"{one_line(names.get(call, call), 60)} {stood}"
        for call, stood in end.receipt.tools.items()
    )
    ms = end.receipt.upstream_closed_ms
    upstream = "none was open" if ms is None else f"closed after {milliseconds(ms)}"
    about, how = ("", "") if end.usage.exact else ("≈", " (estimated)")
    return [
        f"{run_id} was cancelled: {one_line(end.reason)}.",
        f"tokens    {about}{end.usage.input} in, {about}{end.usage.output} out{how}",
        f"answer    {len(end.receipt.content)} characters, kept",
        f"tools     {tools or 'none'}",
        f"upstream  {upstream}",
    ]
