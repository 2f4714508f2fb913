"""What the tests of memory share: conversations of every shape, and what must hold of a part."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from headrace import Message
from headrace.messages import ToolCall, ToolResult

Part = tuple[Message, ...]
texts = st.text(max_size=40)


@st.composite
def turns(draw: st.DrawFn) -> Part:
    """What a person says, steps with tools, an answer; call ids come again in every turn."""
    turn = [Message.user(draw(texts)) for _ in range(draw(st.integers(1, 2)))]
    for step in range(draw(st.integers(0, 3))):
        calls = [ToolCall(f"call_{step}_{i}", "look") for i in range(draw(st.integers(1, 3)))]
        results = [ToolResult(call.id, "look", draw(texts)) for call in calls]
        turn.append(Message.assistant(draw(texts), *calls))
        if draw(st.booleans()):
            turn.append(Message.tool(*results))
        else:
            turn += [Message.tool(result) for result in results]
    if draw(st.booleans()):
        turn.append(Message.assistant(draw(texts)))
    return tuple(turn)


@st.composite
def conversations(draw: st.DrawFn) -> Part:
    """Turns, with system messages anywhere between them."""
    said: list[Message] = []
    for turn in draw(st.lists(turns(), min_size=1, max_size=6)):
        said += [Message.system(draw(texts))] * draw(st.integers(0, 1))
        said += turn
    return tuple(said)


messages = st.one_of(
    st.builds(Message.user, texts),
    st.builds(Message.system, texts),
    st.builds(Message.assistant, texts),
    st.builds(lambda id: Message.assistant(ToolCall(id, "look")), st.sampled_from("abc")),
    st.builds(lambda id: Message.tool(ToolResult(id, "look", "")), st.sampled_from("abc")),
)
anything = st.lists(messages, max_size=20).map(tuple)
"""No conversation that a model would have, but one that a program may give."""


def paired(messages: Sequence[Message]) -> list[tuple[int, int | None]]:
    """Each result's place with that of the call that it answers."""
    pairs: list[tuple[int, int | None]] = []
    asked: dict[str, int] = {}
    for place, message in enumerate(messages):
        asked |= {call.id: place for call in message.tool_calls}
        results = (part for part in message.content if isinstance(part, ToolResult))
        pairs += [(place, asked.get(result.call_id)) for result in results]
    return pairs


def is_whole(messages: Sequence[Message]) -> bool:
    """Whether every result has its call, and every call its result."""
    calls = sum(len(message.tool_calls) for message in messages)
    pairs = paired(messages)
    return len(pairs) == calls and all(call is not None for _, call in pairs)


def begins_with_a_person(messages: Sequence[Message]) -> bool:
    """Whether what comes first, after system messages, is a user's."""
    return next((m.role for m in messages if m.role != "system"), "user") == "user"


def systems(messages: Sequence[Message]) -> list[Message]:
    """The system messages."""
    return [message for message in messages if message.role == "system"]


def places_in(part: Sequence[Message], whole: Sequence[Message]) -> list[int]:
    """Where the messages of a part stand in the whole; by identity, not by what they say."""
    place = {id(message): at for at, message in enumerate(whole)}
    return [place[id(message)] for message in part]
