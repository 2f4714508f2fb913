"""The items of one answer: which one an event speaks of, and what it has told already.

The same text comes up to four times: in pieces, whole when it is done, within the finished item
and within the finished answer. Whoever tells it first counts, and the rest is left out. Items are
known by their place (``output_index``); servers that leave it out (llama.cpp) name them by their
id, and those that leave out both speak of the item that was spoken of last.
"""

from __future__ import annotations

MESSAGE = "message"
REASONING = "reasoning"
CALL = "function_call"


class OutputItem:
    """One item.

    Attributes:
        number: Its place in order of appearance, from 0.
        kind: ``message``, ``reasoning``, ``function_call`` or a server's own tool.
        placed: Whether its place in ``output`` is known.
        added: Whether its beginning has come.
        told: What has come of it: parts of a message or of reasoning.
        channel: By which of its names its reasoning came first; the others repeat it.
        called: Whether its call's id has come.
        arguments: Whether any of its call's arguments have come.
        held: Arguments that came with the call's beginning; pieces that follow repeat them.
        done: Whether it has come whole.
    """

    __slots__ = (
        "added",
        "arguments",
        "called",
        "channel",
        "done",
        "held",
        "kind",
        "number",
        "placed",
        "told",
    )

    def __init__(self, number: int, kind: str) -> None:
        self.number = number
        self.kind = kind
        self.placed = False
        self.added = False
        self.told: set[tuple[str, int]] = set()
        self.channel = ""
        self.called = False
        self.arguments = False
        self.held: object = None
        self.done = False

    def tells(self, name: str, place: object, *, whole: bool) -> bool:
        """Whether this text is news: a piece always is, a whole text only without pieces."""
        key = (name, place if isinstance(place, int) else 0)
        if whole and key in self.told:
            return False
        self.told.add(key)
        return True


class OutputItems:
    """The items of one answer, in order of appearance."""

    def __init__(self) -> None:
        self._items: list[OutputItem] = []
        self._by_place: dict[tuple[str, int], OutputItem] = {}
        self._by_id: dict[tuple[str, object], OutputItem] = {}
        self._last: dict[str, OutputItem] = {}

    def of(self, kind: str, place: object, id: object) -> OutputItem:
        """The item of this kind that an event speaks of; it is opened where there is none.

        Args:
            kind: Its kind: some servers give every item the place 0.
            place: ``output_index``, of any type.
            id: The item's id, of any type. Some proxies give it anew with each event, so that
                the place goes first.
        """
        return self._known(self._find(kind, place, id) or self._open(kind), place, id)

    def added(self, kind: str, place: object, id: object) -> OutputItem:
        """The item that begins here: another one, where the place was taken before."""
        item = self._find(kind, place, id)
        if item is None or (item.added and self._by_id.get((kind, id)) is not item):
            item = self._open(kind)
            if isinstance(place, int):
                self._by_place[kind, place] = item
        item.added = True
        return self._known(item, place, id)

    def finished(self, kind: str, place: int, id: object) -> OutputItem:
        """The item that stands at this place of the finished answer."""
        item = self._by_place.get((kind, place)) or self._by_id.get((kind, id))
        if item is None:
            unplaced = (i for i in self._items if i.kind == kind and not i.placed)
            item = next(unplaced, None) or self._open(kind)
        return self._known(item, place, id)

    def _find(self, kind: str, place: object, id: object) -> OutputItem | None:
        named = self._by_id.get((kind, id)) if isinstance(id, str) else None
        if isinstance(place, int):
            found = self._by_place.get((kind, place))
            return found or (None if named is None or named.placed else named)
        return named if isinstance(id, str) and id else self._last.get(kind)

    def calls(self) -> list[OutputItem]:
        """The calls among them."""
        return [item for item in self._items if item.kind == CALL]

    def _open(self, kind: str) -> OutputItem:
        item = OutputItem(len(self._items), kind)
        self._items.append(item)
        return item

    def _known(self, item: OutputItem, place: object, id: object) -> OutputItem:
        if isinstance(place, int):
            self._by_place.setdefault((item.kind, place), item)
            item.placed = True
        if isinstance(id, str) and id:
            self._by_id.setdefault((item.kind, id), item)
        self._last[item.kind] = item
        return item
