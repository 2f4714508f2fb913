"""The same bytes, read by a vendor's official SDK and by our decoder.

Each provider has a file of bodies (`Case`s) and a test that replays each from a loopback server
to both readers. They must agree on text, tool calls, finish reason and usage, or the case says
why they do not; `docs/providers.md` lists those reasons.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from headrace.errors import ProviderError
from headrace.models.assembler import Turn
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest
from tests.support.loopback import Loopback, stream


@dataclass(frozen=True)
class Seen:
    """What a reader made of a body.

    Attributes:
        text: The answer's text.
        calls: Name and arguments of each tool call; arguments as a value where they are JSON.
        finish_reason: In Headrace's words; ``error`` where the reader raised.
        usage: Input and output tokens, None where not told.
    """

    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    finish_reason: str = "stop"
    usage: tuple[int, int] | None = None


@dataclass(frozen=True)
class Case:
    """One body.

    Attributes:
        name: What it shows.
        body: The whole answer's bytes.
        ours: What our decoder must make of it, by the rules.
        differs: Why the SDK sees something else, where it does: one sentence for the docs.
        fields: Where they may differ: names of `Seen`'s fields.
    """

    name: str
    body: bytes
    ours: Seen
    differs: str = ""
    fields: frozenset[str] = field(default_factory=frozenset)


async def check(
    case: Case,
    make: Callable[[str], BaseModel],
    sdk: Callable[[str], Awaitable[Seen]],
    *,
    content_type: str = "text/event-stream",
) -> None:
    """Replay the case to both; ours must be as the case says, theirs equal but for `fields`.

    Args:
        case: The body and what to expect.
        make: Gives our model for a server's address (``http://127.0.0.1:port``).
        sdk: Asks the vendor's SDK at that address; what it raises counts as ``error``.
        content_type: Of the answer.
    """
    async with Loopback(stream(case.body, content_type=content_type)) as server:
        assert await ours(make(server.origin)) == case.ours, "our decoder"
    async with Loopback(stream(case.body, content_type=content_type)) as server:
        theirs = await sdk(server.origin)
    differing = {
        name
        for name in ("text", "calls", "finish_reason", "usage")
        if getattr(theirs, name) != getattr(case.ours, name)
    }
    assert differing == set(case.fields), f"the SDK saw {theirs}"
    assert bool(case.differs) == bool(case.fields), "a disagreement has a reason, and only it"


async def ours(model: BaseModel) -> Seen:
    """What our client sees of the server's answer to any request."""
    try:
        turn = await model.complete(ModelRequest.of("hi"))
    except ProviderError as error:
        if not isinstance(error.turn, Turn):
            raise
        turn = error.turn
    usage = (turn.usage.input, turn.usage.output) if turn.usage else None
    calls = tuple((call.name, value(call.arguments)) for call in turn.tool_calls)
    return Seen(turn.text, calls, turn.finish_reason, usage)


def value(arguments: Any) -> Any:
    """Arguments as a value where they are JSON text, else as they are."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return arguments
