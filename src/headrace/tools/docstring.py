"""What a docstring says for a model: the description, and a line about each parameter.

Three common styles are read: Google (`Args:`), NumPy (`Parameters` underlined) and reST
(`:param name:`). What fits none of them is description.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from itertools import takewhile

from msgspec import Struct

_PARAMETERS = frozenset({"args", "arguments", "parameters", "params", "keyword args"})
_SECTIONS = _PARAMETERS | {
    *("returns", "return", "yields", "yield", "raises", "example", "examples", "note", "notes"),
    *("attributes", "see also", "references", "warning", "warnings", "todo"),
}
_GOOGLE_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?::.*)?()$")
_REST_ENTRY = re.compile(r":(?:param|parameter|arg|argument)\s+(?:[^:]*\s)?(\w+)\s*:\s*(.*)")
_REST_FIELD = re.compile(r":[a-zA-Z]+[^:]*:(?:\s|$)")
_UNDERLINE = re.compile(r"-{3,}\s*$")


class Docstring(Struct, frozen=True):
    """A docstring, read.

    Attributes:
        description: Everything before the first section.
        parameters: A parameter's name to its text, in one line.
    """

    description: str
    parameters: dict[str, str]


def read_docstring(text: str | None) -> Docstring:
    """Read a docstring in any of the three styles; never raises."""
    lines = inspect.cleandoc(text or "").splitlines()
    description: list[str] = []
    parameters: dict[str, str] = {}
    for i, line in enumerate(lines):
        google, numpy = _google_header(line), _numpy_header(lines, i)
        rest = bool(_REST_FIELD.match(line))
        if not (google or numpy or rest or parameters or len(description) < i):
            description.append(line)
        elif google in _PARAMETERS:
            parameters |= _entries(takewhile(_indented, lines[i + 1 :]), _GOOGLE_ENTRY)
        elif numpy in _PARAMETERS:
            parameters |= _entries(_until_header(lines, i + 2), _NUMPY_ENTRY)
        elif rest and not parameters:
            parameters |= _entries(iter(lines[i:]), _REST_ENTRY)
    return Docstring("\n".join(description).strip(), parameters)


def _google_header(line: str) -> str:
    """The section's name in lower case if this line begins one, else an empty text."""
    name = line.rstrip()[:-1].lower() if line.rstrip().endswith(":") else ""
    return name if name in _SECTIONS else ""


def _numpy_header(lines: list[str], i: int) -> str:
    underlined = i + 1 < len(lines) and _UNDERLINE.match(lines[i + 1])
    name = lines[i].strip().lower()
    return name if underlined and name in _SECTIONS else ""


def _indented(line: str) -> bool:
    return not line.strip() or line[0].isspace()


def _until_header(lines: list[str], start: int) -> Iterator[str]:
    for i in range(start, len(lines)):
        if _numpy_header(lines, i):
            return
        yield lines[i]


def _entries(body: Iterator[str], pattern: re.Pattern[str]) -> dict[str, str]:
    """Entries begin at the first line's indent; deeper lines go on with the last one."""
    found: dict[str, list[str]] = {}
    name = ""
    base: int | None = None
    for line in body:
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        base = indent if base is None else base
        if indent > base:
            found.setdefault(name, []).append(line.strip())
            continue
        match = pattern.match(line.strip())
        name = match[1] if match else ""
        found[name] = [match[2]] if match and match[2] else []
    return {name: " ".join(texts) for name, texts in found.items() if name and texts}
