"""Joins the pieces of tool calls, by the rules that cover what compatible servers send.

The same `index` continues a call, unless it brings a different id; without an `index` a new id
opens a call and none continues the last one, also where the index comes late. An empty id or name
never overwrites, a repeated one is not appended; an id that another call has is no id. Id and name
are final once they are told, and a name may come in pieces: so a call waits until its arguments or
the next call begin. Calls come out in the order in which they appeared.
"""

from __future__ import annotations

from typing import Any

from headrace.models.deltas import ToolCallDelta
from headrace.providers.json_text import as_arguments

_LEGACY = "function_call"  # the key of the one call of the older wire


class _Call:
    __slots__ = ("arguments", "extra", "held", "id", "name", "place", "told", "unplaced")

    def __init__(self, place: int) -> None:
        self.place = place
        self.id = ""
        self.told = False  # whether the server gave an id, be it another call's
        self.unplaced = True  # whether it has come without an index so far
        self.name = ""
        self.held: list[str] = []
        self.arguments = False  # whether any came
        self.extra: object = None  # `extra_content`, which must go back next turn


class JoinedCalls:
    """The tool calls of one turn; a piece costs the same however many calls there are.

    Args:
        id_prefix: What made-up ids begin with; they are unique within the turn.
    """

    def __init__(self, id_prefix: str) -> None:
        self._prefix = id_prefix
        self._calls: list[_Call] = []
        self._last: dict[object, _Call] = {}  # by index; None means any
        self._known: dict[tuple[object, str], _Call] = {}  # by index and id; index None means any
        self._begun = 0  # how many calls have come out, at least in part

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, entries: object) -> list[ToolCallDelta]:
        """Take one delta's ``tool_calls``, of any shape."""
        touched: dict[int, _Call] = {}
        for entry in entries if isinstance(entries, list) else [entries]:
            if isinstance(entry, dict) and _is_for_client(entry):
                call = self._take_entry(entry, touched)
                touched[call.place] = call
        return self._ready(touched)

    def take_legacy(self, call: object) -> list[ToolCallDelta]:
        """Take one delta's ``function_call``: at most one call a turn, without an id."""
        if not isinstance(call, dict):
            return []
        found = self._last.get(_LEGACY) or self._open()
        self._name(found, _LEGACY, f"{self._prefix}_{_LEGACY}")
        self._last[_LEGACY] = found
        self._add(found, call)
        return self._ready({found.place: found})

    def flush(self) -> list[ToolCallDelta]:
        """No id or name can follow any more: make up the ids that are missing, give all."""
        taken = {call.id for call in self._calls}
        for call in self._calls[self._begun :]:
            number = call.place
            while not call.id:
                made_up = f"{self._prefix}_{number}"
                call.id = "" if made_up in taken else made_up
                number += len(self._calls)
        return self._ready({}, named=False)

    def extras(self) -> list[tuple[str, object]]:
        """The ids of calls that bring an opaque item, each with the item."""
        return [(call.id, call.extra) for call in self._calls if call.extra]

    def _take_entry(self, entry: dict[str, Any], touched: dict[int, _Call]) -> _Call:
        function = entry.get("function")
        function = function if isinstance(function, dict) else {}
        index = _index(entry.get("index"))
        id = _text(entry.get("id"))
        call = self._find(index, id, function, touched) or self._open()
        if id:
            self._name(call, index, id)
        call.unplaced = call.unplaced and index is None
        self._last[index] = self._last[None] = call
        self._add(call, function)
        call.extra = entry.get("extra_content") or call.extra
        return call

    def _find(
        self, index: object, id: str, function: dict[str, Any], touched: dict[int, _Call]
    ) -> _Call | None:
        """The call that this piece continues; None where it opens one."""
        if id and (index, id) in self._known:
            return self._known[index, id]
        last = self._last.get(index)
        if last is None and index is not None:
            return self._placed_late(id, function)
        if last is None or (id and (last.told or index is None)):
            return None
        begins = index is None and _begins(function, last, last.place in touched)
        return None if begins else last

    def _placed_late(self, id: str, function: dict[str, Any]) -> _Call | None:
        """The call that gets its index only now; None for a call that begins here."""
        named = bool(_text(function.get("name")))
        if id:
            call = self._known.get((None, id))
            return call if call and (call.unplaced or not named) else None
        call = self._last.get(None)
        return call if call and call.unplaced and not named else None

    def _open(self) -> _Call:
        call = _Call(len(self._calls))
        self._calls.append(call)
        return call

    def _name(self, call: _Call, index: object, id: str) -> None:
        call.told = True
        self._known.setdefault((index, id), call)
        if self._known.setdefault((None, id), call) is call:
            call.id = id

    def _add(self, call: _Call, function: dict[str, Any]) -> None:
        if not call.name or (not call.arguments and call.place >= self._begun):
            call.name = _grown(call.name, _text(function.get("name")))
        piece = as_arguments(function.get("arguments"))
        if piece:
            call.arguments = True
            call.held.append(piece)

    def _ready(self, touched: dict[int, _Call], named: bool = True) -> list[ToolCallDelta]:
        """What may come out: nothing of a call before all calls ahead of it have begun."""
        ready = [_delta(c) for c in touched.values() if c.place < self._begun and c.held]
        while self._begun < len(self._calls):
            call = self._calls[self._begun]
            grows = not call.arguments and call.place == len(self._calls) - 1
            if not call.id or (named and (grows or not call.name)):
                break
            ready.append(_delta(call))
            self._begun += 1
        return ready


def _delta(call: _Call) -> ToolCallDelta:
    arguments = "".join(call.held)
    call.held.clear()
    return ToolCallDelta(call.place, call.id, call.name, arguments)


def _begins(function: dict[str, Any], last: _Call, beside: bool) -> bool:
    """Whether a piece with neither index nor id cannot belong to the last call.

    That is so for whole arguments where some came already, for another name, and for a name in an
    entry that stands beside the last call's own in the same list.
    """
    name = _text(function.get("name"))
    if isinstance(function.get("arguments"), dict) and last.arguments:
        return True
    return bool(name and last.name and (name != last.name or beside))


def _is_for_client(entry: dict[str, Any]) -> bool:
    """Whether the client shall run it: a server's own tools carry a type and no function."""
    kind = entry.get("type")
    return isinstance(entry.get("function"), dict) or kind in (None, "", "function")


def _index(value: object) -> object:
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value[:20])
    return value if isinstance(value, int | float | str) else None


def _grown(name: str, piece: str) -> str:
    """The name with its next piece, which may also repeat all of it so far."""
    return piece if piece.startswith(name) else name if not piece else name + piece


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
