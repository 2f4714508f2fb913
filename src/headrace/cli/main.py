"""The command `headrace`: its subcommands and what they share."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from headrace.cli.approve import approve, deny
from headrace.cli.cancel import cancel
from headrace.cli.chat import chat
from headrace.cli.doctor import doctor
from headrace.cli.explain import explain
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
    help="Carries an LLM agent's stream to your terminal.",
)
app.command()(chat)
app.command()(run)
app.command()(runs)
app.command()(watch)
app.command()(cancel)
app.command()(approve)
app.command()(deny)
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
        from importlib.metadata import version

        print(f"headrace {version('headrace')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    # Whatever the locale: an odd character is shown as `?`, never a crash in mid-answer.
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()
