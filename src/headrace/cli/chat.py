"""`headrace chat`: a conversation in the terminal."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from functools import partial
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
from headrace.cli.mcp_servers import Commands, McpServers
from headrace.cli.storing import Keeping, SessionName, StoreURL, new_session

if TYPE_CHECKING:
    from headrace.frontends.asker import Asker
    from headrace.frontends.viewing import Screen
    from headrace.tools.tool import AnyTool

_HELP = """\
/new    begin a new conversation; this one is kept
/help   this
/exit   leave, as Ctrl-D does
Ctrl-C stops an answer and keeps what was said; at the prompt it leaves.
A tool that waits for your approval asks: y or n, then Enter."""


@clear_endings()
def chat(
    model: ModelName = None,
    base_url: BaseURL = None,
    system: System = "",
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    option: MoreOptions = None,
    tools: Tools = None,
    mcp: Commands = None,
    max_steps: MaxSteps = 20,
    timeout: Timeout = 900.0,
    speed: Speed = None,
    session: SessionName = None,
    store: StoreURL = None,
) -> None:
    """Talk with a model in the terminal.

    Ctrl-C stops an answer, at the prompt it leaves; /help tells more. The conversation is kept:
    the banner tells its name, and --session NAME goes on with it.

    Without --model: LLM_PROVIDER, else the first provider whose key is set, else an Ollama that
    answers on its port, else the embedded demo model.
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
    conversation = Conversation(partial(choose, asked), McpServers(mcp), Keeping(store), session)
    raise typer.Exit(conversation.hold())


class Conversation:
    """One conversation: who answers in it, its session and where it is shown.

    Args:
        choose: Gives who answers, with these tools beside its own.
        servers: Where those tools come from.
        keeping: Where it is kept.
        session: Its name; a new one by default.

    Raises:
        InvalidId: a name that no session can have.
    """

    _chosen: Chosen

    def __init__(
        self,
        choose: Callable[[list[AnyTool]], Chosen],
        servers: McpServers,
        keeping: Keeping,
        session: str | None,
    ) -> None:
        from headrace.frontends.keyboard import Prompt
        from headrace.runs.stores.record import check_name

        self._choose = choose
        self._servers = servers
        self._keeping = keeping
        self._session = new_session() if session is None else check_name(session, "a session")
        self._prompt = Prompt()
        self._rich = sys.stdout.isatty()
        self._code = 0

    def hold(self) -> int:
        """Talk until there is nothing more to say; gives the exit code."""
        # One event loop for all answers, so that connections to the model stay open.
        with asyncio.Runner() as runner:
            try:
                self._chosen = self._choose(runner.run(self._servers.open()))
                self._hold(runner)
            finally:
                runner.run(self._servers.close())
        # What went wrong in a conversation was told there; only a script asks for a code.
        return 0 if self._prompt.interactive and self._code < 128 else self._code

    def _hold(self, runner: asyncio.Runner) -> None:
        runner.run(self._keeping.open())
        try:
            self._banner(runner.run(self._said()))
            self._talk(runner)
        finally:
            runner.run(self._keeping.close())

    def _talk(self, runner: asyncio.Runner) -> None:
        while self._code < 128 and (line := self._next_line()) is not None:
            if line.startswith("/"):
                self._command(line)
            elif line:
                runner.run(self._answer(line))

    async def _said(self) -> int:
        """How many messages the conversation has already."""
        from headrace.errors import SessionNotFound

        try:
            return (await self._keeping.store.session(self._session)).version
        except SessionNotFound:
            return 0

    def _next_line(self) -> str | None:
        try:
            line = self._prompt.read()
        except KeyboardInterrupt:
            line = None
        if line is None and self._prompt.interactive:
            print()
        return None if line is None or line.strip() == "/exit" else line.strip()

    def _banner(self, said: int) -> None:
        from importlib.metadata import version

        from headrace.frontends.escapes import one_line

        name, why = one_line(self._chosen.model.name), one_line(self._chosen.why)
        out = sys.stdout if self._rich else sys.stderr
        where = f" · session {one_line(self._session)}" if self._keeping.lasting else ""
        more = f", {said} messages so far" if said else ""
        print(f"Headrace {version('headrace')} · {name} ({why}){where}{more}", file=out)
        if self._prompt.interactive:
            print("Ctrl-C stops an answer, Ctrl-D leaves, /help tells more.\n", file=out)
        out.flush()

    def _command(self, line: str) -> None:
        if line == "/new":
            self._session = new_session()
            name = f": {self._session}" if self._keeping.lasting else ""
            print(f"A new conversation{name}.")
        elif line == "/help":
            print(_HELP)
        else:
            complain(f"There is no command {line.split()[0]}.", "/help lists them.")

    async def _answer(self, line: str) -> None:
        from headrace.errors import HeadraceError

        try:
            await self._show(line)
        except HeadraceError as error:  # the store failed, or another run is live in the session
            complain(error.message, error.hint)
            self._code = self._code or FAILED

    async def _show(self, line: str) -> None:
        from headrace.events import Error
        from headrace.frontends.asker import Asker
        from headrace.frontends.keyboard import quiet_keys, stopping
        from headrace.frontends.viewing import show

        agent, session = self._chosen.agent, self._session
        begun = self._keeping.submitted(agent, line, session=session, retract=self._rich)
        async with begun as run:
            with quiet_keys(), stopping(run) as stop:
                asker = Asker(run, complain)
                end = await show(run, self._screen(asker), asker)
        if stop.signal == signal.SIGTERM:
            self._code = 128 + signal.SIGTERM
        elif isinstance(end, Error):
            complain(end.message)
            self._code = self._code or FAILED

    def _screen(self, asker: Asker) -> Screen:
        if self._rich:
            from headrace.frontends.terminal import TerminalScreen, make_console

            return TerminalScreen(make_console(), note=lambda: asker.question, spaced=True)
        from headrace.frontends.plain import PlainScreen

        return PlainScreen(sys.stdout, sys.stderr)
