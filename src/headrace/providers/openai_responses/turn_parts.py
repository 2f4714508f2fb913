"""What the events of a Responses stream add to a turn: text, reasoning, calls, items, usage."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from headrace.messages import Opaque
from headrace.models.deltas import Delta, OpaqueDelta, ReasoningDelta, TextDelta, UsageDelta
from headrace.providers.openai_chat.joined_calls import JoinedCalls
from headrace.providers.openai_chat.usage_fields import UsageFields
from headrace.providers.openai_responses.event import Event, Item, Piece, item_of
from headrace.providers.openai_responses.output_items import (
    CALL,
    MESSAGE,
    REASONING,
    OutputItem,
    OutputItems,
)

_TEXTS = ("output_text", "refusal")
_SUMMARY = "reasoning_summary_text"
_REASONINGS = (_SUMMARY, "reasoning_text", "reasoning", "reasoning_summary")
"""Names of reasoning: OpenAI's two, then those of early compatible servers."""


class TurnParts:
    """The parts of one turn.

    Args:
        provider: Whose opaque items these are.
        id_prefix: What made-up ids of tool calls begin with.
    """

    def __init__(self, provider: str, id_prefix: str) -> None:
        self._provider = provider
        self._items = OutputItems()
        self._calls = JoinedCalls(id_prefix)
        self._usage = UsageFields()
        # Where the last piece of text belongs: further ones need no look at what was told.
        self._place: int | None = -1
        self._part: int | None = None

    @property
    def called(self) -> bool:
        """Whether there is a tool call."""
        return bool(self._calls)

    def goes_on(self, piece: Piece) -> bool:
        """Whether a piece of text continues the last one, so that there is nothing to look up."""
        place = piece.output_index
        return place is not None and place == self._place and piece.content_index == self._part

    def take(self, kind: str, event: Event, out: list[Delta]) -> None:
        """Take an event that is about a part of the answer; others are skipped."""
        name, _, what = kind.removeprefix("response.").rpartition(".")
        if name == "output_item":
            self._item(event, what == "added", out)
        elif what not in ("delta", "done"):
            return
        elif name in _TEXTS:
            self._text(name, event, what == "done", out)
        elif name in _REASONINGS:
            self._reasoning(name, event, what == "done", out)
        elif name == "function_call_arguments":
            item = self._items.of(CALL, event.output_index, event.item_id)
            arguments = event.delta if what == "delta" else event.arguments
            self._call(item, None, event.name, arguments, what == "done", out)
            item.done = item.done or what == "done"
        elif name in ("content_part", "reasoning_part", "reasoning_summary_part"):
            self._whole_part(name, event, out)

    def take_output(self, output: list[Raw] | None, out: list[Delta]) -> None:
        """Take the finished answer's items: what of them was not told yet."""
        for place, raw in enumerate(output or ()):
            made = item_of(raw)
            if made is not None and isinstance(made.type, str):
                item = self._items.finished(made.type, place, _id_of(made))
                self._whole_item(item, made, raw, out)

    def take_usage(self, usage: object, out: list[Delta]) -> None:
        """Take a usage object of any shape."""
        if self._usage.take(usage):
            out.append(UsageDelta(self._usage.usage()))

    def cut_call(self) -> bool:
        """Whether a call has begun and not come to its end."""
        return any(not item.done for item in self._items.calls())

    def flush(self, out: list[Delta]) -> None:
        """Nothing follows any more: give what waited for it."""
        for item in self._items.calls():
            if not item.arguments and item.held:
                self._call(item, None, None, item.held, True, out)
        out.extend(self._calls.flush())

    def _text(self, name: str, event: Event, whole: bool, out: list[Delta]) -> None:
        text = (event.text if name == "output_text" else event.refusal) if whole else event.delta
        if not isinstance(text, str) or not text:
            return
        item = self._items.of(MESSAGE, event.output_index, event.item_id)
        if item.tells(name, event.content_index, whole=whole):
            out.append(TextDelta(text))
        if name == "output_text" and not whole:
            self._place, self._part = event.output_index, event.content_index

    def _reasoning(self, name: str, event: Event, whole: bool, out: list[Delta]) -> None:
        item = self._items.of(REASONING, event.output_index, event.item_id)
        place = event.content_index if event.summary_index is None else event.summary_index
        _reason(item, name, place, event.text if whole else event.delta, whole, out)

    def _whole_part(self, name: str, event: Event, out: list[Delta]) -> None:
        part = event.part if isinstance(event.part, dict) else {}
        kind = part.get("type")
        if kind in _TEXTS:
            item = self._items.of(MESSAGE, event.output_index, event.item_id)
            _say(item, event.content_index, part, out)
        elif name != "content_part" or kind == "reasoning_text":
            item = self._items.of(REASONING, event.output_index, event.item_id)
            channel = _SUMMARY if kind == "summary_text" else "reasoning_text"
            place = event.content_index if event.summary_index is None else event.summary_index
            _reason(item, item.channel or channel, place, part.get("text"), True, out)

    def _item(self, event: Event, added: bool, out: list[Delta]) -> None:
        made = item_of(event.item)
        if made is None or not isinstance(made.type, str):
            return
        if not added:
            item = self._items.of(made.type, event.output_index, _id_of(made))
            self._whole_item(item, made, event.item, out)
            return
        self._place = -1
        item = self._items.added(made.type, event.output_index, _id_of(made))
        if made.type == CALL:
            item.held = made.arguments
            self._call(item, made.call_id, made.name, None, False, out)

    def _whole_item(self, item: OutputItem, made: Item, raw: Raw, out: list[Delta]) -> None:
        """An item that has come to its end: what of it was not told, and what goes back."""
        if item.kind == CALL:
            self._call(item, made.call_id, made.name, made.arguments, True, out)
        elif item.kind == MESSAGE:
            for place, part in enumerate(_objects(made.content)):
                _say(item, place, part, out)
        elif item.kind == REASONING:
            self._whole_reasoning(item, made, out)
        if not item.done and not (item.kind == CALL and made.status == "incomplete"):
            item.done = True
            self._keep(item, made, raw, out)

    def _whole_reasoning(self, item: OutputItem, made: Item, out: list[Delta]) -> None:
        channels = {_SUMMARY: _objects(made.summary), "reasoning_text": _objects(made.content)}
        for channel, parts in channels.items():
            for place, part in enumerate(parts):
                _reason(item, channel, place, part.get("text"), True, out)

    def _call(
        self,
        item: OutputItem,
        id: object,
        name: object,
        arguments: object,
        whole: bool,
        out: list[Delta],
    ) -> None:
        """A piece of a call, or the whole of it, which counts only where no piece came."""
        if whole and item.arguments:
            arguments = None
        item.arguments = item.arguments or bool(arguments)
        function = {"name": name, "arguments": arguments or None}
        entry = {"index": item.number, "id": None if item.called else id, "function": function}
        item.called = item.called or bool(isinstance(id, str) and id)
        out.extend(self._calls.take([entry]))

    def _keep(self, item: OutputItem, made: Item, raw: Raw, out: list[Delta]) -> None:
        """Keep what must go back next turn byte for byte.

        That is every item but messages and calls, which go back from the turn itself. Reasoning
        that was cut is refused ("without its required following item") and so left here. Of a
        message its phase goes back, which newer models want to see again.
        """
        data = bytes(raw).decode("utf-8", "replace")
        if item.kind == MESSAGE:
            if not isinstance(made.phase, str):
                return
            data = msgspec.json.encode({"type": MESSAGE, "phase": made.phase}).decode()
        elif item.kind == CALL or (item.kind == REASONING and made.status == "incomplete"):
            return
        out.append(OpaqueDelta(Opaque(self._provider, data)))


def _say(item: OutputItem, place: object, part: dict[str, Any], out: list[Delta]) -> None:
    """A whole part of a message."""
    kind = part.get("type")
    text = part.get("refusal" if kind == "refusal" else "text")
    if kind in _TEXTS and isinstance(text, str) and text and item.tells(kind, place, whole=True):
        out.append(TextDelta(text))


def _reason(
    item: OutputItem, channel: str, place: object, text: object, whole: bool, out: list[Delta]
) -> None:
    """Reasoning under one of its names: the one that came first counts, the others repeat it."""
    if not isinstance(text, str) or not text or (item.channel or channel) != channel:
        return
    item.channel = channel
    if item.tells(channel, place, whole=whole):
        out.append(ReasoningDelta(text))


def _objects(value: object) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _id_of(item: Item) -> object:
    return item.id or item.call_id
