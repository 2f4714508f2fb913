"""What a run's record holds for recovery: its input, and how it was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import takewhile
from typing import Any

import msgspec
from msgspec import Struct

from headrace.errors import InputTooLarge, UsageError
from headrace.messages import Message

MAX_SPEC = 10 * 1024 * 1024
"""Bytes of a run's input (with its history and context), as JSON: a request's bound."""

_TITLE = 120


class Spec(Struct, frozen=True, omit_defaults=True):
    """How a run was asked for.

    Attributes:
        input: The new messages.
        history: The conversation before, as the caller gave it.
        context: For tools, as `RunContext.context`.
        retract: Whether text that was shown may be withdrawn, as for `Agent.start`.
        own_history: Whether `history` stands in place of what the session holds.
        keep: How many of the session's messages stand before the input, which takes the place of
            those behind them; None for all of them.
    """

    input: tuple[Message, ...]
    history: tuple[Message, ...] = ()
    context: Mapping[str, Any] = {}
    retract: bool = True
    own_history: bool = False
    keep: int | None = None

    @property
    def replaces(self) -> bool:
        """Whether the session gets this conversation in place of its own."""
        return self.own_history or self.keep is not None

    def kept(self, messages: Sequence[Message]) -> int:
        """How many of these messages, its session's, the conversation of the run begins with."""
        if self.own_history:
            pairs = zip(messages, self.history, strict=False)
            return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return len(messages) if self.keep is None else self.keep


_decoder = msgspec.json.Decoder(Spec)
_encoder = msgspec.json.Encoder(order="deterministic")


def encode_spec(spec: Spec) -> bytes:
    """The spec's JSON.

    Raises:
        UsageError: the context is no JSON.
        InputTooLarge: it is over 10 MiB.
    """
    try:
        data = _encoder.encode(spec)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UsageError(
            f"The run's context cannot be kept: {error}.",
            hint="Recovery needs it: give JSON values, and look objects up in the tool.",
        ) from None
    if len(data) > MAX_SPEC:
        raise InputTooLarge(
            f"The run's input is {len(data):,} bytes of JSON; at most {MAX_SPEC:,} are taken."
        )
    return data


def decode_spec(data: bytes) -> Spec:
    """Read a spec back.

    Raises:
        msgspec.DecodeError: when it is none.
    """
    return _decoder.decode(data)


def fingerprint(agent: str, session: str | None, spec: Spec) -> str:
    """What two requests with one idempotency key must have in common.

    How the answer is shown (`Spec.retract`) is no part of it.
    """
    digest = sha256(f"{agent}\0{session or ''}\0".encode("utf-8", "surrogatepass"))
    digest.update(_encoder.encode((spec.input, spec.history, spec.context)))
    if spec.keep is not None:
        digest.update(f"\0{spec.keep}".encode())
    return digest.hexdigest()


def title_of(input: Sequence[Message]) -> str:
    """The beginning of what was asked, in one line."""
    for message in reversed(input):
        if message.role == "user" and (text := " ".join(message.text[:1000].split())):
            return text if len(text) <= _TITLE else text[: _TITLE - 1] + "…"
    return ""
