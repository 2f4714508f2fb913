"""`headrace chat`: a conversation in the terminal."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

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
from headrace.cli.endings import FAILED, clear_endings, complain

if TYPE_CHECKING:
    from headrace.frontends.viewing import Screen
    from headrace.messages import Message
    from headrace.runs.run import Run

_HELP = """\
/new    forget the conversation and begin a new one
/help   this
/exit   leave, as Ctrl-D does
Ctrl-C stops an answer and keeps what was said; at the prompt it leaves."""


@clear_endings()
def chat(
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
) -> None:
    """Talk with a model in the terminal.

    Ctrl-C stops an answer, at the prompt it leaves; /help tells more.

    Without --model: LLM_PROVIDER, else the first provider whose key is set, else an Ollama that
    answers on its port, else the embedded demo model. The conversation lives in memory.
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
    conversation = Conversation(choose(asked))
    raise typer.Exit(conversation.hold())


class Conversation:
    """One conversation: its messages so far and where it is shown."""

    def __init__(self, chosen: Chosen) -> None:
        from headrace.frontends.keyboard import Prompt

        self._chosen = chosen
        self._history: tuple[Message, ...] = ()
        self._prompt = Prompt()
        self._rich = sys.stdout.isatty()
        self._code = 0

    def hold(self) -> int:
        """Talk until there is nothing more to say; gives the exit code."""
        self._banner()
        # One event loop for all answers, so that connections to the model stay open.
        with asyncio.Runner() as runner:
            while self._code < 128 and (line := self._next_line()) is not None:
                if line.startswith("/"):
                    self._command(line)
                elif line:
                    runner.run(self._answer(line))
        # What went wrong in a conversation was told there; only a script asks for a code.
        return 0 if self._prompt.interactive and self._code < 128 else self._code

    def _next_line(self) -> str | None:
        try:
            line = self._prompt.read()
        except KeyboardInterrupt:
            line = None
        if line is None and self._prompt.interactive:
            print()
        return None if line is None or line.strip() == "/exit" else line.strip()

    def _banner(self) -> None:
        from importlib.metadata import version

        from headrace.frontends.escapes import one_line

        name, why = one_line(self._chosen.model.name), one_line(self._chosen.why)
        out = sys.stdout if self._rich else sys.stderr
        print(f"Headrace {version('headrace')} · {name} ({why})", file=out)
        if self._prompt.interactive:
            print("Ctrl-C stops an answer, Ctrl-D leaves, /help tells more.\n", file=out)
        out.flush()

    def _command(self, line: str) -> None:
        if line == "/new":
            self._history = ()
            print("A new conversation.")
        elif line == "/help":
            print(_HELP)
        else:
            complain(f"There is no command {line.split()[0]}.", "/help lists them.")

    async def _answer(self, line: str) -> None:
        from headrace.frontends.keyboard import quiet_keys, stopping
        from headrace.frontends.viewing import show

        start = self._chosen.agent.start(line, history=self._history, retract=self._rich)
        async with start as run:
            with quiet_keys(), stopping(run) as stop:
                await show(run, self._screen())
            if stop.signal == signal.SIGTERM:
                self._code = 128 + signal.SIGTERM
            await self._remember(line, run)

    def _screen(self) -> Screen:
        if self._rich:
            from headrace.frontends.terminal import TerminalScreen, make_console

            return TerminalScreen(make_console(), spaced=True)
        from headrace.frontends.plain import PlainScreen

        return PlainScreen(sys.stdout, sys.stderr)

    async def _remember(self, line: str, run: Run) -> None:
        """Keep what was said; of an answer that was cut, the part that was shown."""
        from headrace.errors import RunCancelled, RunFailed
        from headrace.messages import Message

        try:
            self._history = (await run.result()).messages
        except (RunCancelled, RunFailed) as error:
            if isinstance(error, RunFailed):
                complain(str(error))
                self._code = self._code or FAILED
            # A question alone would leave two user messages in a row, which some servers refuse.
            if error.partial.strip():
                said = (Message.user(line), Message.assistant(error.partial))
                self._history = (*self._history, *said)
