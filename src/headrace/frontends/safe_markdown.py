"""Renders a model's Markdown with rich so that all of its text is seen and none of it is obeyed."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markdown import Markdown, MarkdownElement, TableElement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from headrace.frontends.escapes import visible


class Harmless:
    """Draws something and makes what comes out `visible`.

    Filtering what goes in is not enough: Markdown itself can make control characters, out of
    entities (``&#x202e;``) and percent-encoded links. Control segments and OSC 8 links go too.
    """

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        parts = [part for part in console.render(self._inner, options) if not part.control]
        for line in Segment.split_lines(map(_harmless, parts)):
            yield from _without_padding(line)
            yield Segment.line()


def _harmless(segment: Segment) -> Segment:
    style = segment.style
    plain = style.update_link(None) if style and style.link else style
    return Segment(visible(segment.text), plain)


def _without_padding(line: list[Segment]) -> list[Segment]:
    """Cut the blanks that rich fills lines up with: they are copied, and wrap when it narrows."""
    while line and not line[-1].text.rstrip(" ") and not _is_seen(line[-1]):
        line = line[:-1]
    if line and not _is_seen(line[-1]):
        line[-1] = Segment(line[-1].text.rstrip(" "), line[-1].style)
    return line


def _is_seen(blank: Segment) -> bool:
    style = blank.style
    return bool(style and (style.bgcolor or style.underline or style.reverse))


_NARROWEST = 5
"""Cells a column needs, its border included, for a table to be drawn as one."""


class _FoldingTable(TableElement):
    """A table that loses nothing: rich cuts what does not fit into a column, or beside them all."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [self.header.row] if self.header and self.header.row else []
        if rows and len(rows[0].cells) * _NARROWEST > options.max_width:
            for row in rows + (self.body.rows if self.body else []):
                yield Text(" | ").join(cell.content for cell in row.cells)
            return
        for part in super().__rich_console__(console, options):
            if isinstance(part, Table):
                for column in part.columns:
                    column.overflow = "fold"
            yield part


class _SafeMarkdown(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "table_open": _FoldingTable,
    }

    def __init__(self, markup: str) -> None:
        super().__init__("", code_theme="ansi_dark", hyperlinks=False)
        self.parsed = _parser().parse(markup)


@cache
def _parser() -> MarkdownIt:
    """CommonMark without what rich would swallow: HTML, link definitions, images, autolinks."""
    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    return parser.disable(["reference", "image", "autolink"])


def safe_markdown(markup: str) -> Harmless:
    """A renderable for Markdown from someone who is not trusted."""
    return Harmless(_SafeMarkdown(visible(markup)))


def safe_text(text: str, style: str = "") -> Text:
    """A renderable for plain text from someone who is not trusted."""
    return Text(visible(text), style=style)
