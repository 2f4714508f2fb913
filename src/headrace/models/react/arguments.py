"""What stands under `Action Input:`, as the JSON text of a call's arguments, as it comes.

An object is taken as it is written, up to its end. A plain text is the argument of a tool that
has but one, or needs but one. Anything else stays as the model wrote it: it is refused when the
call is checked, and the model is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

MAX_HELD = 64 * 1024
"""Characters of an input that are held back until it is certain what it is."""

_NOTHING = frozenset({"none", "null", "n/a", "no input"})
_FENCE = re.compile(r"```(?:json\b|[A-Za-z][\w+-]*[ \t]*\r?\n)?\s*", re.IGNORECASE)
_MAY_BE_FENCE = re.compile(r"`{1,3}\Z|```[A-Za-z][\w+-]*[ \t]*\r?\Z")
_STRUCTURE = re.compile(r'["\\{}\[\]]')
_HELD_BACK = re.compile(r"[\s`]+\Z")


_NAMED = re.compile(
    r"""\s*(?P<name>[A-Za-z_]\w*)\s*=\s*
        (?P<value>"(?:[^"\\]|\\.)*" | '[^'\\]*' | [-\w.]+)\s*(?:,|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"True": "true", "False": "false", "None": "null"}


def named_arguments(text: str, schema: Mapping[str, Any]) -> str | None:
    """The arguments of ``query="pumps", limit=3``, as JSON; None where the text is none of these.

    Every name has to be one of the tool's arguments, and every value a text, a number or the like.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _NAMED.match(text, at)
        if match is None or match["name"] not in schema.get("properties", {}):
            return None
        value = match["value"]
        value = _quoted(value[1:-1]) if value[0] == "'" else _WORDS.get(value, value)
        try:
            json.loads(value)
        except ValueError:
            return None
        found[match["name"]] = value
        at = match.end()
    pairs = (f"{_quoted(name)}: {value}" for name, value in found.items())
    return f"{{{', '.join(pairs)}}}" if found else None


class Only(Struct, frozen=True):
    """The one argument that a plain text can be.

    Attributes:
        name: Its name.
        is_text: Whether it takes text.
        required: Whether it must be there.
    """

    name: str
    is_text: bool
    required: bool


def only_argument(schema: Mapping[str, Any]) -> Only | None:
    """The one argument of a tool, or the one that it needs."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    required = list(schema.get("required", ()))
    names = required if len(required) == 1 else list(properties)
    if len(names) != 1:
        return None
    kind = properties.get(names[0], {})
    kinds = [kind, *kind.get("anyOf", ())] if isinstance(kind, Mapping) else []
    is_text = any(each.get("type") == "string" for each in kinds)
    return Only(names[0], is_text, names[0] in required)


class ArgumentsText:
    """Makes arguments of an input, piece by piece.

    Args:
        schema: JSON Schema of the tool's arguments; empty for a tool that there is not.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._only = only_argument(schema)
        self._needs = bool(schema.get("required"))
        self._held = ""
        self._fenced = False
        self._form: _Object | _Plain | None = None

    def take(self, text: str) -> str:
        """Take the next piece of the input; the next piece of the arguments."""
        if self._form is not None:
            return self._form.take(text)
        self._held = (self._held + text).lstrip()
        if not self._held or (not self._fenced and _MAY_BE_FENCE.match(self._held)):
            return ""
        if not self._fenced and (fence := _FENCE.match(self._held)):
            self._fenced = True
            self._held = self._held[fence.end() :]
            if not self._held:
                return ""
        self._form = self._form_of(self._held[0])
        if self._form is None:
            return "" if len(self._held) <= MAX_HELD else self._give_up()
        held, self._held = self._held, ""
        return self._form.take(held)

    def end(self) -> str:
        """No more comes: the rest of the arguments."""
        if self._form is not None:
            return self._form.end()
        text = self._held.strip()
        if self._fenced:
            text = text.removesuffix("```").rstrip()
        if not text or (not self._needs and text.casefold() in _NOTHING):
            return ""
        named = named_arguments(text, self._schema)
        if named is not None:
            return named
        return text if self._only is None else _argument(self._only, text)

    def _form_of(self, first: str) -> _Object | _Plain | None:
        """How to go on, by the first character; None where only the whole tells."""
        if first == "{":
            return _Object()
        only = self._only
        if only is not None and only.is_text and only.required and first not in "\"'`":
            return _Plain(only.name, self._fenced)
        return None

    def _give_up(self) -> str:
        """It stays as it is written."""
        self._form = _Object(whole=False)
        held, self._held = self._held, ""
        return held


class _Object:
    """A JSON object as it is written; what follows its end is none of the arguments."""

    def __init__(self, *, whole: bool = True) -> None:
        self._whole = whole
        self._depth = 0
        self._string = False
        self._escaped = -1
        self._seen = 0
        self._over = False

    def take(self, text: str) -> str:
        if self._over or not self._whole:
            return "" if self._over else text
        for match in _STRUCTURE.finditer(text):
            if self._take(match[0], self._seen + match.start()):
                self._over = True
                return text[: match.end()]
        self._seen += len(text)
        return text

    def end(self) -> str:
        return ""

    def _take(self, char: str, at: int) -> bool:
        """Whether the object ends with this character of its structure."""
        if at == self._escaped:
            return False
        if char == "\\":
            self._escaped = at + 1
        elif char == '"':
            self._string = not self._string
        elif not self._string:
            self._depth += 1 if char in "{[" else -1
            return self._depth == 0
        return False


class _Plain:
    """A plain text as the one argument that there is."""

    def __init__(self, name: str, fenced: bool) -> None:
        self._begin = "{" + _quoted(name) + ': "'
        self._fenced = fenced
        self._over = False
        self._held = ""

    def take(self, text: str) -> str:
        if self._over:
            return ""
        text, self._held = self._held + text, ""
        if self._fenced and "```" in text:
            self._over = True
            text = text.partition("```")[0].rstrip()
        elif back := _HELD_BACK.search(text):  # blanks at its end, and a fence that may close
            text, self._held = text[: back.start()], text[back.start() :]
        return self._out(text)

    def end(self) -> str:
        rest = "" if self._over else self._held.rstrip()
        return self._out(rest) + '"}'

    def _out(self, text: str) -> str:
        begin, self._begin = (self._begin, "") if text else ("", self._begin)
        return begin + _quoted(text)[1:-1]


def _argument(only: Only, text: str) -> str:
    """The arguments with this text, or this JSON value, as the only one."""
    return f"{{{_quoted(only.name)}: {_value(only, text)}}}"


def _value(only: Only, text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _quoted(_unquoted(text))
    return _quoted(text) if only.is_text and not isinstance(value, str) else text


def _unquoted(text: str) -> str:
    """Without the one pair of quotes or backticks around it."""
    if len(text) > 1 and text[0] in "\"'`" and text.find(text[0], 1) == len(text) - 1:
        return text[1:-1]
    return text


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
