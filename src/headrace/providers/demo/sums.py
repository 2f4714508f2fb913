"""Finds the sums in a text, in figures and signs or in words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from headrace.providers.demo.calculate import (
    CONSTANTS,
    FUNCTIONS,
    SIGNS,
    CannotCalculate,
    parse,
)

MOST = 8
"""Sums taken up from one text."""

_LONGEST = 100
"""Tokens of one sum that are looked at."""

_TOKEN = re.compile(
    r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)"
    r"|\b(?:" + "|".join([*FUNCTIONS, *CONSTANTS]) + r")\b"
    rf"|\*\*|//|[{re.escape(SIGNS)}(),]"
)
_NO_SUM = re.compile(
    r"\b\d{4}-\d\d(?:-\d\d)?\b|\b\d\d?:\d\d\b|\b24/7\b"
    r"|\b\d+\s*[-\u2013]\s*\d+(?=\s*(?:sentence|word|line|paragraph|item|point|step|day|hour))"
)
_LEFT, _RIGHT = r"(?<=[\d)])\s+", r"(?=[\d(]|\w+\()"
_SPOKEN = (
    (re.compile(r"\b(?:the\s+)?square root of\s+(\d+(?:\.\d+)?)"), r"sqrt(\1)"),
    (re.compile(rf"(?<=\d)\s*%\s*of\s+{_RIGHT}"), " / 100 * "),
    (re.compile(rf"{_LEFT}(?:times|multiplied by|x)\s+{_RIGHT}"), " * "),
    (re.compile(rf"{_LEFT}plus\s+{_RIGHT}"), " + "),
    (re.compile(rf"{_LEFT}minus\s+{_RIGHT}"), " - "),
    (re.compile(rf"{_LEFT}(?:divided by|over)\s+{_RIGHT}"), " / "),
    (re.compile(rf"{_LEFT}to the power of\s+{_RIGHT}"), " ^ "),
    (re.compile(r"(?<=[\d)])\s+squared\b"), " ^ 2"),
)


def expressions(text: str) -> list[str]:
    """The sums in a text, in order, each one readable by `calculate`."""
    found = (_expression(tokens) for tokens in _runs(_written(text)))
    return list(dict.fromkeys(filter(None, found)))[:MOST]


def without_sums(text: str) -> str:
    """The text without figures and signs, for a search by words."""
    return " ".join(_TOKEN.sub(" ", _written(text)).split())


def _written(text: str) -> str:
    for spoken, written in _SPOKEN:
        text = spoken.sub(written, text)
    return _NO_SUM.sub(" ; ", text)


def _runs(text: str) -> Iterator[list[str]]:
    """Tokens of arithmetic that stand together, each with a space before it if it had one."""
    run: list[str] = []
    end, after_number = 0, False
    for match in _TOKEN.finditer(text):
        between = text[end : match.start()]
        if between.strip() or (after_number and match["number"]):
            yield run
            run, between = [], ""
        token = match[0].replace(",", "") if match["number"] else match[0]
        run.append((" " if between and run else "") + token)
        end, after_number = match.end(), bool(match["number"])
    yield run


def _expression(tokens: list[str]) -> str:
    """The longest expression left when signs at the ends are taken away, or an empty text."""
    tokens = tokens[:_LONGEST]
    while len(tokens) > 1:
        text = "".join(tokens).strip()
        try:
            tree = parse(text)
        except CannotCalculate:
            at_end = tokens[-1].strip() in f"**//{SIGNS}(,)"
            tokens = tokens[:-1] if at_end else tokens[1:]
            continue
        works = any(isinstance(node, ast.BinOp | ast.Call) for node in ast.walk(tree))
        return text if works else ""
    return ""
