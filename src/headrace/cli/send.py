"""`headrace send URL "…"`: one question to a Headrace server, its run shown here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.endings import FAILED, WRONG_USE, clear_endings, complain
from headrace.cli.run import Key, Question, WithProgress, question_text
from headrace.cli.showing import AsJSON, exit_code, show_others, show_own
from headrace.cli.storing import SessionName

if TYPE_CHECKING:
    from headrace.errors import ServerRefused
    from headrace.events import Event
    from headrace.frontends.remote import Remote, RemoteRun
    from headrace.frontends.viewing import Batches

ServerURL = Annotated[
    str,
    typer.Argument(metavar="URL", help="Where the server is: https://chat.example.org, :8080."),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TOKEN",
        envvar="HEADRACE_TOKEN",
        show_envvar=False,
        help="The server's bearer token. Rather HEADRACE_TOKEN: others can see a command's words.",
    ),
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure", help="Send the token over plain http to another machine, too."),
]
AgentName = Annotated[
    str | None, typer.Option("--agent", metavar="NAME", help="Which of the server's agents.")
]
ServersModel = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME", help="Which model, where the server allows it."),
]
Keep = Annotated[
    bool,
    typer.Option("--keep", help="Leave the run going when this command is stopped."),
]

_PATIENCE = 2.0  # seconds after a Ctrl-C for the answer to a start: so that it can be cancelled


@clear_endings()
def send(
    url: ServerURL,
    question: Question = None,
    agent: AgentName = None,
    session: SessionName = None,
    model: ServersModel = None,
    json: AsJSON = False,
    progress: WithProgress = False,
    idempotency_key: Key = None,
    keep: Keep = False,
    token: Token = None,
    insecure: Insecure = False,
) -> None:
    """Ask a Headrace server one question.

    Its run is shown as headrace run shows one.

    A connection that is lost is made again, and the answer goes on where it was.

    This command began the run, so Ctrl-C ends it on the server; with --keep it goes on there.

    Exit codes: 0 the answer is whole, 1 it failed, 2 wrong usage or the server refused, 3 it
    ended early (length, content_filter, max_steps), 130 Ctrl-C, 141 the reader of the output left,
    143 SIGTERM.
    """
    from headrace.errors import ServerRefused

    text = question_text(question)
    remote = remote_at(url, token, insecure)
    asked = {"agent": agent, "session": session, "model": model, "idempotency_key": idempotency_key}
    try:
        code = asyncio.run(_send(remote, text, asked, json, progress, keep))
    except ServerRefused as error:
        code = refused(error)
    raise typer.Exit(code)


def remote_at(url: str, token: str | None, insecure: bool) -> Remote:
    """The server that is meant; ``:8080`` is one on this machine.

    Raises:
        ConfigurationError: the address or the token cannot be one.
    """
    from headrace.frontends.remote import Remote
    from headrace.providers.secret import Secret

    address = f"127.0.0.1{url}" if url.startswith(":") else url
    secret = Secret(token.strip()) if token and token.strip() else None
    return Remote(address, token=secret, insecure=insecure)


def refused(error: ServerRefused) -> int:
    """Tell what the server has refused; the exit code is 2 where asking again will not help."""
    hint = error.hint
    if error.status == 401 and not hint:
        hint = "Give the server's token: --token, or HEADRACE_TOKEN."
    complain(error.message, hint)
    wrong = error.status is not None and 400 <= error.status < 500 and not error.retryable
    return WRONG_USE if wrong else FAILED


async def _send(
    remote: Remote, text: str, asked: dict[str, Any], json: bool, progress: bool, keep: bool
) -> int:
    from headrace.frontends.summary import STOPPED

    run, stopped = await _start(remote, text, asked)
    if run is None:
        return 128 + (stopped or 0)
    if stopped and not keep:
        return exit_code(await run.cancel(STOPPED), stopped)
    if run.created and not keep:
        return await show_own(_Owned(run), json, progress)
    if not run.created:
        complain(f"The key was used before: this is the run {run.id}.")
    end: Event | None = None
    if not stopped:
        end, stopped = await show_others(run.batches(), json)
    if stopped:
        complain("The run goes on.", f"Its events: {run.events_url}")
        return 128 + stopped
    return exit_code(end)


async def _start(
    remote: Remote, text: str, asked: dict[str, Any]
) -> tuple[RemoteRun | None, int | None]:
    """Begin the run: it, if there is one now, and the signal that came meanwhile.

    Whoever stops the command here may have begun a run: its id is waited for, for a moment.
    """
    from headrace.frontends.keyboard import stopping

    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (a coroutine runs in one)
    patience = _Patience(task)
    with stopping(patience) as stop:
        try:
            return await remote.start(text, **asked), stop.signal
        except asyncio.CancelledError:
            if not patience.lost:
                raise
            task.uncancel()
            return None, stop.signal
        finally:
            patience.over = True


class _Patience:
    """What Ctrl-C stops before the run is there: the waiting for it, after a moment."""

    over = False
    lost = False

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task

    async def cancel(self, reason: str) -> None:
        await asyncio.sleep(_PATIENCE)
        if not self.over:
            self.lost = True
            self._task.cancel(reason)


class _Owned:
    """A run of a server that ends with this command."""

    def __init__(self, run: RemoteRun) -> None:
        self._run = run

    def batches(self) -> Batches:
        return self._run.batches()

    async def cancel(self, reason: str) -> None:
        from headrace.errors import HeadraceError

        try:
            await self._run.cancel(reason)
        except HeadraceError as error:
            complain(f"The run could not be cancelled: {error.message}", "Ctrl-C again leaves it.")
