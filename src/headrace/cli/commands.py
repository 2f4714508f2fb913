"""The subcommands of `headrace`, and what they share. To load them takes a moment."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.approve import approve, deny
from headrace.cli.cancel import cancel
from headrace.cli.chat import chat
from headrace.cli.doctor import doctor
from headrace.cli.endings import clear_endings
from headrace.cli.explain import explain
from headrace.cli.main import VERSION
from headrace.cli.models import models
from headrace.cli.record import record
from headrace.cli.replay import replay
from headrace.cli.run import run
from headrace.cli.runs import runs
from headrace.cli.schema import schema
from headrace.cli.send import send
from headrace.cli.serve import serve
from headrace.cli.sessions import sessions_app
from headrace.cli.watch import watch

app = typer.Typer(
    name="headrace",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Carries an LLM agent's stream to your terminal, and over HTTP to every other screen.\n\n"
    "Begin with headrace chat: it needs no key. headrace COMMAND --help tells the rest.",
)
app.command()(chat)
app.command()(run)
app.command()(runs)
app.command()(watch)
app.command()(cancel)
app.command(short_help="Let a call run that waits for a person.")(approve)
app.command(short_help="Refuse a call that waits for a person.")(deny)
app.command()(explain)
app.command()(serve)
app.command()(send)
app.command()(doctor)
app.add_typer(sessions_app, name="sessions")
app.command()(record)
app.command()(replay)
app.command()(models)
app.command()(schema)


def _version(asked: bool) -> None:
    if asked:
        with clear_endings():
            print(VERSION)
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
