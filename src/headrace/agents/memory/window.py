"""What of a conversation a model is shown: its newest part, cut where it may be cut. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import ceil

import msgspec
from msgspec import Struct

from headrace.messages import File, Image, Message, ToolResult
from headrace.models.estimate import CHARS_PER_TOKEN
from headrace.models.request import ToolSpec

ATTACHED = 1000
"""Tokens that an image or a file is taken for; how many it has depends on the provider."""

PER_MESSAGE = 4
"""Tokens that a message is taken for beside its content."""


class Block(Struct):
    """Messages that stay together: what a person said, or a model's message and its tools' results.

    Attributes:
        places: Where they stand in the conversation.
        user: Whether a person said it.
    """

    places: list[int]
    user: bool


def blocks_of(messages: Sequence[Message]) -> list[Block]:
    """The conversation in blocks, oldest first; system messages are in none.

    A result stands with the call that it answers, and with all that came in between.
    """
    blocks: list[Block] = []
    asked: dict[str, int] = {}  # call id to its block; an id that comes again is the newer call's
    for place, message in enumerate(messages):
        match message.role:
            case "system":
                continue
            case "tool":
                _join(blocks, _block_of(message, asked, blocks), place)
                asked = {call: min(block, len(blocks) - 1) for call, block in asked.items()}
            case role:
                blocks.append(Block([place], role == "user"))
                asked |= {call.id: len(blocks) - 1 for call in message.tool_calls}
    return blocks


def _block_of(results: Message, asked: dict[str, int], blocks: Sequence[Block]) -> int:
    """The block of the first call that is answered; of none, the model's message before."""
    known = [
        asked[part.call_id]
        for part in results.content
        if isinstance(part, ToolResult) and part.call_id in asked
    ]
    last = len(blocks) - 1
    return min(known, default=last if blocks and not blocks[-1].user else last + 1)


def _join(blocks: list[Block], first: int, place: int) -> None:
    """Make one of the blocks from `first` on, and put `place` to it."""
    places = [each for block in blocks[first:] for each in block.places]
    blocks[first:] = [Block([*places, place], user=False)]


def newest(
    messages: Sequence[Message], limit: float, cost: Callable[[Message], float]
) -> tuple[Message, ...]:
    """The newest messages that fit.

    System messages stay, and so do the last thing that a person said and the step after it. Then
    come the steps before that, newest first, each turn's with what the person said in it: so it
    begins with a person, and of a long turn at least question and answer are there.

    Args:
        messages: The conversation.
        limit: What they may cost in all.
        cost: Of one message, 0 or more.
    """
    kept = {place for place, message in enumerate(messages) if message.role == "system"}
    left = limit - sum(cost(messages[place]) for place in kept)
    last = True
    for turn in reversed(_turns(blocks_of(messages))):
        for group in _in_order_of_worth(turn):
            places = [place for block in group for place in block.places]
            left -= sum(cost(messages[place]) for place in places)
            if left < 0 and not last:
                return _picked(messages, kept)
            kept.update(places)
            last = False
    return tuple(messages)


def _turns(blocks: Iterable[Block]) -> list[list[Block]]:
    """Each with what a person said first; the first one may lack that."""
    turns: list[list[Block]] = []
    for block in blocks:
        if block.user or not turns:
            turns.append([])
        turns[-1].append(block)
    return turns


def _in_order_of_worth(turn: list[Block]) -> list[list[Block]]:
    """What is kept of a turn first, and next, and so on."""
    first, *steps = turn
    if not first.user:  # without a person's word it stays whole or goes whole
        return [turn]
    return [[first, *steps[-1:]], *([step] for step in reversed(steps[:-1]))]


def _picked(messages: Sequence[Message], places: Iterable[int]) -> tuple[Message, ...]:
    return tuple(messages[place] for place in sorted(places))


def tokens_of(message: Message) -> int:
    """About how many tokens a message has, by its bytes: other scripts take more a character."""
    size = attached = 0
    for part in message.content:
        if isinstance(part, Image | File):
            attached += ATTACHED
        else:
            size += sum(
                len(text.encode("utf-8", "surrogatepass"))
                for text in msgspec.structs.astuple(part)
                if isinstance(text, str)
            )
    return PER_MESSAGE + attached + ceil(size / CHARS_PER_TOKEN)


def tokens_of_tools(tools: Iterable[ToolSpec]) -> int:
    """About how many tokens the tools of a request have."""
    return sum(ceil(len(msgspec.json.encode(tool)) / CHARS_PER_TOKEN) for tool in tools)
