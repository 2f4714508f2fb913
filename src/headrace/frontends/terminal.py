"""A run in a terminal: finished blocks are printed once, below them what is still moving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.padding import Padding
from rich.segment import Segment
from rich.text import Text

from headrace.events import Event
from headrace.frontends.safe_markdown import Harmless, safe_markdown, safe_text
from headrace.frontends.transcript import Item, Kind, Transcript

REDRAW = 0.05
"""Seconds between two redraws of what moves, at least (the buffered display of 50 ms)."""

_SHARE = 4
"""What moves rests so many times as long as its last redraw took: at most a fifth of the time."""

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

_STYLES: dict[Kind, str] = {
    "reasoning": "dim italic",
    "tool": "green",
    "failed_tool": "red",
    "withdrawn": "dim",
    "warning": "dim yellow",
    "input": "bold",
    "footer": "dim",
}

_TIGHT: set[Kind] = {"tool", "failed_tool", "warning"}
"""Kinds that stand below each other without a blank line."""


class TerminalScreen:
    """Shows one run on a rich console that is a terminal.

    Args:
        console: Where to draw; made with `make_console`, which reads no markup out of text.
        note: Gives one more line for below what moves, or ``""``.
        spaced: Begin and end with a blank line, as between the lines of a conversation.
        now: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        console: Console,
        *,
        note: Callable[[], str] = lambda: "",
        spaced: bool = False,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._console = console
        self._note = note
        self._spaced = spaced
        self._now = now
        self._transcript = Transcript()
        self._last: Kind | None = None
        self._due = 0.0  # when what moves may be drawn again
        self._changed = False
        self._closed = False
        self._live = Live(
            get_renderable=lambda: self,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        if spaced:
            console.line()
        self._live.start()

    def add(self, batch: Sequence[Event]) -> None:
        """Show what these events finish; the rest follows within `REDRAW`."""
        items = [item for event in batch for item in self._transcript.add(event)]
        self._changed = True
        if items:
            self._print(items)
        else:
            self._draw_if_due()

    def tick(self) -> None:
        """Draw what moves."""
        if self._changed or self._transcript.busy or self._note():
            self._draw_if_due()

    def close(self) -> None:
        """Clear what moves and give the cursor back."""
        self._closed = True
        self._live.stop()
        if self._spaced:
            self._console.line()

    def _print(self, items: list[Item]) -> None:
        drawn: list[RenderableType] = []
        for item in items:
            drawn += [*self._gap(item.kind), _render(item)]
            self._last = item.kind
        self._draw(lambda: self._console.print(Group(*drawn)))  # and what moves, below it

    def _draw_if_due(self) -> None:
        if self._now() >= self._due:
            self._draw(self._live.refresh)

    def _draw(self, draw: Callable[[], None]) -> None:
        start = self._now()
        draw()
        now = self._now()
        self._changed = False
        self._due = max(start + REDRAW, now + _SHARE * (now - start))

    def _gap(self, kind: Kind) -> list[RenderableType]:
        close = self._last is None or (kind in _TIGHT and self._last in _TIGHT)
        return [] if close else [Text("")]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The part that moves: the tail of the open block, then what is busy."""
        if self._closed:
            return
        lines: list[list[Segment]] = []
        for part in self._moving():
            lines += console.render_lines(part, options.update(height=None), pad=False)
        for line in lines[-max(1, options.size.height - 1) :]:
            yield from line
            yield Segment.line()

    def _moving(self) -> list[RenderableType]:
        parts: list[RenderableType] = []
        last = self._last
        block = self._transcript.open(self._console.height)
        if block:
            parts += [*self._gap(block.kind), _render(block)]
            last = block.kind
        frame = _SPINNER[int(self._now() / 0.08) % len(_SPINNER)]
        busy = [f"{frame} {line}" for line in self._transcript.busy]
        busy += [note] if (note := self._note()) else []
        if busy and last and last not in _TIGHT:
            parts.append(Text(""))
        return parts + [Text(line, "dim", no_wrap=True, overflow="ellipsis") for line in busy]


def _render(item: Item) -> RenderableType:
    if item.kind == "answer":
        return safe_markdown(item.text)
    text = safe_text(item.text.rstrip("\n"), _STYLES[item.kind])
    return Harmless(Padding(text, (0, 0, 0, 2))) if item.kind == "reasoning" else text


def make_console(*, stderr: bool = False) -> Console:
    """A console that takes no markup, emoji codes or highlighting out of text it is given.

    Colours follow ``NO_COLOR`` and ``TERM`` (rich reads both).
    """
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)
