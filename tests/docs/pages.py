"""The documentation as data: its pages, their code blocks, headings and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^(?P<fence>```+)(?P<language>\w*)\s*$")
_NO_RUN = re.compile(r"<!-- no-run: \S.*-->")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text, first line, and whether the page says not to run it."""

    language: str
    text: str
    line: int
    no_run: bool = False


def pages() -> list[Path]:
    """All pages that a reader sees."""
    tops = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return [*tops, *sorted((ROOT / "docs").rglob("*.md"))]


def name(page: Path) -> str:
    """The page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = text.splitlines()
    start = None
    for number, line in enumerate(lines):
        match = _FENCE.match(line)
        if start is None and match:
            start, fence, language = number, match["fence"], match["language"]
        elif start is not None and line.rstrip() == fence:
            body = "\n".join(lines[start + 1 : number])
            marked = start > 0 and bool(_NO_RUN.fullmatch(lines[start - 1].strip()))
            yield Block(language, body + "\n", start + 2, marked)
            start = None


def prose(text: str) -> str:
    """A page without its fenced blocks and code spans."""
    kept, inside = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            kept.append(re.sub(r"`[^`]*`(?!\])", "`…`", line))
    return "\n".join(kept)


def links(text: str) -> list[str]:
    """The targets of a page's links."""
    return _LINK.findall(prose(text))


def anchors(text: str) -> set[str]:
    """What `#…` may follow a link to this page: its headings as GitHub makes them anchors."""
    inside, found = False, set()
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside
        elif not inside and (match := re.match(r"#{1,6}\s+(.*)", line)):
            plain = re.sub(r"[^\w\- ]", "", match[1].strip().lower())
            found.add(plain.replace(" ", "-"))
    return found
