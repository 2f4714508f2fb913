"""`headrace serve`: agents over HTTP, for every client that people already use."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

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
from headrace.cli.browser import open_page
from headrace.cli.endings import clear_endings
from headrace.cli.storing import StoreURL
from headrace.errors import HeadraceError, MissingExtra, UsageError
from headrace.telemetry.conventions import ENDPOINTS

if TYPE_CHECKING:
    from headrace.agents.agent import Agent

Agents = Annotated[
    str | None,
    typer.Argument(
        metavar="MODULE:NAME",
        help="An Agent, or a list of them, in a module that Python finds from here; without it, "
        "one agent on the model that the options below name.",
    ),
]
Host = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")]
Port = Annotated[
    int, typer.Option("--port", "-p", metavar="N", min=0, max=65535, help="0 takes a free one.")
]
TokensFile = Annotated[
    Path | None,
    typer.Option(
        "--tokens",
        metavar="FILE",
        help="Lines of user:token; also HEADRACE_TOKENS=user:token,… and HEADRACE_TOKENS_FILE.",
    ),
]
AllowOrigin = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-origin",
        metavar="ORIGIN",
        help="A web origin whose pages may call this server (CORS); may be repeated.",
    ),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="NAME",
        help="Another name that this server goes by, as behind a proxy; may be repeated.",
    ),
]
AllowModel = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-model", metavar="NAME", help="A model that a request may name; may be repeated."
    ),
]
Operator = Annotated[
    list[str] | None,
    typer.Option(
        "--operator",
        metavar="USER",
        help="A user who sees every run, the dashboard's figures and /metrics; may be repeated.",
    ),
]
Otel = Annotated[
    bool,
    typer.Option(
        "--otel",
        help="Send OpenTelemetry's spans and metrics to where OTEL_EXPORTER_OTLP_ENDPOINT says, "
        "without it to this machine; setting that variable does the same.",
    ),
]
LiveRuns = Annotated[
    int, typer.Option("--live-runs", metavar="N", min=1, help="Most live runs of one user.")
]
NewRuns = Annotated[
    int, typer.Option("--new-runs", metavar="N", min=1, help="Most new runs of one user a minute.")
]
Grace = Annotated[
    float,
    typer.Option("--grace", metavar="SECONDS", min=0, help="For live runs to end when it stops."),
]
Open = Annotated[
    bool, typer.Option("--open", help="Open the chat page in your browser, where there is one.")
]
LogPrompts = Annotated[
    bool, typer.Option("--log-prompts", help="Show what is asked and answered in the log.")
]


@clear_endings()
def serve(  # long: an option each, and nothing else
    agents: Agents = None,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    store: StoreURL = None,
    tokens: TokensFile = None,
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
    allow_origin: AllowOrigin = None,
    allow_host: AllowHost = None,
    allow_model: AllowModel = None,
    operator: Operator = None,
    live_runs: LiveRuns = 10,
    new_runs: NewRuns = 60,
    grace: Grace = 10.0,
    otel: Otel = False,
    log_prompts: LogPrompts = False,
    open: Open = False,
) -> None:
    """Serve agents over HTTP.

    To browsers, curl, the AI SDK, AG-UI and the OpenAI SDKs at once.

    It listens on this machine only; another address needs tokens. SIGTERM or Ctrl-C stops it:
    live runs get the grace time to end, the rest goes on when it starts again.
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
    found, why = _agents(agents, asked)
    from headrace.server.auth import read_tokens
    from headrace.server.serving import OWN_NAMES, log_to
    from headrace.server.serving import serve as serve_agents

    more: dict[str, Any] = {"allow_hosts": (*OWN_NAMES, *allow_host)} if allow_host else {}
    log_to(sys.stderr)
    with _exporting(otel):
        serve_agents(
            found,
            host=host,
            port=port,
            store=store,
            tokens=read_tokens(file=tokens),
            why=why,
            show=lambda text: print(text, flush=True),
            on_listening=open_page if open else lambda address: None,
            allow_origins=tuple(allow_origin or ()),
            models=tuple(allow_model or ()),
            operators=tuple(operator or ()),
            live_runs=live_runs,
            new_runs=new_runs,
            grace=grace,
            log_prompts=log_prompts,
            **more,
        )


def _exporting(asked: bool) -> AbstractContextManager[None]:
    """OpenTelemetry, where it is asked for or the environment says where to send to.

    Raises:
        MissingExtra: it was asked for, and is not installed.
    """
    if not asked and not any(os.environ.get(name) for name in ENDPOINTS):
        return nullcontext()
    try:
        from headrace.telemetry.otlp import exporting
    except MissingExtra as error:
        if asked:
            raise
        # The variable may stand there for other programs of this machine.
        logging.getLogger("headrace.server").warning("No telemetry is sent: %s", error)
        return nullcontext()
    return exporting()


def _agents(where: str | None, asked: Asked) -> tuple[list[Agent], str]:
    """The agents, and why the first one's model is what it is."""
    if where is not None:
        return load_agents(where), ""
    chosen = choose(asked)
    return [chosen.agent], chosen.why


def load_agents(where: str) -> list[Agent]:
    """The agents of ``module:name``.

    Raises:
        UsageError: there is no such module or name, or it is no agent.
    """
    from headrace.agents.agent import Agent

    module_name, colon, name = where.partition(":")
    if not colon or not name:
        raise UsageError(
            f"{where!r} names no agent.", hint="Write module:name, as in headrace serve app:agent."
        )
    module = _module(module_name)
    if not hasattr(module, name):
        had = [key for key, value in vars(module).items() if isinstance(value, Agent)]
        hint = f"Its agents: {', '.join(had)}." if had else "It has no agent."
        raise UsageError(f"The module {module_name} has no {name!r}.", hint=hint)
    found = getattr(module, name)
    agents = [found] if isinstance(found, Agent) else found
    if not isinstance(agents, list | tuple) or not all(isinstance(a, Agent) for a in agents):
        raise UsageError(
            f"{where} is no Agent and no list of Agents, but {type(found).__name__}.",
            hint="Name what Agent(…) gave, as in app:agent.",
        )
    return list(agents)


def _module(name: str) -> ModuleType:
    """A module of the user's, from where the command was called.

    Raises:
        UsageError: it is not there, or something in it fails.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")  # a command does not look where it was called from
    try:
        return import_module(name)
    except HeadraceError:  # such as an unknown model: it says itself what to do
        raise
    except ModuleNotFoundError as error:
        hint = "Name one that `python -c` can import here."
        if name.endswith(".py"):
            hint = f"Write it without .py: {name.removesuffix('.py').replace('/', '.')}."
        raise UsageError(f"There is no module {error.name!r}.", hint=hint) from None
    except Exception as error:  # whatever a program may raise, the fault is in it and not here
        raise UsageError(
            f"The module {name} cannot be loaded: {type(error).__name__}: {error}",
            hint=f"`python -c 'import {name}'` shows where, and so does HEADRACE_DEBUG=1.",
        ) from error
