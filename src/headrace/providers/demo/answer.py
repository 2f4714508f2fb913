"""The demo's words: answers in Markdown, from tool results, from sums, from the documentation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from itertools import cycle

from msgspec import Struct

from headrace.messages import ToolResult
from headrace.providers.demo.calculate import CannotCalculate, calculate
from headrace.providers.demo.library import Library, Passage
from headrace.providers.demo.tools import shortened

QUOTED = 900
"""Characters quoted from one passage."""

INTRODUCTION = (
    "*I am Headrace's demo model: rules and a search over its documentation, not an LLM.*\n\n"
)

WHO = """I am **Headrace's demo model**, and I am *not an LLM*: no neural network, no network at \
all. A few rules read your message; I call tools for sums, for the time and for Headrace's own \
documentation, and stream what comes back at the pace of a real model.

I am here so that everything works before you have a key. For a real model, name one:

```sh
headrace chat --model openai:gpt-5-mini
headrace chat --model ollama:llama3.2
```
"""

HELP = """I only know a few tricks, but they show all that streams: reasoning, parallel tools and \
Markdown. Try one of these:

- `What is 123 * 456, and what time is it in Tokyo?`
- `How does Headrace cancel a run?`
- `Write a long text about streaming.`
"""


class Section(Struct, frozen=True):
    """A part of an answer; headings are shown where there are several kinds."""

    heading: str
    body: str


def joined(sections: Sequence[Section]) -> str:
    """One answer of several parts: parts of one kind stand together under one heading."""
    headings = list(dict.fromkeys(section.heading for section in sections))
    if len(headings) < 2:
        return _listed(section.body for section in sections)
    blocks = []
    for heading in headings:
        bodies = _listed(s.body for s in sections if s.heading == heading)
        blocks.append(f"## {heading}\n\n{bodies}")
    return "\n\n".join(blocks)


def _listed(bodies: Iterable[str]) -> str:
    """Several bodies of one line each are a list."""
    texts = list(bodies)
    if len(texts) > 1 and not any("\n" in text for text in texts):
        return "\n".join(f"- {text}" for text in texts)
    return "\n\n".join(texts)


def from_result(result: ToolResult, arguments: str) -> Section:
    """What a tool's result tells."""
    asked = _asked(arguments)
    if result.is_error:
        body = f"`{result.name}` could not help: {result.output}"
        return Section(_HEADINGS.get(result.name, f"From {result.name}"), body)
    if result.name == "calculator":
        return Section("Sums", f"`{asked.get('expression', '?')}` = **{result.output}**")
    if result.name == "clock":
        return Section("Time", f"It is **{result.output}**.")
    passages = _passages(result.output) if result.name == "search_docs" else None
    if passages is not None:
        return Section("From the documentation", quoted(passages))
    return Section(f"From {result.name}", f"`{result.name}` says:\n\n{_fenced(result.output)}")


_HEADINGS = {"calculator": "Sums", "clock": "Time", "search_docs": "From the documentation"}


def sums(expressions: Iterable[str]) -> list[Section]:
    """Sums worked out here, where there is no calculator to call."""
    sections = []
    for expression in expressions:
        try:
            body = f"`{expression}` = **{calculate(expression)}**"
        except CannotCalculate as error:
            body = f"`{expression}`: {error}."
        sections.append(Section("Sums", body))
    return sections


def no_clock() -> Section:
    """The time, where there is no clock to call."""
    return Section("Time", "I have no clock: this request brought no `clock` tool.")


def quoted(passages: Sequence[Passage]) -> str:
    """The first passage with its page, and where there is more."""
    if not passages:
        return "I found nothing about this in Headrace's documentation."
    first = passages[0]
    text = shortened(first.text, QUOTED)
    lines = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
    answer = f"In **{first.page}**, under *{first.section}*:\n\n{lines}"
    if len(passages) > 1:
        others = "\n".join(f"- **{p.page}**, under *{p.section}*" for p in passages[1:])
        answer += f"\n\nThere is more in:\n\n{others}"
    return answer


def long_answer(question: str, count: int, library: Library) -> str:
    """About `count` words composed from the documentation, what fits the question first."""
    best = library.search(question, limit=len(library.passages))
    order = [*best, *(p for p in library.passages if p not in best)]
    blocks = ["# A long walk through Headrace's documentation"]
    left = count - 7
    for number, passage in enumerate(cycle(order), start=1):
        for block in (f"## {number}. {passage.section}", *_paragraphs(passage.text)):
            if left <= 0:
                return "\n\n".join(blocks)
            blocks.append(block)
            left -= len(block.split())
    return "\n\n".join(blocks)


def _paragraphs(markdown: str) -> list[str]:
    """Blocks between blank lines; a code block is not torn."""
    blocks: list[str] = []
    for part in re.split(r"\n\s*\n", markdown):
        if blocks and blocks[-1].count("```") % 2:
            blocks[-1] += f"\n\n{part}"
        else:
            blocks.append(part)
    return blocks


def _asked(arguments: str) -> dict[str, str]:
    try:
        asked = json.loads(arguments)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _passages(output: str) -> list[Passage] | None:
    """The passages in a search's result, or None where it is of another shape."""
    try:
        found = json.loads(output)
        return [Passage(str(p["page"]), str(p["section"]), str(p["text"])) for p in found]
    except (ValueError, TypeError, KeyError):
        return None


def _fenced(text: str) -> str:
    longest = max((len(ticks) for ticks in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{shortened(text, 4000)}\n{fence}"
