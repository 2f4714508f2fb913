"""A terminal that a test can wait for: a run is shown on it as `headrace run` shows it."""

from __future__ import annotations

import asyncio
import io
import re

from rich.console import Console

from headrace import Run
from headrace.frontends.terminal import TerminalScreen
from headrace.frontends.viewing import show
from tests.frontends.little_terminal import LittleTerminal
from tests.promises.story import PATIENCE

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Paper(io.StringIO):
    """What rich writes, as it stands on a terminal of 60 by 24."""

    def __init__(self) -> None:
        super().__init__()
        self._terminal = LittleTerminal()
        self._changed = asyncio.Event()
        console = Console(
            file=self,
            force_terminal=True,
            width=60,
            height=24,
            color_system=None,
            highlight=False,
            markup=False,
            emoji=False,
            _environ={},
        )
        self.screen = TerminalScreen(console)

    @property
    def text(self) -> str:
        """What stands there now."""
        return self._terminal.text

    def write(self, text: str) -> int:
        self._terminal.feed(text)
        self._changed.set()
        return len(text)

    async def shows(self, pattern: str) -> str:
        """Wait until a line matches; gives what stands there then."""
        async with asyncio.timeout(PATIENCE):
            while not re.search(f"(?m)^{pattern}$", self.text):
                self._changed.clear()
                await self._changed.wait()
        return self.text


async def shown_on(paper: Paper, run: Run) -> None:
    """Show a run to its end."""
    async with asyncio.timeout(PATIENCE):
        await show(run, paper.screen)
