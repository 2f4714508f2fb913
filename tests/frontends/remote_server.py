"""What a Headrace server answers, as scripts of a `Loopback`."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.events import Complete, Event, RunStart, Token, encode
from headrace.frontends.remote import Remote
from headrace.models.retry import RetryPolicy
from headrace.providers.secret import Secret
from headrace.usage import Metrics, Usage
from headrace.wire.sse_encoder import encode_comment, encode_event
from tests.support.loopback import FIN, Loopback, Script, head, http_chunk, reply, stream

RUN = "run_1"
STARTED = reply(201, {"run_id": RUN, "created": True, "events": f"/v1/runs/{RUN}/events"})
QUICK = RetryPolicy(retries=7, base=0.001, longest=0.002)
RETRY = b"retry: 1\n\n"


def story(*words: str) -> list[Event]:
    """A run that says these words."""
    tokens = [Token(seq, 1.0, "", word, seq - 2) for seq, word in enumerate(words, 2)]
    usage = Usage(input=1, output=len(words))
    end = Complete(len(words) + 2, 2.0, "", "stop", usage, Metrics())
    return [RunStart(1, 1.0, "", RUN, "a", "m"), *tokens, end]


def frame(event: Event) -> bytes:
    """An event as the native stream has it."""
    return encode_event(encode(event).decode(), id=str(event.seq))


def shown(events: Sequence[Event], *more: object, end: object = None) -> Script:
    """A stream of these events."""
    return stream(RETRY, *map(frame, events), encode_comment(), *more, end=end)


def cut(events: Sequence[Event], rest: bytes = b"", end: object = FIN) -> Script:
    """A stream that breaks off after these events and these bytes."""
    body = [RETRY, *map(frame, events), rest]
    return [head(), *(http_chunk(piece) for piece in body if piece), end]


def refuses(status: int, code: str, message: str, hint: str = "", **headers: str) -> Script:
    """An error as the server tells it."""
    told = {"code": code, "message": message, "hint": hint}
    return reply(status, told, headers={k.replace("_", "-"): v for k, v in headers.items()})


def at(server: Loopback, token: str = "", resume: RetryPolicy = QUICK) -> Remote:
    """The client of this server; it waits next to nothing between tries."""
    secret = Secret(token) if token else None
    return Remote(server.origin, token=secret, resume=resume, ask=QUICK)
