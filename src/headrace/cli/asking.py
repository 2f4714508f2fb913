"""What `chat` and `run` share: which model answers, with which options and tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.agents.agent import Agent
    from headrace.models.model import Model
    from headrace.tools.tool import AnyTool

ModelName = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="NAME", help="provider:model, a provider, or a known model's name."
    ),
]
BaseURL = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Another server that speaks the protocol."),
]
System = Annotated[
    str, typer.Option("--system", "-s", metavar="TEXT", help="Instructions for the model.")
]
MaxTokens = Annotated[
    int | None, typer.Option("--max-tokens", metavar="N", help="Most tokens of one model call.")
]
Temperature = Annotated[
    float | None, typer.Option("--temperature", "-t", metavar="T", help="0 to 2.")
]
MoreOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="NAME=VALUE",
        help="Any other model option, its value as JSON or text: -o top_p=0.9; may be repeated.",
    ),
]
Tools = Annotated[
    bool | None,
    typer.Option(
        "--tools/--no-tools",
        help="Give the model a calculator, a clock and a search over Headrace's documentation; "
        "the demo model has them by default.",
    ),
]
MaxSteps = Annotated[
    int, typer.Option("--max-steps", metavar="N", min=1, help="Most model calls of one answer.")
]
Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", help="Longest time of one answer.")
]
Speed = Annotated[
    float | None,
    typer.Option(
        "--speed",
        metavar="X",
        help="Pace of the demo model or a cassette: 2 is twice as fast, 0 does not wait at all. "
        "Also HEADRACE_SPEED, for the demo model.",
    ),
]


@dataclass(frozen=True)
class Asked:
    """What the command line says about the model."""

    model: str | None
    base_url: str | None
    system: str
    max_tokens: int | None
    temperature: float | None
    more: list[str] | None
    tools: bool | None
    max_steps: int
    timeout: float
    speed: float | None
    record_to: Path | None = None
    keep_request: bool = False


@dataclass(frozen=True)
class Chosen:
    """Who answers, and why it is this one."""

    agent: Agent
    model: Model
    why: str


def choose(asked: Asked, tools: Sequence[AnyTool] = ()) -> Chosen:
    """Find the model and make the agent, with these tools beside its own.

    Raises:
        UsageError: an unknown model or option, a missing key, a value out of range.
    """
    from headrace.agents.agent import Agent
    from headrace.models.deadlines import Deadlines
    from headrace.providers.table import choose_model

    deadlines = Deadlines(run=_positive(asked.timeout))
    choice = choose_model(asked.model, base_url=asked.base_url, deadlines=deadlines)
    model = choice.model
    if asked.speed is not None:
        model = _paced(model, asked.speed)
    if asked.record_to is not None:
        from headrace.providers.cassette.recording import recorded

        model = recorded(model, asked.record_to, keep_request=asked.keep_request)
    agent = Agent(
        model=model,
        instructions=asked.system,
        tools=[*_tools(asked.tools, model), *tools],
        max_steps=asked.max_steps,
        deadlines=deadlines,
        **_options(asked),
    )
    return Chosen(agent, model, choice.why)


def _positive(seconds: float) -> float:
    if not seconds > 0:
        raise UsageError(f"--timeout is more than 0 seconds, not {seconds:g}.")
    return seconds


def _paced(model: Model, speed: float) -> Model:
    deadlines = getattr(model, "deadlines", None)
    if model.provider == "demo":
        from headrace.providers.demo.model import DemoModel

        return DemoModel(speed=speed, deadlines=deadlines)
    if model.provider == "cassette":
        from headrace.providers.cassette.playing import Cassette

        return Cassette(model.name.partition(":")[2], speed=speed, deadlines=deadlines)
    raise UsageError(f"--speed sets the pace of the demo model or a cassette, not of {model.name}.")


def _tools(wanted: bool | None, model: Model) -> tuple[Any, ...]:
    if wanted is False or (wanted is None and model.provider != "demo"):
        return ()
    from headrace.providers.demo.tools import DEMO_TOOLS

    return DEMO_TOOLS


def _options(asked: Asked) -> dict[str, Any]:
    """Only what was said, so that the model's own defaults stand."""
    said: dict[str, Any] = {"max_tokens": asked.max_tokens, "temperature": asked.temperature}
    options = {name: value for name, value in said.items() if value is not None}
    for item in asked.more or ():
        name, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"--option takes NAME=VALUE, not {item!r}.")
        options[name.strip().replace("-", "_")] = _value(value)
    return options


def _value(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
