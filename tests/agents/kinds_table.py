"""Writes the tables of docs/agents.md: kinds of agents, their events, and the views.

    python -m tests.agents.kinds_table

A test fails while they are not what this writes; another one runs what they tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from headrace.events import AnyEvent
from tests.agents.kind_views import VIEWS
from tests.agents.kinds import KINDS, Kind, Unlike

PAGE = Path(__file__).parents[2] / "docs" / "agents.md"
COMMAND = "python -m tests.agents.kinds_table"
BEGIN = f"<!-- Written by `{COMMAND}`; what is changed here by hand is lost. -->\n"
END = "<!-- The end of what is written by it. -->\n"

NUMBERS = "¹²³⁴⁵⁶⁷⁸⁹"

ANY = {
    "input": "what a person says into a live run",
    "warning": "such as a retry",
    "retract": "a step that is asked again",
    "error": "the end of a run that failed",
    "cancelled": "the end of a run that was stopped",
}
"""What any kind may have, whatever its script."""


def tables() -> str:
    """What stands between the marks."""
    return "".join(
        [
            BEGIN,
            "\n",
            *_events(),
            "\nAny of them may also have\n\n",
            *(f"- `{type_}`: {what}\n" for type_, what in ANY.items()),
            "\n",
            *_views(),
            "\n",
            END,
        ]
    )


def types() -> list[str]:
    """Every type of event, as the vocabulary has them."""
    return [str(kind.__struct_config__.tag) for kind in get_args(AnyEvent)]


def _events() -> Iterator[str]:
    yield f"| event | {' | '.join(kind.short for kind in KINDS)} |\n"
    yield f"|---|{':-:|' * len(KINDS)}\n"
    for type_ in types():
        marks = ["✓" if type_ in kind.promise.split() else "" for kind in KINDS]
        if any(marks):
            yield f"| `{type_}` | {' | '.join(marks)} |\n"


def _views() -> Iterator[str]:
    notes: list[str] = []
    yield f"| through | {' | '.join(kind.short for kind in KINDS)} |\n"
    yield f"|---|{':-:|' * len(KINDS)}\n"
    for view in VIEWS:
        marks = (_mark(kind, view, notes) for kind in KINDS)
        yield f"| `{view}` | {' | '.join(marks)} |\n"
    yield "\n- ✓ All events of the column above in a legal order, the same answer, the same end.\n"
    for number, why in zip(NUMBERS, notes, strict=False):
        yield f"- {number} {why[0].upper()}{why[1:]}.\n"


def _mark(kind: Kind, view: str, notes: list[str]) -> str:
    unlike = difference(kind, view)
    if unlike is None:
        return "✓"
    if unlike.why not in notes:
        notes.append(unlike.why)
    return NUMBERS[notes.index(unlike.why)]


def difference(kind: Kind, view: str) -> Unlike | None:
    """How a kind differs in a view."""
    return next((unlike for unlike in kind.unlike if view in unlike.views), None)


def written(page: str) -> str:
    """The page with its tables as they are to be.

    Raises:
        ValueError: the page has no marks.
    """
    start = page.index(BEGIN)
    return page[:start] + tables() + page[page.index(END, start) + len(END) :]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
