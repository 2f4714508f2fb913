"""Hypothesis strategies for the words of floor 0: any event, and whole legal logs."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from msgspec import Struct

from headrace import events as e
from headrace.messages import File, Image, Message, Text, ToolCall
from headrace.usage import Metrics, Timing, Usage

S = TypeVar("S", bound=Struct)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
"""Any text that can be UTF-8: lone surrogates cannot."""

PIECES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)

_NUMBERS = st.floats(0, 2e9, allow_nan=False)

JSON: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)

_IMAGES = st.builds(Image, url=TEXT, media_type=TEXT) | st.builds(Image, data=st.binary())
_FILES = (
    st.builds(File, name=TEXT, url=TEXT)
    | st.builds(File, name=TEXT, data=st.binary(max_size=20), media_type=TEXT)
    | st.builds(File, file_id=TEXT)
)
_LEAVES: dict[object, SearchStrategy[Any]] = {
    int: st.integers(0, 2**53),
    float: _NUMBERS,
    str: TEXT,
    bool: st.booleans(),
    Any: JSON,
    NoneType: st.none(),
    Image: _IMAGES,
    File: _FILES,
}


def of(kind: type[S]) -> SearchStrategy[S]:
    """Any value of a struct: every field by its type."""
    hints = get_type_hints(kind)
    return st.builds(kind, **{name: _of_hint(hints[name]) for name in kind.__struct_fields__})


def _of_hint(hint: Any) -> SearchStrategy[Any]:
    if hint in _LEAVES:
        return _LEAVES[hint]
    arguments = get_args(hint)
    origin = get_origin(hint)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, UnionType):
        return st.one_of(*map(_of_hint, arguments))
    if origin is tuple:
        return st.lists(_of_hint(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(*map(_of_hint, arguments), max_size=3)
    return of(hint)


KINDS: tuple[type[e.Event], ...] = get_args(e.AnyEvent)
"""The class of each event."""

EVENTS: SearchStrategy[e.Event] = st.sampled_from(KINDS).flatmap(of)
"""Any one event, with any fields."""

MESSAGES = of(Message)


class Scribe:
    """Writes events with the next `seq`, a clock that never falls, and no gaps."""

    def __init__(self) -> None:
        self.events: list[e.Event] = []

    def put(self, kind: type[e.Event], *fields: object, agent: str = "") -> e.Event:
        seq = len(self.events) + 1
        event = kind(seq, 1000.0 + seq / 8, agent, *fields)
        self.events.append(event)
        return event


@st.composite
def logs(draw: DrawFn, *, ended: bool = True) -> list[e.Event]:
    """A legal log: steps with reasoning, text and tools, withdrawn tries, a sub-agent's noise."""
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "scripted:one")
    text = ""
    count = draw(st.integers(1, 3))
    for number in range(1, count + 1):
        if draw(st.booleans()):
            _lost_try(draw, scribe, number)
        text += _step(draw, scribe, number, tools=number < count)
    if ended:
        scribe.put(e.Answer, text)
        scribe.put(e.Complete, "stop", Usage(1, 2), Metrics())
    return scribe.events


def _lost_try(draw: DrawFn, scribe: Scribe, number: int) -> None:
    start = scribe.put(e.StepStart, number, "scripted:one")
    _deltas(draw, scribe)
    fields = (number, "error", Usage(exact=False), Timing(1.0), Message("assistant"))
    scribe.put(e.StepEnd, *fields)
    scribe.put(e.Retract, start.seq + 1, "stream_truncated")


def _step(draw: DrawFn, scribe: Scribe, number: int, *, tools: bool) -> str:
    scribe.put(e.StepStart, number, "scripted:one")
    text = _deltas(draw, scribe)
    ids = [f"call_{i}" for i in range(draw(st.integers(1, 3)))] if tools else []
    for call_id in ids:
        for piece in draw(st.lists(PIECES, max_size=3)):
            scribe.put(e.ToolArgs, call_id, "look", piece)
    # A read-only tool may run and end before the step that asks for it ends.
    early = draw(st.integers(0, len(ids)))
    _tools(draw, scribe, ids[:early])
    message = Message.assistant(Text(text), *(ToolCall(i, "look") for i in ids))
    reason = "tool_calls" if ids else "stop"
    scribe.put(e.StepEnd, number, reason, Usage(1, 1), Timing(2.0), message)
    _tools(draw, scribe, ids[early:])
    return text


def _deltas(draw: DrawFn, scribe: Scribe) -> str:
    """Some deltas of the root agent, among them a helper's; gives the root's text."""
    text, index, other = "", 0, 0
    scribe.put(e.AgentStart, "helper", "help", agent="helper")
    scribe.put(e.StepStart, 1, "scripted:two", agent="helper")
    for kind in draw(st.lists(st.sampled_from("tttrh"), max_size=8)):
        piece = draw(PIECES)
        if kind == "t":
            scribe.put(e.Token, piece, index)
            text, index = text + piece, index + 1
        elif kind == "r":
            scribe.put(e.Thought, piece)
        else:
            scribe.put(e.Token, piece, other, agent="helper")
            other += 1
    fields = (1, "stop", Usage(1, 1), Timing(1.0), Message("assistant"))
    scribe.put(e.StepEnd, *fields, agent="helper")
    scribe.put(e.AgentEnd, "helper", "helped", 1.0, agent="helper")
    return text


def _tools(draw: DrawFn, scribe: Scribe, ids: list[str]) -> None:
    """Run these calls: started in order, ended in any; some wait for a person before."""
    asked = [call_id for call_id in ids if draw(st.booleans())]
    for call_id in asked:
        scribe.put(e.ApprovalNeeded, call_id, "look", {"id": call_id})
    for call_id in draw(st.permutations(asked)):
        scribe.put(e.Approval, call_id, True, "ann")
    for call_id in ids:
        scribe.put(e.ToolStart, call_id, "look", {"id": call_id})
    for call_id in draw(st.permutations(ids)):
        if draw(st.booleans()):
            scribe.put(e.ToolProgress, call_id, "half")
        failed = draw(st.booleans())
        output, error = ("", "it broke") if failed else (f"found {call_id}", None)
        scribe.put(e.ToolEnd, call_id, "look", output, 1.5, error)
