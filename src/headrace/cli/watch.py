"""`headrace watch RUN`: a kept run on the screen, live or finished, from any event on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.endings import clear_endings, complain
from headrace.cli.showing import AsJSON, exit_code, show_others
from headrace.cli.storing import HOST, StoreURL, opened

if TYPE_CHECKING:
    from headrace.events import Event
    from headrace.runs.stores.record import RunRecord
    from headrace.runs.stores.store import Store

RunID = Annotated[str, typer.Argument(metavar="RUN", help="A run that headrace runs lists.")]
After = Annotated[
    int,
    typer.Option("--after", metavar="N", help="Only what comes after the event of this seq."),
]


@clear_endings()
def watch(run: RunID, after: After = 0, json: AsJSON = False, store: StoreURL = None) -> None:
    """Show a run, live or finished.

    From its begin, or from any event on. Ctrl-C ends the look, and the run goes on. The exit code
    tells how the run ended, as that of headrace run does.
    """
    raise typer.Exit(asyncio.run(_watch(run, after, json, store)))


async def _watch(run_id: str, after: int, json: bool, url: str | None) -> int:
    from headrace.runtime.runtime import Runtime

    # This runtime has no agents: a run that a killed command has left is ended, none goes on.
    async with opened(url) as store, Runtime(store, name=HOST) as runtime:
        viewer = await runtime.attach(run_id, after)
        _tell_if_lost(await store.run(run_id))
        end, stopped = await show_others(viewer, json)
        if stopped:
            complain(f"The run goes on; headrace cancel {run_id} ends it.")
            return 128 + stopped
        return exit_code(end or await _last_event(store, run_id))


def _tell_if_lost(record: RunRecord) -> None:
    from headrace.cli.runs import is_lost

    if is_lost(record):
        complain("No process has this run now.", "It goes on when the program that began it does.")


async def _last_event(store: Store, run_id: str) -> Event:
    """Of a run that had ended at the event which was seen before."""
    record = await store.run(run_id)
    return (await store.read(run_id, record.last_seq - 1))[-1]
