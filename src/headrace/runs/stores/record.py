"""What a store keeps beside the events: the record of a run, of a session, and signals."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import Struct

from headrace.errors import InvalidId
from headrace.events import Cancelled, Complete, Error, Event
from headrace.messages import Message
from headrace.usage import Usage

RunStatus = Literal["running", "complete", "error", "cancelled"]

SignalKind = Literal["cancel", "input", "approval"]

_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME_MAX = 200


class RunRecord(Struct, frozen=True):
    """A run as a store lists it; its events are read apart.

    Attributes:
        id: The run.
        agent: Its agent's name, by which recovery finds the agent again.
        model: Its model's name.
        created_at: Unix seconds.
        host: Whose run it is to recover: only runtimes of this name take it up.
        user: Whom it belongs to; ``""`` where there are no users.
        session: Its session, if any.
        parent: The run that began it, if any.
        title: The beginning of its input, for lists.
        spec: What recovery needs to go on (see `headrace.runtime.spec`).
        idempotency_key: Unique for a user; a second run of the same key is not made.
        fingerprint: Of the request that the key was used for.
        owner: The runtime that runs it, ``""`` for none.
        lease_until: Unix seconds until which no one else may take it.
        recoveries: How often it was taken up after its owner was lost.
        last_seq: Its last event.
        cut: Events up to this seq are no longer kept.
        status: ``running`` until its terminal event.
        reason: Its finish reason, error code or cancel reason.
        ended_at: Unix seconds, None while it runs.
        usage: What it used, None while it runs.
    """

    id: str
    agent: str
    model: str
    created_at: float
    host: str = "default"
    user: str = ""
    session: str | None = None
    parent: str | None = None
    title: str = ""
    spec: bytes = b""
    idempotency_key: str | None = None
    fingerprint: str = ""
    owner: str = ""
    lease_until: float = 0.0
    recoveries: int = 0
    last_seq: int = 0
    cut: int = 0
    status: RunStatus = "running"
    reason: str = ""
    ended_at: float | None = None
    usage: Usage | None = None

    @property
    def live(self) -> bool:
        """Whether its terminal event is still to come."""
        return self.status == "running"


class SessionRecord(Struct, frozen=True):
    """A conversation over runs.

    Attributes:
        id: The session.
        user: Whom it belongs to.
        version: How many messages it has; what an append compares.
        created_at: Unix seconds.
        updated_at: Unix seconds, of the last append.
        live_run: The run that is going on in it, if any.
        messages: All of them, in order; empty in lists.
        runs: For each message the id of the run that it came from, which may be forgotten by now;
            ``""`` for one that was added outside a run. Empty in lists.
        title: That of the run that began it, or of the one that has replaced its first message.
    """

    id: str
    user: str
    version: int
    created_at: float
    updated_at: float
    live_run: str | None = None
    messages: tuple[Message, ...] = ()
    runs: tuple[str, ...] = ()
    title: str = ""


class Signal(Struct, frozen=True):
    """Something for the owner of a run, from another process.

    Attributes:
        run_id: The run.
        kind: ``cancel``, ``input`` or ``approval``.
        content: The cancel's reason, the input's text, the approval's JSON.
        id: Given by the store.
    """

    run_id: str
    kind: SignalKind
    content: str = ""
    id: int = 0


_batch_encoder = msgspec.json.Encoder()


def ending_of(event: Event) -> tuple[RunStatus, str, Usage | None] | None:
    """Status, reason and usage that a terminal event gives its run's record; else None."""
    match event:
        case Complete():
            return "complete", event.finish_reason, event.usage
        case Error():
            return "error", event.code, event.usage
        case Cancelled():
            return "cancelled", event.reason, event.usage
        case _:
            return None


def encode_batch(events: Iterable[Event]) -> bytes:
    """The events' JSON, comma between, without brackets: payloads join by commas to one array."""
    return _batch_encoder.encode(list(events))[1:-1]


def check_run_id(run_id: object) -> str:
    """The id, if it can be a run's.

    Raises:
        InvalidId: 1 to 64 of ``A-Z a-z 0-9 _ -``, nothing else.
    """
    if isinstance(run_id, str) and _RUN_ID.fullmatch(run_id):
        return run_id
    raise InvalidId(
        f"{_shown(run_id)} cannot be a run's id.", hint="It is 1 to 64 of A-Z, a-z, 0-9, _ and -."
    )


def check_name(name: object, what: str) -> str:
    """The name of a session, a user or a key, if it can be one.

    Args:
        name: What was given.
        what: What it names, for the error: ``a session``, ``a user``.

    Raises:
        InvalidId: 1 to 200 printable characters, no space at an end.
    """
    if isinstance(name, str) and 0 < len(name) <= _NAME_MAX and name.isprintable():
        if name == name.strip():
            return name
    raise InvalidId(
        f"{_shown(name)} cannot name {what}.",
        hint=f"It is 1 to {_NAME_MAX} printable characters, no space at an end.",
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
