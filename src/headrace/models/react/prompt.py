"""What a model without tool calling is asked: the form, and the conversation in that form; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import msgspec

from headrace.errors import UsageError
from headrace.messages import (
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from headrace.models.react.reader import UNREADABLE
from headrace.models.request import ModelRequest, Options, ToolSpec

STOP = "\nObservation:"
"""Ends the model's turn. With its line end, so that a provider does not cut an answer that only
speaks of an observation."""

MAX_STOPS = 4
"""Stop texts of one request; OpenAI's API refuses more, and then ours is left out: the reader stops
at the mark all the same."""

REMINDER = (
    "That could not be read. Write `Action:` with the name of one tool and, on the next line, "
    "`Action Input:` with its arguments as one JSON object; or write `Final Answer:` with your "
    "answer."
)
"""What the model is told of a turn with neither an action nor an answer."""

_WITH_TOOLS = """\
You have these tools:

{tools}

Use exactly this form, with each mark at the beginning of a line:

Thought: what you think about what to do
Action: the name of one tool, one of {names}
Action Input: its arguments, one JSON object that fits its schema

Then stop: you are told the result as "Observation:", and go on in the same form, as often as \
needed. Never write an observation yourself. When you can answer:

Thought: why you know enough
Final Answer: your answer"""

_WITHOUT_TOOLS = """\
Use exactly this form, with each mark at the beginning of a line:

Thought: what you think about the question
Final Answer: your answer"""


def in_form(request: ModelRequest, *, stop: bool = True) -> ModelRequest:
    """The request as text: no tools, no calls, and the form in the system message.

    Args:
        request: With tools, calls and their results.
        stop: Whether the provider takes stop texts.

    Raises:
        UsageError: it asks for a format that ReAct's form is not.
    """
    options = request.options
    if options.response_format is not None:
        raise no_format()
    tools = () if options.tool_choice == "none" else request.tools
    messages = _with_form(_conversation(request.messages), _form(tools, options.tool_choice))
    return ModelRequest(tuple(messages), (), _options(options, stop and bool(tools)))


def no_format() -> UsageError:
    """The error for a `response_format`."""
    return UsageError(
        "ReAct's answers are in its own form: response_format cannot be asked for as well.",
        hint="Leave it out, or take an Agent and a model that calls tools.",
    )


def _options(options: Options, stop: bool) -> Options:
    stops = options.stop
    if stop and len(stops) < MAX_STOPS and STOP not in stops:
        stops = (*stops, STOP)
    return msgspec.structs.replace(options, stop=stops, tool_choice=None)


def _form(tools: Sequence[ToolSpec], choice: str | None) -> str:
    if not tools:
        return _WITHOUT_TOOLS
    form = _WITH_TOOLS.format(
        tools="\n".join(map(_described, tools)), names=", ".join(tool.name for tool in tools)
    )
    if choice in (None, "auto"):
        return form
    which = "a tool" if choice == "required" else f"the tool {choice}"
    return f"{form}\n\nDo not answer yet: begin with an action that uses {which}."


def _described(tool: ToolSpec) -> str:
    schema = json.dumps(tool.parameters, ensure_ascii=False)
    about = f": {tool.description.strip()}" if tool.description.strip() else ""
    return f"- {tool.name}{about}\n  Arguments (JSON Schema): {schema}"


def _with_form(messages: Sequence[Message], form: str) -> list[Message]:
    if messages and messages[0].role == "system":
        said = f"{messages[0].text}\n\n{form}"
        return [Message.system(said), *messages[1:]]
    return [Message.system(form), *messages]


def _conversation(messages: Iterable[Message]) -> list[Message]:
    """The conversation without calls and results; what an observation meets is one message.

    Templates of many models without tools demand that user and assistant take turns.
    """
    told: list[Message] = []
    observed = False
    for message in map(_as_text, messages):
        if not message.content:
            continue
        role: Role = "user" if message.role == "tool" else message.role
        beside = observed or message.role == "tool"
        observed = message.role == "tool"
        if beside and told and told[-1].role == role == "user":
            told[-1] = _joined(told[-1], message)
        else:
            told.append(Message(role, message.content))
    return told


def _joined(one: Message, other: Message) -> Message:
    parts = (*one.content, *other.content)
    if all(isinstance(part, Text) for part in parts):
        return Message.user(f"{one.text}\n\n{other.text}")
    return Message("user", parts)


def _as_text(message: Message) -> Message:
    if message.role == "assistant":
        return _as_said(message)
    if message.role == "tool":
        results = [part for part in message.content if isinstance(part, ToolResult)]
        lines = [f"Observation: {result.output}" for result in results]
        return Message("tool", (Text("\n".join(lines)),) if lines else ())
    return message


def _as_said(message: Message) -> Message:
    """What a model said, in the form. Opaque items belong to calls that are no calls here."""
    calls = message.tool_calls
    reasoning = "".join(part.text for part in message.content if isinstance(part, Reasoning))
    text = message.text.strip()
    thought = "\n".join(filter(None, (reasoning.strip(), text if calls else "")))
    lines = [f"Thought: {thought}"] if thought else []
    lines += [_action(call) for call in calls if call.name != UNREADABLE]
    if text and not calls:
        lines.append(f"Final Answer: {text}")
    said: list[Part] = [Text("\n".join(lines))] if lines else []
    return Message(
        "assistant", (*said, *(p for p in message.content if isinstance(p, Image | File)))
    )


def _action(call: ToolCall) -> str:
    return f"Action: {call.name}\nAction Input: {call.arguments}"
