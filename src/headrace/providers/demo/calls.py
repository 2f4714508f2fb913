"""Which of a request's tools a question needs, and with what arguments."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from headrace.models.request import ToolSpec
from headrace.providers.demo.library import words
from headrace.providers.demo.question import about_headrace, zones
from headrace.providers.demo.sums import expressions, without_sums

Wanted = tuple[str, dict[str, Any]]
"""A tool's name and its arguments."""

_OWN = {"calculator": "expression", "clock": "timezone", "search_docs": "query"}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|[_-]")
_VERBS = frozenset({"call", "do", "fetch", "get", "make", "my", "read", "run", "tool", "list"})
_SYNONYMS = {"find": "search", "look": "search", "multiply": "times", "forecast": "weather"}
_QUOTED = re.compile(r"[\"“']([^\"”']{1,200})[\"”']")
_NAMED = re.compile(
    r"\b(?:in|at|for|of|from|to|about)\s+([A-Z][\w-]*(?:\s[A-Z][\w-]*)*|[A-Z][\w-]*)"
)
_CLAUSE = re.compile(r"[,.;:?!]+(?:\s|$)|\band\b")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_WHOLE = frozenset({"q", "query", "question", "text", "prompt", "task", "message", "input"})


def wanted(question: str, tools: Sequence[ToolSpec]) -> list[Wanted]:
    """The calls that a question needs, of the tools that there are, in order."""
    own = {tool.name for tool in tools if is_own(tool)}
    calls: list[Wanted] = []
    if "calculator" in own:
        calls += [("calculator", {"expression": each}) for each in expressions(question)]
    if "clock" in own:
        calls += [("clock", {"timezone": zone}) for zone in zones(question)]
    foreign = [t for t in tools if t.name not in own and _named(question, t)]
    calls += [(tool.name, arguments_for(tool, question)) for tool in foreign]
    if "search_docs" in own and not foreign and about_headrace(question):
        calls.append(("search_docs", {"query": search_words(question)}))
    return calls


def search_words(question: str) -> str:
    """What to search for: the parts of the question that are about Headrace, without sums."""
    parts = _CLAUSE.split(without_sums(question))
    about = [part.strip() for part in parts if about_headrace(part) and not zones(part)]
    return (" ".join(about) or question)[:300]


def is_own(tool: ToolSpec) -> bool:
    """Whether it is one of the demo's tools, and no other tool of that name."""
    parameter = _OWN.get(tool.name)
    return parameter is not None and parameter in tool.parameters.get("properties", {})


def _named(question: str, tool: ToolSpec) -> bool:
    """Whether a word of the tool's name stands in the question."""
    parts = {part.lower() for part in _CAMEL.split(tool.name)} - _VERBS
    said = {word.lower() for word in re.findall(r"\w+", question)} | set(words(question))
    return tool.name.lower() in said or not parts.isdisjoint(
        said | {_SYNONYMS[word] for word in said if word in _SYNONYMS}
    )


def arguments_for(tool: ToolSpec, question: str) -> dict[str, Any]:
    """Something fitting for each argument that must be there."""
    return _Filling(tool.parameters, question).object(tool.parameters)


class _Filling:
    """Takes values for a schema from a question: what is quoted, named or counted there, in order.

    Args:
        schema: The whole schema, for what it refers to.
        question: The question.
    """

    def __init__(self, schema: dict[str, Any], question: str) -> None:
        self._defs: dict[str, Any] = schema.get("$defs", {})
        self._question = question
        self._numbers = iter(_NUMBER.findall(question))
        self._quoted = iter(_QUOTED.findall(question))
        self._names = iter(_NAMED.findall(question))

    def object(self, schema: dict[str, Any]) -> dict[str, Any]:
        """An object with all that it must have."""
        properties: dict[str, Any] = schema.get("properties", {})
        return {
            name: self._value(properties.get(name, {}), name) for name in schema.get("required", ())
        }

    def _value(self, schema: dict[str, Any], name: str) -> Any:
        schema = schema.get("anyOf", [schema])[0]
        schema = self._defs.get(schema.get("$ref", "").removeprefix("#/$defs/"), schema)
        if "enum" in schema:
            options = schema["enum"]
            said = self._question.lower()
            return next((o for o in options if str(o).lower() in said), options[0])
        match schema.get("type", "string"):
            case "integer":
                return int(float(next(self._numbers, "1")))
            case "number":
                return float(next(self._numbers, "1"))
            case "boolean":
                return True
            case "array":
                return [self._value(schema.get("items", {}), name)]
            case "object":
                return self.object(schema)
        return self._text(name)

    def _text(self, name: str) -> str:
        given = next(self._quoted, None)
        if given is None and name not in _WHOLE:
            given = next(self._names, None)
        return self._question[:300] if given is None else given


def arguments_text(arguments: dict[str, Any]) -> str:
    """Arguments as a model writes them."""
    return json.dumps(arguments, ensure_ascii=False)
