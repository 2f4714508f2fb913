"""`headrace record FILE "…"`: one question, its answer shown and kept as a cassette."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.asking import (
    Asked,
    BaseURL,
    MaxSteps,
    MaxTokens,
    ModelName,
    MoreOptions,
    System,
    Temperature,
    Timeout,
    Tools,
    choose,
)
from headrace.cli.endings import clear_endings
from headrace.cli.run import Question, question_text
from headrace.cli.showing import AsJSON, show_own

if TYPE_CHECKING:
    from headrace.agents.agent import Agent

File = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="The cassette; one that is there is replaced."),
]
KeepRequest = Annotated[
    bool,
    typer.Option("--keep-request", help="Keep what was asked too, not only a digest of it."),
]


@clear_endings()
def record(
    file: File,
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
    json: AsJSON = False,
    keep_request: KeepRequest = False,
) -> None:
    """Ask one question, and record the raw answer.

    It asks as run does. What is recorded are the provider's bytes as they came, with their times;
    keys and cookies masked. Play it with headrace replay FILE, or as the model cassette:FILE.
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
        None,
        file,
        keep_request,
    )
    text = question_text(question)
    chosen = choose(asked)
    code = asyncio.run(_answer(chosen.agent, text, json))
    _tell(chosen.model)
    raise typer.Exit(code)


async def _answer(agent: Agent, text: str, json: bool) -> int:
    async with agent.start(text, retract=json or sys.stdout.isatty()) as run:
        return await show_own(run, json)


def _tell(model: object) -> None:
    """What was recorded, on stderr."""
    from headrace.frontends.escapes import one_line
    from headrace.providers.cassette.recording import RecordedModel

    if isinstance(model, RecordedModel):
        recorder = model.recorder
        answers = f"{recorder.answers} answer{'' if recorder.answers == 1 else 's'}"
        told = f"Recorded {answers}, {recorder.size} bytes, in {recorder.path}."
        print(one_line(recorder.trouble or told, 1000), file=sys.stderr)
