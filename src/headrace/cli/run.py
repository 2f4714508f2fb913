"""`headrace run "…"`: one question, one answer, an exit code that tells how it ended."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.asking import (
    Asked,
    BaseURL,
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
from headrace.cli.endings import clear_endings, complain
from headrace.cli.showing import AsJSON, exit_code, show_others, show_own
from headrace.cli.storing import Keeping, SessionName, StoreURL
from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.agents.agent import Agent

Question = Annotated[
    str | None,
    typer.Argument(metavar="QUESTION", help="What to ask; - or nothing reads standard input."),
]
WithProgress = Annotated[
    bool, typer.Option("--progress", help="Count chunks and characters on standard error.")
]
Key = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        metavar="KEY",
        help="Ask only once: with a key that was used before, the run of then is shown.",
    ),
]
_HOW = 'Write it as "…", or pipe it in.'


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
    session: SessionName = None,
    idempotency_key: Key = None,
    store: StoreURL = None,
) -> None:
    """Ask one question, get one answer.

    Plain text to a pipe, Markdown and tools to a terminal, events with --json. The run is kept:
    headrace runs lists it, headrace watch shows it again.

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
    agent = choose(asked).agent
    asking = _answer(agent, text, store, session, idempotency_key, json, progress)
    raise typer.Exit(asyncio.run(asking))


def question_text(given: str | None) -> str:
    """What to ask: as given, or from standard input.

    Raises:
        UsageError: there is none.
    """
    if given not in (None, "-"):
        text = given or ""
    elif given is None and sys.stdin.isatty():
        raise UsageError("There is no question.", hint=_HOW)
    else:
        text = sys.stdin.read()
    if not text.strip():
        raise UsageError("The question is empty.", hint=_HOW)
    return text


async def _answer(
    agent: Agent,
    text: str,
    store: str | None,
    session: str | None,
    key: str | None,
    json: bool,
    progress: bool,
) -> int:
    # Plain text cannot take anything back, so such a run fails where another would withdraw.
    retract = json or sys.stdout.isatty()
    async with (
        Keeping(store) as keeping,
        keeping.submitted(agent, text, session=session, key=key, retract=retract) as run,
    ):
        if run.created:
            return await show_own(run, json, progress)
        complain(f"The key was used before: this is the run {run.id}.")
        end, stopped = await show_others(run.batches(), json)
        return 128 + stopped if stopped else exit_code(end)
