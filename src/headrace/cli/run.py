"""`headrace run "…"`: one question, one answer, an exit code that tells how it ended."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.asking import (
    Asked,
    BaseURL,
    Chosen,
    MaxSteps,
    MaxTokens,
    ModelName,
    MoreOptions,
    Speed,
    System,
    Temperature,
    Timeout,
    Tools,
    choose,
)
from headrace.cli.endings import (
    ENDED_EARLY,
    FAILED,
    clear_endings,
    complain,
    leave_quietly,
)
from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.frontends.viewing import Screen
    from headrace.runs.run import Run

Question = Annotated[
    str | None,
    typer.Argument(metavar="QUESTION", help="What to ask; - or nothing reads standard input."),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Every event as a line of JSON (NDJSON).")]
WithProgress = Annotated[
    bool, typer.Option("--progress", help="Count chunks and characters on standard error.")
]

_EARLY = {
    "length": "Raise --max-tokens, or ask for less at once.",
    "content_filter": "The provider withheld the rest.",
    "max_steps": "Raise --max-steps if the model needs more tools.",
}


@clear_endings()
def run(
    question: Question = None,
    model: ModelName = None,
    base_url: BaseURL = None,
    system: System = "",
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    option: MoreOptions = None,
    tools: Tools = None,
    max_steps: MaxSteps = 20,
    timeout: Timeout = 900.0,
    speed: Speed = None,
    json: AsJSON = False,
    progress: WithProgress = False,
) -> None:
    """Ask one question, get one answer.

    Plain text to a pipe, Markdown and tools to a terminal, events with --json.

    Exit codes: 0 the answer is whole, 1 it failed, 2 wrong usage, 3 it ended early (length,
    content_filter, max_steps), 130 Ctrl-C, 141 the reader of the output left, 143 SIGTERM.
    """
    asked = Asked(
        model,
        base_url,
        system,
        max_tokens,
        temperature,
        option,
        tools,
        max_steps,
        timeout,
        speed,
    )
    text = question_text(question)
    raise typer.Exit(asyncio.run(_answer(choose(asked), text, json, progress)))


def question_text(given: str | None) -> str:
    """What to ask: as given, or from standard input.

    Raises:
        UsageError: there is none.
    """
    if given not in (None, "-"):
        text = given or ""
    elif given is None and sys.stdin.isatty():
        raise UsageError("There is no question.", hint='Write it as "…", or pipe it in.')
    else:
        text = sys.stdin.read()
    if not text.strip():
        raise UsageError("The question is empty.")
    return text


async def _answer(chosen: Chosen, text: str, json: bool, progress: bool) -> int:
    # Plain text cannot take anything back, so such a run fails where another would withdraw.
    retract = json or sys.stdout.isatty()
    return await show_run(chosen.agent.start(text, retract=retract), json, progress)


async def show_run(started: Run, json: bool = False, progress: bool = False) -> int:
    """Show a run to its end on standard output; gives the exit code.

    Args:
        started: The run, not yet begun.
        json: Every event as a line of JSON.
        progress: Count on standard error.
    """
    from headrace.errors import RunCancelled, RunFailed
    from headrace.frontends.keyboard import cancel_when_reader_leaves, stopping
    from headrace.frontends.viewing import show

    async with started as run:
        with stopping(run) as stop, cancel_when_reader_leaves(run) as reader:
            await show(run, *_screens(json, progress))
        if reader.left:
            leave_quietly()
        try:
            end = run.check()
        except RunFailed as error:
            complain(str(error))
            return FAILED
        except RunCancelled as error:
            complain(str(error))
            return 128 + stop.signal if stop.signal else FAILED
    if end.finish_reason == "stop":
        return 0
    if not sys.stdout.isatty():  # on a terminal the footer tells it
        complain(f"The answer ended early: {end.finish_reason}.", _EARLY.get(end.finish_reason, ""))
    return ENDED_EARLY


def _screens(json: bool, progress: bool) -> list[Screen]:
    from headrace.frontends.plain import JSONScreen, PlainScreen, ProgressScreen

    rich = sys.stdout.isatty() and not json
    counter = ProgressScreen(sys.stderr, quiet=rich and sys.stderr.isatty()) if progress else None
    more: list[Screen] = [counter] if counter else []
    if json:
        return [JSONScreen(sys.stdout), *more]
    if not rich:
        return [PlainScreen(sys.stdout, sys.stderr), *more]
    from headrace.frontends.terminal import TerminalScreen, make_console

    if counter and counter.quiet:
        return [TerminalScreen(make_console(), note=lambda: counter.line), *more]
    return [TerminalScreen(make_console()), *more]
