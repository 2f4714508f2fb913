"""``/v1/chat/completions`` and ``/v1/models``: for OpenAI's SDKs and whoever speaks like them.

What a client calls a model is an agent here. The client keeps the conversation, so these runs
belong to no session; a client cannot take text back, so they never withdraw any.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from time import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headrace.errors import AgentUnknown, HeadraceError, RequestRefused
from headrace.protocols.openai_chat.encode import OpenAIChatEncoder
from headrace.protocols.openai_chat.errors import error_body
from headrace.protocols.openai_chat.request import parse_request
from headrace.protocols.openai_chat.whole import model_entry, models_list, whole_answer
from headrace.protocols.table import FORMATS
from headrace.runtime.handle import DetachedRun
from headrace.server.replies import SECURITY, headers_of, json_of, nothing, status_of
from headrace.server.routes.endpoint import Answer, Endpoint, on_leave, route
from headrace.server.service import Service

Method = Callable[["OpenAIChat", Request], Awaitable[Answer]]


def _in_their_shape(method: Method) -> Method:
    """Tell errors as OpenAI's SDKs raise them."""

    @wraps(method)
    async def wrapped(self: OpenAIChat, request: Request) -> Answer:
        try:
            return await method(self, request)
        except HeadraceError as error:
            status = status_of(error)
            return _json(error_body(error, status), status, headers_of(error))

    return wrapped


class OpenAIChat(Endpoint):
    """See above."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._since = time()

    def routes(self) -> list[Route]:
        """The table."""
        return [
            route("/v1/chat/completions", self.complete, "POST"),
            route("/v1/models", self.models, "GET"),
            route("/v1/models/{model}", self.model, "GET"),
        ]

    @_in_their_shape
    async def complete(self, request: Request) -> Answer:
        """One chat completion, streamed or whole."""
        on_leave(request)  # before anything begins
        asked = parse_request(await self.raw(request))
        agent, model = self._meant(asked.model)
        run = await self.service.start(
            self.user(request),
            asked.input,
            agent=agent,
            model=model,
            history=asked.history,
            retract=False,
        )
        if not asked.stream:
            return await self._whole(request, run, asked.model)
        encoder = OpenAIChatEncoder(asked.model, include_usage=asked.include_usage)
        return await self.show(request, run.record, FORMATS["openai"], encoder)

    @_in_their_shape
    async def models(self, request: Request) -> Answer:
        """The agents, each also with each model that a request may name."""
        return _json(models_list(self._names(), self._since))

    @_in_their_shape
    async def model(self, request: Request) -> Answer:
        """One of them."""
        name = request.path_params["model"]
        self._meant(name)
        return _json(json_of(model_entry(name, self._since)))

    async def _whole(self, request: Request, run: DetachedRun, model: str) -> Answer:
        if await self.end_of(request, run.id) is None:
            return nothing()
        state = await run.snapshot()
        answer = whole_answer(state, created=run.record.created_at, model=model)
        return _json(answer.body, answer.status, dict(answer.headers))

    def _names(self) -> list[str]:
        service = self.service
        variants = [
            f"{name}@{model}" for name in service.agents for model in service.settings.models
        ]
        return [*service.agents, *variants]

    def _meant(self, name: str) -> tuple[str, str | None]:
        """Agent and model of a name.

        Raises:
            RequestRefused: there is none (404).
        """
        agent, at, model = name.partition("@")
        try:
            self.service.agent(agent, model if at else None)
        except (AgentUnknown, RequestRefused):
            raise RequestRefused(
                404,
                "model_not_found",
                f"There is no model {name[:80]!r}.",
                hint=f"Known: {', '.join(self._names())}.",
            ) from None
        return agent, model if at else None


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, {**SECURITY, **(headers or {})}, "application/json")
