"""Conversations over HTTP: list one's own, read one, forget one."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.routing import Route

from headrace.messages import Message, Opaque
from headrace.runs.sessions import name_of
from headrace.runs.stores.record import SessionRecord
from headrace.runtime.spec import Spec, decode_spec
from headrace.server.replies import nothing, reply
from headrace.server.routes.endpoint import Answer, Endpoint, number, route
from headrace.server.routes.runs import MOST_LISTED


class SessionListed(Struct):
    """A conversation in a list; `messages` counts them."""

    session: str
    title: str
    messages: int
    created_at: float
    updated_at: float
    live_run: str | None

    @classmethod
    def of(cls, record: SessionRecord) -> SessionListed:
        """What a list shows of a session."""
        return cls(
            _name(record),
            record.title,
            record.version,
            record.created_at,
            record.updated_at,
            record.live_run,
        )


class Pending(Struct):
    """What a conversation's live run was asked, behind the first `keep` of the messages."""

    input: list[Message]
    keep: int


class Conversation(Struct):
    """A conversation; `runs` has for each message the run that it came from, ``""`` for none."""

    session: str
    title: str
    messages: list[Message]
    runs: tuple[str, ...]
    created_at: float
    updated_at: float
    live_run: str | None
    pending: Pending | None

    @classmethod
    def of(cls, record: SessionRecord, spec: Spec | None) -> Conversation:
        """What its user is shown of a session, and of the request of its live run."""
        return cls(
            _name(record),
            record.title,
            _shown(record.messages),
            record.runs,
            record.created_at,
            record.updated_at,
            record.live_run,
            None if spec is None else _pending(record, spec),
        )


class Sessions(Endpoint):
    """``/v1/sessions`` and below; a name may have slashes."""

    def routes(self) -> list[Route]:
        """The table."""
        one = "/v1/sessions/{session:path}"
        return [
            route("/v1/sessions", self.list, "GET"),
            route(one, self.show_one, "GET"),
            route(one, self.delete, "DELETE"),
        ]

    async def list(self, request: Request) -> Answer:
        """A user's sessions, last used first."""
        limit = number(request.query_params.get("limit"), "limit") or 50
        records = await self.service.runtime.store.sessions(
            user=self.user(request), limit=min(limit, MOST_LISTED)
        )
        return reply({"sessions": [SessionListed.of(record) for record in records]})

    async def show_one(self, request: Request) -> Answer:
        """A session with its messages."""
        record = await self._record(request)
        return reply(Conversation.of(record, await self._asked(record)))

    async def delete(self, request: Request) -> Answer:
        """Forget a session, its runs and all that was said in them."""
        record = await self._record(request)
        await self.service.runtime.store.delete_session(record.id)
        return nothing()

    async def _asked(self, record: SessionRecord) -> Spec | None:
        """What the live run was asked: the messages tell it only with the run's end."""
        if record.live_run is None:
            return None
        return decode_spec((await self.service.runtime.store.run(record.live_run)).spec)

    async def _record(self, request: Request) -> SessionRecord:
        return await self.service.session(self.user(request), request.path_params["session"])


def _name(record: SessionRecord) -> str:
    return name_of(record.user, record.id) or record.id


def _pending(record: SessionRecord, spec: Spec) -> Pending:
    keep = spec.kept(record.messages)
    return Pending(_shown((*spec.history[keep:], *spec.input)), keep)


def _shown(messages: Sequence[Message]) -> list[Message]:
    """Without a provider's own items, which mean nothing to a reader and go nowhere else."""
    return [
        replace(m, content=tuple(part for part in m.content if not isinstance(part, Opaque)))
        for m in messages
    ]
