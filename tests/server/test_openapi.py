"""The OpenAPI document: valid, whole, and true of a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from headrace.server import app
from headrace.server.app import routes_of
from headrace.server.guard import is_open
from headrace.server.openapi import document
from headrace.server.operations import JSON, OPERATIONS, SSE, Operation
from headrace.testing import Gate
from headrace.wire.sse_decoder import SSEDecoder
from tests.docs.pages import ROOT
from tests.promises.story import researcher
from tests.server.asking import ALICE, MISSING, TOKENS, Answer, asking, path_of, speaker, waiter
from tests.server.serving import serving
from tests.server.socket_client import socket
from tests.server.test_approvals import payer, until_waiting

DOCUMENT: dict[str, Any] = json.loads(document(users=True))


def told(document: dict[str, Any]) -> set[tuple[str, str]]:
    """Method and path of all that a document has."""
    return {(m.upper(), path) for path, methods in document["paths"].items() for m in methods}


def addresses(routes: list[BaseRoute]) -> set[tuple[str, str]]:
    """Method and path of all routes; a WebSocket begins with a GET."""
    found = set()
    for route in routes:
        assert isinstance(route, Route | WebSocketRoute)
        methods = {"GET"} if isinstance(route, WebSocketRoute) else route.methods or set()
        found |= {(method, route.path_format) for method in methods - {"HEAD"}}
    return found


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """All JSON objects within a value."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            yield from objects(item)


def check(value: Any, schema: dict[str, Any]) -> None:
    """Whether a value fits a schema of the document."""
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def of(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def schema_of(operation: Operation, status: int) -> dict[str, Any]:
    """The schema of an answer in JSON, as the document has it."""
    answer = DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"][str(status)]
    if "$ref" in answer:
        answer = DOCUMENT["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    schema: dict[str, Any] = answer["content"][JSON]["schema"]
    return schema


def name_of(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


@pytest.mark.parametrize("users", [True, False])
def test_the_document_is_valid(users: bool) -> None:
    OpenAPIV31SpecValidator(json.loads(document("/ai", users))).validate()


def test_it_has_the_routes_that_there_are_and_no_others() -> None:
    assert told(DOCUMENT) == addresses(routes_of(app([speaker()]).service))


def unnamed(page: str) -> set[str]:
    """Paths of the document that a page of the documentation does not name."""
    paths = {path.replace("run_id", "id").replace("chat_id", "id") for path in DOCUMENT["paths"]}
    return {path for path in paths if not re.search(rf"{re.escape(path)}[`?]", page)}


def test_the_documentation_names_every_route() -> None:
    page = (ROOT / "docs" / "server.md").read_text("utf-8")
    assert unnamed(page) == set()
    assert unnamed(page.replace("`POST /v1/tickets`", "")) == {"/v1/tickets"}


def test_a_route_that_is_forgotten_is_found() -> None:
    routes = routes_of(app([speaker()]).service)
    assert told(DOCUMENT) - addresses(routes[1:]) == {("POST", "/v1/runs")}
    more = [*routes, Route("/v1/more", lambda _: None, methods=["DELETE"])]
    assert addresses(more) - told(DOCUMENT) == {("DELETE", "/v1/more")}
    with pytest.raises(AssertionError):
        addresses([Mount("/below", routes=routes)])


def test_operations_are_told_apart() -> None:
    ids = [found["operationId"] for found in objects(DOCUMENT) if "operationId" in found]
    assert len(ids) == len(set(ids)) == len(OPERATIONS)


def test_every_reference_leads_somewhere() -> None:
    refs = {found["$ref"] for found in objects(DOCUMENT) if "$ref" in found}
    parts = DOCUMENT["components"]
    assert len(refs) > 60
    for ref in refs:
        kind, name = ref.removeprefix("#/components/").split("/")
        assert name in parts[kind], ref
    # What nothing refers to is told in words.
    unused = {name for name in parts["schemas"] if f"#/components/schemas/{name}" not in refs}
    assert unused == {"WSAsked", "WSTold"}
    told = DOCUMENT["paths"]["/v1/ws"]["get"]["description"]
    assert all(name in told for name in unused)


def test_names_are_those_of_the_document() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert name.isalnum(), name
        assert schema.get("title", name) == name


def test_tokens_are_asked_for_where_the_guard_asks() -> None:
    ticketed = set()
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            security = operation["security"]
            assert (security == []) == is_open(path), path
            assert ("401" in operation["responses"]) != is_open(path), path
            if {"ticket": []} in security:
                ticketed.add((method, path))
    assert ticketed == {
        ("get", "/v1/runs/{run_id}/events"),
        ("get", "/api/chat/stream"),
        ("get", "/api/chat/{chat_id}/stream"),
        ("get", "/v1/overview/events"),
        ("get", "/v1/ws"),
    }


def test_a_server_without_tokens_asks_for_none() -> None:
    open_to_all = json.loads(document())
    assert all(
        not o["security"] for methods in open_to_all["paths"].values() for o in methods.values()
    )


async def test_a_server_gives_it_to_anyone() -> None:
    async with serving([speaker()], tokens=TOKENS) as server, asking(server.url) as ask:
        answer = await ask("GET", "/openapi.json")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json == DOCUMENT
    async with serving([speaker()]) as server, asking(server.url) as ask:
        assert (await ask("GET", "/openapi.json")).body == document()


def test_it_is_made_once() -> None:
    assert document("/once") is document("/once")


async def test_a_server_that_is_mounted_tells_where() -> None:
    from starlette.applications import Starlette

    mounted = app([speaker()])
    outer = Starlette(routes=[Mount("/ai", app=mounted)], lifespan=lambda _: mounted.lifespan())
    async with outer.router.lifespan_context(outer):
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/ai/openapi.json",
            "root_path": "",
            "query_string": b"",
            "headers": [],
        }
        await outer(scope, receive, send)
    found = json.loads(b"".join(message.get("body", b"") for message in sent))
    assert found["servers"] == [{"url": "/ai"}]


WITH_BODY = [operation for operation in OPERATIONS if operation.body is not None]


@pytest.mark.parametrize("operation", WITH_BODY, ids=name_of)
async def test_an_example_fits_its_schema_and_is_taken(operation: Operation) -> None:
    assert operation.body is not None
    check(operation.example, operation.body)
    decides = "approvals" in operation.path
    bot = payer([], name="bot") if decides else waiter(Gate())
    async with serving([speaker(name="assistant"), bot]) as server, asking(server.url) as ask:
        run_id = await ask.start(agent="bot")
        if decides:
            await until_waiting(server, run_id)
        path = path_of(operation.path, run_id)
        answer = await ask(operation.method, path, operation.example)
        if operation.answers:
            assert answer.status in operation.answers, answer
        if answer.headers["content-type"] == JSON:
            check(answer.json, schema_of(operation, answer.status))


@pytest.mark.parametrize("operation", WITH_BODY, ids=name_of)
async def test_what_does_not_fit_a_schema_is_refused(operation: Operation) -> None:
    assert operation.body is not None
    async with serving([speaker()]) as server, asking(server.url) as ask:
        path = path_of(operation.path, await ask.start())
        bad = [{**operation.example, name: [[]]} for name in operation.example]
        for body in (*bad, [operation.example], "text"):
            with pytest.raises(ValidationError):
                check(body, operation.body)
            answer = await ask(operation.method, path, body)
            assert answer.status == 400, (body, answer)
            check(answer.json, schema_of(operation, 400))


READ = [
    operation
    for operation in OPERATIONS
    if operation.method == "GET"
    if 200 in operation.answers and JSON in operation.answers[200].content
]


@pytest.mark.parametrize("operation", READ, ids=name_of)
async def test_what_a_server_tells_fits_its_schema(operation: Operation) -> None:
    async with serving([researcher()]) as server, asking(server.url) as ask:
        run_id = await ask.start("News?", session="trip")
        await ask("GET", f"/v1/runs/{run_id}/events")
        names = {"{model}": next(iter(server.app.service.agents)), "{session}": "trip"}
        path = operation.path
        for name, meant in names.items():
            path = path.replace(name, meant)
        path = path_of(path)
        answer = await ask("GET", path.replace(MISSING, run_id))
        assert answer.status == 200, answer
        check(answer.json, schema_of(operation, 200))


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
async def test_what_a_server_refuses_is_told_as_it_says(operation: Operation) -> None:
    async with serving([speaker()], tokens=TOKENS) as server, asking(server.url) as ask:
        path = path_of(operation.path)
        foreign = await ask(operation.method, path, headers={"Origin": "https://evil.example"})
        refused: list[Answer] = [foreign]
        if not is_open(operation.path) and operation.path != "/v1/ws":
            refused.append(await ask(operation.method, path))
        if re.search(r"\{(run_id|session)\}", operation.path):
            body = operation.example
            refused.append(await ask(operation.method, path, body, token=ALICE))
        statuses = [answer.status for answer in refused]
        assert statuses == [403, 401, 404][: len(statuses)]
        for answer in refused:
            check(answer.json, schema_of(operation, answer.status))


async def test_the_events_of_a_run_fit_their_schema() -> None:
    async with serving([researcher()]) as server, asking(server.url) as ask:
        run_id = await ask.start("News?")
        stream = await ask("GET", f"/v1/runs/{run_id}/events")
        frames = SSEDecoder().feed(stream.body)
        told = DOCUMENT["paths"]["/v1/runs/{run_id}/events"]["get"]["responses"]["200"]
        event, _ = told["content"][SSE]["schema"]["x-data"]
        assert event == of("Event")
        assert len(frames) > 10
        for frame in frames:
            check(json.loads(frame.data), event)
        snapshot = await ask("GET", f"/v1/runs/{run_id}")
        check(snapshot.json, of("Snapshot"))
        ended = await ask("POST", f"/v1/runs/{run_id}/cancel")
        check(ended.json, event)
        probe = await ask("GET", "/v1/doctor?frames=2&interval_ms=0")
        for frame in SSEDecoder().feed(probe.body):
            check(json.loads(frame.data), of("Frame"))


async def test_the_messages_of_a_socket_fit_their_schemas() -> None:
    gate = Gate()
    async with serving([waiter(gate)]) as server, socket(server.url) as client:
        asked = [
            {"op": "ping"},
            {"op": "start", "ref": "1", "input": "Go", "subscribe": False},
            {"op": "fly", "ref": "2"},
        ]
        for message, taken in zip(asked, (True, True, False), strict=True):
            await client.socket.send(json.dumps(message))
            check(await client.next(), of("WSTold"))
            assert (
                Draft202012Validator(
                    {**of("WSAsked"), "components": DOCUMENT["components"]}
                ).is_valid(message)
                is taken
            )
        run_id = client.told[1]["run_id"]
        cancel = {"op": "cancel", "ref": "3", "run_id": run_id}
        check(cancel, of("WSAsked"))
        await client.socket.send(json.dumps(cancel))
        done = await client.next()
        check(done, of("WSTold"))
        check(done["event"], of("Cancelled"))


def test_what_no_event_is_fits_no_schema() -> None:
    with pytest.raises(ValidationError):
        check({"type": "token", "seq": 1, "at": 1.0, "agent": ""}, of("Event"))
    with pytest.raises(ValidationError):
        check({"type": "word", "seq": 1, "at": 1.0, "agent": "", "content": "a"}, of("Event"))
