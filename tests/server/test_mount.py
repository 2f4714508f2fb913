"""Headrace in someone else's application, on a plain uvicorn: FastAPI and Starlette."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount
from starlette.types import ASGIApp
from websockets.exceptions import InvalidStatus

from headrace import Agent, Runtime
from headrace import events as e
from headrace.errors import HeadraceError, StoreUnavailable, UsageError
from headrace.runs.stores.memory import MemoryStore
from headrace.server import HeadraceApp, app
from headrace.testing import Gate, ScriptedModel, Step
from tests.server.asking import ALICE, TOKENS, asking, speaker, waiter
from tests.server.hosting import hosting
from tests.server.reading import has_ended, reading
from tests.server.serving import until
from tests.server.socket_client import socket

Call = Callable[[Request], Awaitable[Response]]


def fastapi(headrace_app: HeadraceApp) -> FastAPI:
    """As the documentation tells to mount it, beside a route of its own."""
    api = FastAPI(lifespan=headrace_app.lifespan)

    @api.get("/hello")
    def hello() -> str:
        return "hello"

    api.mount("/ai", headrace_app)
    return api


def starlette(headrace_app: HeadraceApp) -> Starlette:
    """The same in Starlette."""
    routes = [Mount("/ai", app=headrace_app)]
    return Starlette(routes=routes, lifespan=headrace_app.lifespan)


def with_middleware(headrace_app: HeadraceApp) -> FastAPI:
    """With `BaseHTTPMiddleware`, which puts itself between us and the server, both ways."""
    api = fastapi(headrace_app)
    api.state.seen = []

    @api.middleware("http")
    async def note(request: Request, call_next: Call) -> Response:
        response = await call_next(request)
        response.headers["x-seen"] = "yes"
        request.app.state.seen.append(request.url.path)  # fails where `app` is not its own
        return response

    return api


def with_gzip(headrace_app: HeadraceApp) -> FastAPI:
    """With compression, which leaves event streams alone by itself."""
    api = fastapi(headrace_app)
    api.add_middleware(GZipMiddleware)
    return api


HOSTS = [fastapi, starlette, with_middleware, with_gzip]
Make = Callable[[HeadraceApp], ASGIApp]


def served(agent: Agent, **more: Any) -> HeadraceApp:
    return app([agent], **{"grace": 0.1, **more})


@pytest.mark.parametrize("make", HOSTS)
async def test_the_routes_work_below_the_prefix(make: Make) -> None:
    async with hosting(make(served(speaker()))) as url, asking(f"{url}/ai") as ask:
        started = await ask("POST", "/v1/runs", {"input": "Go"})
        run_id = started.json["run_id"]
        assert started.status == 201
        assert started.json["events"] == f"/ai/v1/runs/{run_id}/events"
        assert started.headers["location"] == f"/ai/v1/runs/{run_id}"
        async with reading(url + started.json["events"]) as reader:
            events = await reader.events()
        assert has_ended(events)
        async with reading(url + started.json["events"], after=events[-2].seq) as reader:
            assert await reader.events() == events[-1:]
        assert (await ask("GET", f"/v1/runs/{run_id}")).json["text"] == "Hello"
        assert (await ask("POST", "/chat/stream", {"message": "Hi"})).body == b"Hello"
        answer = await ask("GET", "/api/chat/stream?message=Hi")
        assert b"event: token\ndata: Hello\n\n" in answer.body
        assert (await ask("GET", "/v1/models")).json["data"][0]["id"] == "bot"
        assert (await ask("GET", "/openapi.json")).json["servers"] == [{"url": "/ai"}]


async def test_the_host_keeps_its_own_routes_and_errors() -> None:
    async with hosting(fastapi(served(speaker()))) as url, asking(url) as ask:
        assert (await ask("GET", "/hello")).json == "hello"
        assert (await ask("GET", "/nothing")).json == {"detail": "Not Found"}
        assert (await ask("GET", "/health")).status == 404


async def test_the_page_loads_what_it_names_from_below_the_prefix() -> None:
    async with hosting(fastapi(served(speaker()))) as url, asking(url) as ask:
        moved = await ask("GET", "/ai")
        assert moved.status == 307
        assert moved.headers["location"] == f"{url}/ai/"
        page = (await ask("GET", "/ai/")).body.decode()
        named = re.findall(r'(?:src|href)="([^":]+)"', page)
        assert named
        for name in named:
            path = urljoin("/ai/", name)
            assert path.startswith("/ai/")
            assert (await ask("GET", path)).status == 200, path
        assert (await ask("GET", "/ai/headrace.js")).status == 200


@pytest.mark.parametrize("make", HOSTS)
async def test_a_stream_is_live_and_leaving_it_is_noticed(make: Make) -> None:
    """A run that is left goes on; with ``on_leave=cancel`` it ends."""
    gate, other = Gate(), Gate()
    model = ScriptedModel([Step(text=["Hello", g, " you"]) for g in (gate, other)])
    headrace_app = served(Agent("bot", model))
    runtime, service = headrace_app.service.runtime, headrace_app.service
    async with hosting(make(headrace_app)) as url:
        async with reading(f"{url}/ai/api/chat/stream", {"message": "Hi"}) as reader:
            await reader.until("Hello")
            assert not gate.opened.is_set()
            assert service.watchers == 1
        await until(lambda: not service.watchers)
        (left,) = runtime.live
        async with reading(f"{url}/ai/v1/runs/{left}/events") as reader:
            gate.open()
            assert "".join(x.content for x in await reader.events() if isinstance(x, e.Token))
        address = f"{url}/ai/api/chat/stream?on_leave=cancel"
        async with reading(address, {"message": "Hi"}) as reader:
            await reader.until("Hello")
            (cancelled,) = runtime.live
        assert isinstance(await asyncio.wait_for(runtime.wait(cancelled), 20), e.Cancelled)
        assert isinstance(await runtime.wait(left), e.Complete)


async def test_a_socket_works_below_the_prefix() -> None:
    headrace_app = served(speaker(), tokens=TOKENS)
    async with hosting(fastapi(headrace_app)) as url:
        async with socket(f"{url}/ai", ALICE) as client:
            await client.ask("start", "1", input="Hi")
            await client.until("ended", "1")
            await client.until_text("1", "Hello")
        with pytest.raises(InvalidStatus) as caught:
            async with socket(f"{url}/ai"):
                pass
        assert caught.value.response.status_code == 401


async def test_errors_are_told_as_everywhere() -> None:
    headrace_app = served(speaker(), tokens=TOKENS)
    async with hosting(with_middleware(headrace_app)) as url, asking(f"{url}/ai") as ask:
        for method, path, body, status, code in (
            ("GET", "/nothing", None, 404, "not_found"),
            ("GET", "/v1/runs/run_" + "A" * 22, None, 404, "run_not_found"),
            ("POST", "/health", None, 405, "method_not_allowed"),
            ("POST", "/v1/runs", b"{", 400, "invalid_json"),
            ("POST", "/v1/runs", {"input": 5}, 400, "invalid_request"),
        ):
            answer = await ask(method, path, body, token=ALICE)
            assert (answer.status, answer.code) == (status, code), path
            assert answer.headers["x-seen"] == "yes"
        assert (await ask("GET", "/v1/runs")).code == "unauthorized"


async def test_a_hosts_exception_handlers_do_not_get_ours() -> None:
    api = fastapi(served(speaker()))

    def swallow(request: Request, error: Exception) -> Response:
        return PlainTextResponse("swallowed", 418)

    for kind in (404, 405, HTTPException, HeadraceError, UsageError, Exception):
        api.add_exception_handler(kind, swallow)

    @api.get("/failing")
    async def failing() -> None:
        raise UsageError("The host's own.")

    async with hosting(api) as url, asking(url) as ask:
        assert (await ask("GET", "/failing")).body == b"swallowed"
        assert (await ask("GET", "/ai/nothing")).code == "not_found"
        assert (await ask("POST", "/ai/health")).code == "method_not_allowed"
        assert (await ask("POST", "/ai/v1/runs", {"input": ""})).code == "invalid_request"
        missing = await ask("GET", "/ai/v1/runs/run_" + "A" * 22)
        assert (missing.status, missing.code) == (404, "run_not_found")


async def test_the_hosts_lifespan_opens_and_drains(tmp_path: Path) -> None:
    """The live run ends in its time, though no one watches; a later program finds it whole."""
    gate, store = Gate(), f"sqlite:///{tmp_path / 'runs.db'}"
    headrace_app = served(waiter(gate), store=store, grace=10)
    async with hosting(fastapi(headrace_app)) as url, asking(f"{url}/ai") as ask:
        run_id = await ask.start()
        await gate.reached.wait()
        opening = asyncio.create_task(_open_at_drain(headrace_app, gate))
    await opening
    async with Runtime(store, name="another") as runtime:
        assert isinstance(await runtime.wait(run_id), e.Complete)


async def _open_at_drain(headrace_app: HeadraceApp, gate: Gate) -> None:
    await until(lambda: headrace_app.service.draining)
    assert headrace_app.service.runtime.live
    gate.open()


async def test_a_reader_does_not_keep_the_host_from_stopping() -> None:
    """The server waits for open streams as long as it is told; then the runtime is drained."""
    gate = Gate()
    headrace_app = served(waiter(gate))
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(hosting(fastapi(headrace_app)))
        async with reading(f"{url}/ai/chat/sse", {"message": "Hi"}) as reader:
            await reader.until("Hello")
            await stack.aclose()
            assert headrace_app.service.draining
            assert not headrace_app.service.watchers


async def test_without_a_lifespan_it_opens_at_the_first_request() -> None:
    headrace_app = served(speaker())
    api = FastAPI()
    api.mount("/ai", headrace_app)
    async with hosting(api) as url, asking(f"{url}/ai") as ask:
        asked = [ask("POST", "/chat/stream", {"message": "Hi"}) for _ in range(5)]
        assert {answer.body for answer in await asyncio.gather(*asked)} == {b"Hello"}
    await headrace_app.service.drain()


class LateStore(MemoryStore):
    """Cannot be reached at first."""

    reachable = False

    async def orphans(self, host: str, limit: int = 1) -> list[str]:
        if not self.reachable:
            raise StoreUnavailable("The store cannot be reached.")
        return await super().orphans(host, limit)


async def test_a_store_that_is_not_there_is_told_and_asked_again() -> None:
    headrace_app = served(speaker(), store=(store := LateStore()))
    api = FastAPI()
    api.mount("/ai", headrace_app)
    async with hosting(api) as url, asking(f"{url}/ai") as ask:
        answer = await ask("POST", "/chat/stream", {"message": "Hi"})
        assert (answer.status, answer.code) == (503, "store_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        store.reachable = True
        assert (await ask("POST", "/chat/stream", {"message": "Hi"})).body == b"Hello"
    await headrace_app.service.drain()


async def test_two_in_one_process_know_nothing_of_each_other() -> None:
    one = served(Agent("one", ScriptedModel([Step(text="One.")])))
    two = served(Agent("two", ScriptedModel([Step(text="Two.")])), tokens=TOKENS)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with one.lifespan(), two.lifespan():
            yield

    api = FastAPI(lifespan=lifespan)
    api.mount("/one", one)
    api.mount("/two", two)
    async with hosting(api) as url, asking(url) as ask:
        first = await ask("POST", "/one/chat/stream", {"message": "Hi"})
        second = await ask("POST", "/two/chat/stream", {"message": "Hi"}, token=ALICE)
        assert (first.body, second.body) == (b"One.", b"Two.")
        run_id = first.headers["x-headrace-run"]
        assert (await ask("GET", f"/one/v1/runs/{run_id}")).status == 200
        assert (await ask("GET", f"/two/v1/runs/{run_id}", token=ALICE)).status == 404
        assert (await ask("GET", "/two/v1/runs")).status == 401
    assert one.service.draining
    assert two.service.draining


async def test_what_was_drained_does_not_open_again() -> None:
    headrace_app = served(speaker())
    async with headrace_app.lifespan():
        pass
    with pytest.raises(UsageError, match="does not open again"):
        async with headrace_app.lifespan():
            pass


async def test_a_host_may_answer_in_our_place() -> None:
    """A middleware that refuses never reaches the mounted application."""
    headrace_app = served(speaker())
    api = fastapi(headrace_app)

    @api.middleware("http")
    async def refuse(request: Request, call_next: Call) -> Response:
        return JSONResponse({"detail": "Not you"}, 403)

    async with hosting(api) as url, asking(f"{url}/ai") as ask:
        assert (await ask("POST", "/chat/stream", {"message": "Hi"})).status == 403
        assert not await headrace_app.service.runtime.store.runs()
