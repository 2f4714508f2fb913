"""A client that asks anything of every address of a server, and raw bytes for what none would."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from starlette.routing import Route
from yarl import URL

from headrace import Agent
from headrace.server.app import routes_of
from headrace.testing import Gate, ScriptedModel, Step
from tests.server.serving import PATIENCE, Served

ALICE, BOB = "alice-0123456789abcdef", "bob-0123456789abcdef"
TOKENS = {"alice": ALICE, "bob": BOB}

MISSING = "run_" + "A" * 22
"""No run has this id."""

ENDLESS = "/v1/overview/events"
"""Ends only with its reader: a `Client` takes its beginning."""

OPEN_PATHS = frozenset(
    {"/", "/dashboard", "/assets/{name}", "/headrace.js", "/health", "/openapi.json", "/v1/doctor"}
)


@dataclass(frozen=True)
class Answer:
    """A whole answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code, where it is told as every error of the server is told.

        Or as OpenAI's SDKs want it; they know no hint.
        """
        told = self.json
        assert self.headers["content-type"] == "application/json", self
        if "error" in told:
            assert told["error"]["message"], told
            return str(told["error"]["code"])
        assert set(told) >= {"code", "message", "hint"}, told
        assert told["message"], told
        assert all(isinstance(told[word], str) for word in ("code", "message", "hint")), told
        return str(told["code"])

    @property
    def shape(self) -> tuple[int, dict[str, str], Any]:
        """What is left to tell two answers apart by."""
        dull = {"date", "content-length"}
        headers = {name: value for name, value in self.headers.items() if name not in dull}
        return self.status, headers, self.json if self.body else None


class Client:
    """Asks one server."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer; a body that is not bytes is sent as JSON."""
        if path.partition("?")[0] == "/v1/doctor":  # which takes its time else
            path += ("&" if "?" in path else "?") + "frames=1"
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        data = io.BytesIO(body) if body else body  # aiohttp warns of large bytes
        async with asyncio.timeout(PATIENCE):
            async with self.session.request(
                method,
                URL(self.url + path, encoded=True),
                data=data,
                headers={**sent, **(headers or {})},
                allow_redirects=False,
            ) as response:
                found = {name.lower(): value for name, value in response.headers.items()}
                endless = response.status == 200 and path.partition("?")[0] == ENDLESS
                body = await (response.content.readany() if endless else response.read())
                return Answer(response.status, found, body)

    async def start(self, text: str = "Go", *, token: str = "", **more: Any) -> str:
        """Start a run; its id."""
        answer = await self("POST", "/v1/runs", {"input": text, **more}, token=token)
        assert answer.status == 201, answer
        return str(answer.json["run_id"])

    async def end(self, run_id: str, *, token: str = "") -> None:
        """Cancel a run, and wait for its end."""
        answer = await self("POST", f"/v1/runs/{run_id}/cancel", token=token)
        assert answer.status == 200, answer


@asynccontextmanager
async def asking(url: str, *, keep_alive: bool = False) -> AsyncGenerator[Client]:
    """A client of this server; `keep_alive` is what most clients do with a connection."""
    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(limit=0, force_close=not keep_alive)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Client(url, session)
    await asyncio.sleep(0)


@asynccontextmanager
async def connection(
    url: str,
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A socket to this server."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        async with asyncio.timeout(PATIENCE):
            yield reader, writer
    finally:
        writer.transport.abort()


async def raw(url: str, data: bytes) -> Answer:
    """The answer to these bytes, to where it ends by its length."""
    async with connection(url) as (reader, writer):
        writer.write(data)
        return await raw_answer(reader)


async def raw_answer(reader: asyncio.StreamReader) -> Answer:
    """One answer that tells its length."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(first.split()[1]), headers, body)


def addresses(served: Served) -> list[tuple[str, str]]:
    """Method and path pattern of everything that the server answers, ``HEAD`` left out."""
    return [
        (method, route.path_format)
        for route in routes_of(served.app.service)
        if isinstance(route, Route)
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]


def path_of(pattern: str, run_id: str = MISSING) -> str:
    """An address of this pattern; ids are the run's."""
    path = pattern
    while "{" in path:
        before, _, rest = path.partition("{")
        name, _, after = rest.partition("}")
        path = before + ("call_1" if name.startswith("call") else run_id) + after
    return path


def speaker(runs: int = 1000, name: str = "bot") -> Agent:
    """Says a word in each run."""
    return Agent(name, ScriptedModel([Step(text="Hello")] * runs))


def waiter(gate: Gate, runs: int = 1000) -> Agent:
    """Says a word in each run, and waits for the gate."""
    return Agent("bot", ScriptedModel([Step(text=["Hello", gate])] * runs))
