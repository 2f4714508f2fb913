"""Headrace's own routes: start, show, list, cancel, steer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request
from starlette.routing import Route

from headrace.messages import File, Image, Message, Reasoning, Text, ToolCall, ToolResult
from headrace.protocols.table import FORMATS, format_of
from headrace.runs.sessions import name_of, session_of
from headrace.runs.stores.record import RunRecord, RunStatus
from headrace.server.auth import TICKET_SECONDS
from headrace.server.bodies import bad_request, decoded
from headrace.server.replies import reply
from headrace.server.routes.endpoint import (
    LAST_EVENT_ID,
    Answer,
    Endpoint,
    cursor,
    number,
    on_leave,
    route,
)
from headrace.usage import Usage

MOST_LISTED = 200
"""Runs of one list."""

MOST_REASON = 4000
"""Characters of the reason of a decision: the model reads it."""


class Said(Struct, forbid_unknown_fields=True):
    """A message of a request's input; what it says is text or parts.

    A provider's own items (`Opaque`) are not taken: they go upstream as they are, and could hold
    a system message, or name what another user's conversation left there.
    """

    role: Literal["user", "assistant", "tool"]
    content: str | list[Text | Reasoning | Image | File | ToolCall | ToolResult]

    def message(self) -> Message:
        """As the library has it."""
        if isinstance(self.content, str):
            return Message(self.role, (Text(self.content),))
        return Message(self.role, tuple(self.content))


class StartRun(Struct, forbid_unknown_fields=True):
    """``POST /v1/runs``."""

    input: str | list[Said]
    agent: str | None = None
    session: str | None = None
    model: str | None = None
    idempotency_key: str | None = None
    keep: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None

    def messages(self) -> list[Message]:
        """The input.

        Raises:
            RequestRefused: it is empty, or its last message is not the user's.
        """
        if isinstance(self.input, str):
            found = [Message.user(self.input)]
        else:
            found = [said.message() for said in self.input]
        if not found or found[-1].role != "user" or not _says(found[-1]):
            raise bad_request(
                "invalid_request",
                "The input is empty, or does not end with a user's message.",
                'Send {"input": "What is 2+2?"}.',
            )
        return found


class Cancel(Struct, forbid_unknown_fields=True):
    """``POST /v1/runs/{id}/cancel``."""

    reason: str = "cancelled"


class Input(Struct, forbid_unknown_fields=True):
    """``POST /v1/runs/{id}/input``."""

    content: str


class Decision(Struct, forbid_unknown_fields=True):
    """``POST /v1/runs/{id}/approvals/{call_id}``."""

    approved: bool
    reason: Annotated[str, Meta(max_length=MOST_REASON)] | None = None
    agent: str | None = None
    input: dict[str, Any] | None = None
    seen: Any | UnsetType = UNSET


class Listed(Struct, omit_defaults=True):
    """A run in a list: its record, without what only recovery needs."""

    run_id: str
    agent: str
    model: str
    status: RunStatus
    created_at: float
    last_seq: int
    title: str = ""
    session: str | None = None
    reason: str = ""
    ended_at: float | None = None
    usage: Usage | None = None

    @classmethod
    def of(cls, record: RunRecord) -> Listed:
        """What a list shows of a run."""
        return cls(
            record.id,
            record.agent,
            record.model,
            record.status,
            record.created_at,
            record.last_seq,
            record.title,
            name_of(record.user, record.session),
            record.reason,
            record.ended_at,
            record.usage,
        )


_start = msgspec.json.Decoder(StartRun)
_cancel = msgspec.json.Decoder(Cancel)
_input = msgspec.json.Decoder(Input)
_decision = msgspec.json.Decoder(Decision)


class Runs(Endpoint):
    """``/v1/runs`` and below."""

    def routes(self) -> list[Route]:
        """The table."""
        one = "/v1/runs/{run_id}"
        return [
            route("/v1/runs", self.start, "POST"),
            route("/v1/runs", self.list, "GET"),
            route(one, self.snapshot, "GET"),
            route(f"{one}/events", self.events, "GET"),
            route(f"{one}/cancel", self.cancel, "POST"),
            route(f"{one}/input", self.input, "POST"),
            route(f"{one}/approvals/{{call_id:path}}", self.decide, "POST"),
            route("/v1/tickets", self.ticket, "POST"),
        ]

    async def start(self, request: Request) -> Answer:
        """Begin a run; with ``Accept: text/event-stream`` show it at once."""
        on_leave(request)  # before anything begins
        asked = await self.body(request, _start)
        *history, last = asked.messages()
        run = await self.service.start(
            self.user(request),
            last,
            agent=asked.agent,
            model=asked.model,
            session=asked.session,
            history=history or None,
            keep=asked.keep,
            idempotency_key=asked.idempotency_key,
        )
        where = f"{request.scope.get('root_path', '')}/v1/runs/{run.id}"
        if "text/event-stream" in request.headers.get("accept", ""):
            return await self.show(request, run.record, FORMATS["native"])
        told = {"run_id": run.id, "created": run.created, "events": f"{where}/events"}
        return reply(told, 201 if run.created else 200, {"location": where})

    async def list(self, request: Request) -> Answer:
        """A user's runs, newest first."""
        query, user = request.query_params, self.user(request)
        named, status = query.get("session"), query.get("status")
        if status is not None and status not in get_args(RunStatus):
            known = ", ".join(get_args(RunStatus))
            raise bad_request("invalid_request", f"No run is {status[:80]!r}.", f"Known: {known}.")
        records = await self.service.runtime.store.runs(
            user=user,
            session=session_of(user, named) if named else None,
            status=status,  # type: ignore[arg-type]
            limit=min(number(query.get("limit"), "limit") or 50, MOST_LISTED),
        )
        return reply({"runs": [Listed.of(record) for record in records]})

    async def snapshot(self, request: Request) -> Answer:
        """Where a run stands, folded from its log."""
        record = await self._record(request)
        state = await self.service.runtime.snapshot(record.id)
        own = {
            "session": name_of(record.user, state.session),
            "live": state.status == "running",
            "user": record.user,
            "created_at": record.created_at,
        }
        return reply(msgspec.structs.asdict(state) | own)

    async def events(self, request: Request) -> Answer:
        """A run's events, in any format, from any event on."""
        format = format_of(request.query_params.get("format", "native"))
        told = request.headers.get(LAST_EVENT_ID)
        after = cursor(request.query_params.get("after") if told is None else told)
        return await self.show(request, await self._record(request), format, after=after)

    async def cancel(self, request: Request) -> Answer:
        """End a run; its terminal event."""
        record = await self._record(request)
        body = await self.raw(request)
        asked = decoded(body, _cancel) if body.strip() else Cancel()
        return reply(await self.service.runtime.cancel(record.id, asked.reason[:1000]))

    async def input(self, request: Request) -> Answer:
        """Say something into a live run."""
        record = await self._own(request)
        asked = await self.body(request, _input)
        if not asked.content.strip():
            raise bad_request("invalid_request", "The content is empty.")
        await self.service.runtime.send(record.id, asked.content)
        return reply({"run_id": record.id}, 202)

    async def decide(self, request: Request) -> Answer:
        """Approve or deny a call that waits for a person."""
        record = await self._own(request)
        asked = await self.body(request, _decision)
        call_id = request.path_params["call_id"]
        await self.service.runtime.decide(
            record.id,
            call_id,
            asked.approved,
            agent=asked.agent,
            by=record.user or None,
            reason=asked.reason,
            input=asked.input,
            seen=asked.seen,
        )
        return reply({"run_id": record.id, "call_id": call_id}, 202)

    async def ticket(self, request: Request) -> Answer:
        """A one-time ticket for an address that carries no header."""
        ticket = self.service.tickets.issue(self.user(request))
        return reply({"ticket": ticket, "expires_in": int(TICKET_SECONDS)}, 201)

    async def _record(self, request: Request) -> RunRecord:
        return await self.service.record(self.user(request), request.path_params["run_id"])

    async def _own(self, request: Request) -> RunRecord:
        return await self.service.own(self.user(request), request.path_params["run_id"])


def _says(message: Message) -> bool:
    return any(not isinstance(p, Text) or p.text.strip() for p in message.content)
