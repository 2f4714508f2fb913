"""Decides what the demo says: pure, so that the same conversation always gets the same answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from headrace.messages import Message, Reasoning, Text, ToolCall, ToolResult
from headrace.models.deltas import (
    Delta,
    Finish,
    Note,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from headrace.models.request import ModelRequest, Options, ToolSpec
from headrace.providers.demo import answer
from headrace.providers.demo.answer import Section
from headrace.providers.demo.calls import (
    Wanted,
    arguments_for,
    arguments_text,
    is_own,
    search_words,
    wanted,
)
from headrace.providers.demo.library import Library
from headrace.providers.demo.question import about_headrace, asks_who, long_text, zones
from headrace.providers.demo.sums import expressions
from headrace.usage import Usage

_PIECE = re.compile(r"\s*\w{1,12}|\s*[^\w\s]+|\s+")


class Plan(Struct, frozen=True):
    """What one step says and does."""

    reasoning: str
    text: str = ""
    calls: tuple[ToolCall, ...] = ()


def reply(request: ModelRequest, library: Library) -> list[Delta]:
    """The whole answer to a request, in pieces; usage and the finish come last.

    A piece is about a word; it is what `max_tokens` and the usage count.
    """
    options = request.options
    tools = _offered(request.tools, options.tool_choice)
    forced = tools[-1] if tools and options.tool_choice not in (None, "auto", "none") else None
    said = plan(request.messages, tools, library, forced)
    text, stopped = _before_stop(said.text, options.stop)
    thoughts = [ReasoningDelta(piece) for piece in pieces(said.reasoning)]
    content: list[Delta] = [*thoughts, *map(TextDelta, pieces(text))]
    if not stopped:
        content += _call_deltas(said.calls)
    reason = "tool_calls" if said.calls and not stopped else "stop"
    if options.max_tokens is not None and len(content) > options.max_tokens:
        content, reason = content[: options.max_tokens], "length"
    usage = Usage(
        input=_size(request.messages, tools),
        output=len(content),
        reasoning=min(len(thoughts), len(content)),
    )
    return [*_notes(options), *content, UsageDelta(usage), Finish(reason, "demo")]  # type: ignore[arg-type]


def plan(
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    library: Library,
    forced: ToolSpec | None = None,
) -> Plan:
    """Decide one step: call tools, answer from what they gave, or answer at once.

    Args:
        messages: The conversation.
        tools: What may be called.
        library: What the demo knows.
        forced: What is called where a call must be made and no other one is needed.
    """
    asked = max((i for i, m in enumerate(messages) if m.role == "user"), default=-1)
    question = messages[asked].text if asked >= 0 else ""
    results = _results(messages[asked + 1 :])
    calls = [] if results else wanted(question, tools)
    if forced is not None:
        return _calling(calls or [(forced.name, arguments_for(forced, question))], messages)
    first = not any(m.role == "assistant" and m.text.strip() for m in messages)
    hello = answer.INTRODUCTION if first else ""
    if results:
        sections = [answer.from_result(result, arguments) for result, arguments in results]
        sections += _without_tools(question, tools, library, docs=False)
        return Plan(_looked_at(results), hello + answer.joined(sections))
    if asks_who(question):
        return Plan("I am asked what I am, and answer plainly.", answer.WHO)
    if count := long_text(question):
        text = answer.long_answer(question, count, library)
        return Plan("A long text is asked for: I compose it from the documentation.", hello + text)
    if calls:
        return _calling(calls, messages)
    sections = _without_tools(question, tools, library, docs=True)
    if sections:
        return Plan("I can answer this without a tool.", hello + answer.joined(sections))
    return Plan("None of my rules fits this, so I say what I can do.", hello + answer.HELP)


def _calling(calls: Sequence[Wanted], messages: Sequence[Message]) -> Plan:
    step = sum(m.role == "assistant" for m in messages) + 1
    made = [
        ToolCall(f"call_{step}_{i}", name, arguments_text(arguments))
        for i, (name, arguments) in enumerate(calls, start=1)
    ]
    return Plan(_reason_to_call([name for name, _ in calls]), "", tuple(made))


def pieces(text: str) -> list[str]:
    """The text cut into pieces of about a word; joined they are the text."""
    return _PIECE.findall(text)


def _without_tools(
    question: str, tools: Sequence[ToolSpec], library: Library, *, docs: bool
) -> list[Section]:
    """Answers to what no tool is there for."""
    there = {tool.name for tool in tools if is_own(tool)}
    sections: list[Section] = []
    if "calculator" not in there:
        sections += answer.sums(expressions(question))
    if "clock" not in there and zones(question):
        sections.append(answer.no_clock())
    if docs and "search_docs" not in there and about_headrace(question):
        found = answer.quoted(library.search(search_words(question)))
        sections.append(Section("From the documentation", found))
    return sections


def _results(messages: Iterable[Message]) -> list[tuple[ToolResult, str]]:
    """Each result with the arguments of its call, in order."""
    arguments: dict[str, str] = {}
    results = []
    for message in messages:
        arguments |= {call.id: call.arguments for call in message.tool_calls}
        found = (part for part in message.content if isinstance(part, ToolResult))
        results += [(part, arguments.get(part.call_id, "{}")) for part in found]
    return results


def _looked_at(results: Sequence[tuple[ToolResult, str]]) -> str:
    failed = sum(result.is_error for result, _ in results)
    some = "The tool has" if len(results) == 1 else f"All {len(results)} tools have"
    return f"{some} answered{f', {failed} with an error' if failed else ''}. Now I write it up."


def _reason_to_call(names: Sequence[str]) -> str:
    kinds = list(dict.fromkeys(names))
    listed = " and ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))
    at_once = f" I make all {len(names)} calls at once." if len(names) > 1 else ""
    return f"This is a question for {listed}.{at_once}"


def _offered(tools: Sequence[ToolSpec], choice: str | None) -> Sequence[ToolSpec]:
    if choice in (None, "auto", "required"):
        return tools
    return [tool for tool in tools if tool.name == choice]


def _notes(options: Options) -> list[Delta]:
    if options.response_format is None:
        return []
    return [Note("option_ignored", "The demo model answers in Markdown only.")]


def _before_stop(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    ends = [at for at in (text.find(stop) for stop in stops if stop) if at >= 0]
    return (text[: min(ends)], True) if ends else (text, False)


def _call_deltas(calls: Iterable[ToolCall]) -> list[Delta]:
    return [
        ToolCallDelta(index, call.id, call.name, piece)
        for index, call in enumerate(calls)
        for piece in pieces(call.arguments)
    ]


def _size(messages: Iterable[Message], tools: Iterable[ToolSpec]) -> int:
    size = sum(len(pieces(_words_of(part))) for m in messages for part in m.content)
    return size + sum(len(pieces(f"{tool.name} {tool.description}")) for tool in tools)


def _words_of(part: object) -> str:
    match part:
        case Text() | Reasoning():
            return part.text
        case ToolCall():
            return f"{part.name} {part.arguments}"
        case ToolResult():
            return part.output
    return ""
