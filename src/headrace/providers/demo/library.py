"""Headrace's own documentation, cut into passages and searched by words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct

MAX_PAGE = 512 * 1024
"""Bytes of one page; a longer file is no page for a person to read, and is left out."""

SHORTEST = 40
"""Characters of a passage; a status line answers nothing."""

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_FENCE = re.compile(r"\s*(```|~~~)")
_WORD = re.compile(r"[a-z0-9]+")
_ENDING = re.compile(r"(?<=[a-z]{3})(?:ings?|ed|(?<!s)s|e)$")
_COMMON = frozenset(
    "a an and any are as at be but by can do does for from get had has have how i if in into is it "
    "its me my not of on or our please should so some tell than that the their then there these "
    "they this to us use using was we what when where which who why will with would you your "
    "about explain show give headrace".split()
)


class Passage(Struct, frozen=True):
    """One section of one page.

    Attributes:
        page: The page, as a path from the documentation's root.
        section: Its heading, with those above it: ``Runs > Cancel``.
        text: Its Markdown, without the heading.
    """

    page: str
    section: str
    text: str


class Library:
    """Passages that can be searched; the same query always finds the same.

    Ranking is BM25 (Robertson and Zaragoza, *The Probabilistic Relevance Framework*, 2009) with
    its usual k1 = 1.2 and b = 0.75; words of the heading count double.
    """

    def __init__(self, passages: Iterable[Passage]) -> None:
        self.passages = tuple(passages) or (BUILT_IN,)
        self._words = [
            Counter([*(2 * words(p.section)), *words(p.page), *words(p.text)])
            for p in self.passages
        ]
        self._lengths = [sum(each.values()) for each in self._words]
        self._mean = sum(self._lengths) / len(self._lengths)
        self._holders = Counter(word for each in self._words for word in each)

    def search(self, query: str, limit: int = 3) -> list[Passage]:
        """The best passages, best first; none where no word of the query is known.

        A query of common words only ("what is Headrace?") asks for the beginning of it all.
        """
        asked = sorted(set(words(query)))
        if not asked:
            return [p for p in self.passages if p.page == "README.md"][:1]
        scored = [(self._score(i, asked), -i) for i in range(len(self.passages))]
        best = sorted((pair for pair in scored if pair[0] > 0), reverse=True)
        return [self.passages[-i] for _, i in best[:limit]]

    def _score(self, i: int, asked: Sequence[str]) -> float:
        norm = 1.2 * (0.25 + 0.75 * self._lengths[i] / self._mean)
        score = 0.0
        for word in asked:
            count = self._words[i][word]
            if count:
                holders = self._holders[word]
                rarity = math.log(1 + (len(self.passages) - holders + 0.5) / (holders + 0.5))
                score += rarity * count * 2.2 / (count + norm)
        return score


def words(text: str) -> list[str]:
    """The words that matter, in lower case and without their common endings."""
    found = _WORD.findall(text.lower())
    return [_stem(word) for word in found if len(word) > 1 and word not in _COMMON]


def _stem(word: str) -> str:
    """`runs` and `running` are `run`, `cancelled` is `cancel`; crude, but always the same."""
    stem = _ENDING.sub("", word)
    if stem != word and len(stem) > 3 and stem[-1] == stem[-2]:
        stem = stem[:-1]
    return stem


def split(page: str, markdown: str) -> Iterator[Passage]:
    """Cut a page at its headings; sections with next to no text are left out."""
    path: list[str] = []
    body: list[str] = []
    fence = ""
    for line in markdown.splitlines():
        mark = _FENCE.match(line)
        heading = None if fence or mark else _HEADING.match(line)
        if heading is not None:
            yield from _passage(page, path, body)
            level = len(heading[1]) - 1
            path = [*path[:level], *[""] * (level - len(path)), heading[2]]
            body = []
            continue
        if mark and mark[1] == (fence or mark[1]):
            fence = "" if fence else mark[1]
        body.append(line)
    yield from _passage(page, path, body)


def _passage(page: str, path: Sequence[str], body: Sequence[str]) -> Iterator[Passage]:
    text = "\n".join(body).strip()
    if len(text) >= SHORTEST:
        yield Passage(page, " > ".join(filter(None, path)) or page, text)


def read(root: Path) -> Iterator[Passage]:
    """The passages of all Markdown pages under a directory, in the order of their paths."""
    for path in sorted(root.rglob("*.md")):
        if path.is_file() and path.stat().st_size <= MAX_PAGE:
            text = path.read_text(encoding="utf-8", errors="replace")
            yield from split(path.relative_to(root).as_posix(), text)


@cache
def documentation() -> Library:
    """Headrace's documentation: the package's own copy, else that of the checkout around it."""
    package = Path(__file__).resolve().parents[2]
    packed, root = package / "_docs", package.parents[1]
    if packed.is_dir():
        return Library(pages(packed, packed / "README.md"))
    if (root / "pyproject.toml").is_file():
        return Library(pages(root / "docs", root / "README.md"))
    return Library(())


def pages(docs: Path, readme: Path) -> Iterator[Passage]:
    """The passages of the README and of the documentation, where they are there."""
    if readme.is_file():
        yield from split("README.md", readme.read_text("utf-8", errors="replace"))
    for passage in read(docs):
        # Decisions are for those who build the house, not for those who live in it.
        if passage.page != readme.name and not passage.page.startswith("decisions/"):
            yield Passage(f"docs/{passage.page}", passage.section, passage.text)


BUILT_IN = Passage(
    "built-in",
    "What Headrace is",
    """Headrace carries an LLM agent's stream from any model to every screen: in order, whole, live,
resumable, cancellable and measured. A run writes one ordered, append-only log of typed events;
everything else (a stream of chunks, SSE, a terminal) is a cursor over that log.

- `headrace chat` talks to a model in the terminal; `headrace run "…"` asks once.
- `Agent(name=…, model="provider:model", tools=[…])` with `run_stream()` does so from Python.
- `@tool` makes a function a tool; cancelling a run closes the model's connection at once.""",
)
"""Where there is no documentation to read, this much is always known."""
