"""What goes over a WebSocket, both ways: JSON objects, told apart by ``op``. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from headrace.errors import HeadraceError, RequestRefused, UsageError
from headrace.events import Event
from headrace.protocols.encoder import Encoder
from headrace.protocols.native import failure
from headrace.server.bodies import MOST_SAID
from headrace.server.routes.runs import MOST_REASON, StartRun

Ref = Annotated[str, Meta(min_length=1, max_length=64)]
"""A client's own word for one of its requests, or for a subscription."""


class Start(StartRun, tag_field="op", tag="start", kw_only=True):
    """Begin a run, as ``POST /v1/runs``; and show it, where `subscribe` is not false."""

    ref: Ref
    subscribe: bool = True


class _Asked(Struct, forbid_unknown_fields=True, tag_field="op", kw_only=True):
    ref: Ref


class Subscribe(_Asked, tag="subscribe"):
    """Show a run's events behind `after`."""

    run_id: str
    after: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    policy: Literal["merge", "drop", "disconnect"] = "merge"


class Unsubscribe(_Asked, tag="unsubscribe"):
    """End the subscription `ref`."""


class CancelRun(_Asked, tag="cancel"):
    """End a run."""

    run_id: str
    reason: str = "cancelled"


class Steer(_Asked, tag="input"):
    """Say something into a live run."""

    run_id: str
    content: str


class Approve(_Asked, tag="approve"):
    """Approve or deny a call that waits for a person."""

    run_id: str
    call_id: str
    approved: bool
    reason: Annotated[str, Meta(max_length=MOST_REASON)] | None = None
    agent: str | None = None
    input: dict[str, Any] | None = None
    seen: Any | UnsetType = UNSET


class Ping(Struct, forbid_unknown_fields=True, tag_field="op", tag="ping"):
    """Ask whether the server is there."""

    ref: Ref | None = None


Asked = Start | Subscribe | Unsubscribe | CancelRun | Steer | Approve | Ping
"""What a client may send."""


class _Told(Struct, tag_field="op", omit_defaults=True, frozen=True):
    pass


class Started(_Told, tag="started", frozen=True):
    """The run of a `start`; `created` is false where its idempotency key named an earlier one."""

    ref: str
    run_id: str
    created: bool


class Ended(_Told, tag="ended", frozen=True):
    """A subscription's run has ended, and its last event was sent."""

    ref: str
    run_id: str


class Failure(_Told, tag="failure", frozen=True):
    """A subscription ends though its run has not; it can be taken up behind `after`."""

    ref: str
    run_id: str
    code: str
    message: str
    hint: str
    retryable: bool
    after: int


class Done(_Told, tag="done", frozen=True):
    """A request was met; `event` is the terminal event of a run that was cancelled."""

    ref: str
    run_id: str | None = None
    event: Event | None = None


class Pong(_Told, tag="pong", frozen=True):
    """The server is there."""

    ref: str | None = None


class Refused(_Told, tag="error", frozen=True):
    """A message was not taken; `ref` is null where it had none that could be read."""

    ref: str | None
    code: str
    message: str
    hint: str
    retry_after: float | None = None


Told = Started | Ended | Failure | Done | Pong | Refused
"""What the server sends, besides ``events``."""

_decoder = msgspec.json.Decoder(Asked)
_encode = msgspec.json.Encoder().encode


class _Reference(Struct):
    ref: Ref | None = None


_reference = msgspec.json.Decoder(_Reference)


def read(text: str) -> Asked:
    """A client's message.

    Raises:
        RequestRefused: it is no JSON, nested too deeply, or of another shape.
    """
    try:
        asked: Asked = _decoder.decode(text)
        return asked
    except msgspec.ValidationError as error:
        raise RequestRefused(400, "invalid_request", f"{error}.", hint=_HINT) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise RequestRefused(
            400, "invalid_json", f"The message is no JSON: {error}.", hint=_HINT
        ) from None
    except RecursionError:
        raise RequestRefused(
            400, "invalid_json", "The message's JSON is nested too deeply.", hint=_HINT
        ) from None
    except UsageError as error:  # a part that refuses its own fields, such as an empty Image
        raise RequestRefused(400, "invalid_request", error.message, hint=error.hint) from None


_HINT = 'Send an object with an op and a ref, such as {"op": "start", "ref": "1", "input": "Hi"}.'


def ref_of(text: str) -> str | None:
    """The `ref` of a message that could not be taken, where it has one."""
    try:
        return _reference.decode(text).ref
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def refused(ref: str | None, error: HeadraceError) -> Refused:
    """An error as a message."""
    wait: float | None = getattr(error, "retry_after", None)
    return Refused(ref, error.code, _text(error.message), _text(error.hint), wait)


def _text(said: str) -> str:
    """What UTF-8 can carry, and no more of it than a person reads."""
    return said[:MOST_SAID].encode("utf-8", "replace").decode()


def written(told: Told) -> str:
    """A server's message as text."""
    return _encode(told).decode()


def events_head(ref: str, run_id: str) -> str:
    """What stands before the events of a message; ``]}`` ends it."""
    names = _encode({"op": "events", "ref": ref, "run_id": run_id}).decode()
    return f'{names[:-1]},"events":['


class EventsEncoder(Encoder):
    """The events of one message, with commas between: the same bytes for every socket."""

    key: Hashable = "websocket"
    primed = False

    def encode(self, events: Sequence[Event]) -> bytes:
        """What stands between the brackets."""
        return b",".join([_encode(event) for event in events])

    def fail(self, error: HeadraceError) -> bytes:
        """An error as JSON; over a WebSocket a `Failure` tells it."""
        return failure(error)

    def fork(self) -> EventsEncoder:
        """Itself: it has no state."""
        return self


EVENTS = EventsEncoder()
