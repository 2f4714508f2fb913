"""The OpenAPI 3.1 document, from the table of operations and the types by which bodies are decoded.

See https://spec.openapis.org/oas/v3.1.1. OpenAPI has no word for a stream of events before 3.2, so
a stream is a string; ``x-data`` has the schemas of what is in its ``data`` lines, and text says the
rest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import msgspec

import headrace
from headrace.events import AnyEvent
from headrace.protocols.ag_ui import request as ag_ui
from headrace.protocols.ai_sdk import request as ai_sdk
from headrace.protocols.openai_chat import request as openai_chat
from headrace.runs.fold import RunState
from headrace.server.doctor import Frame
from headrace.server.guard import STREAMS, is_open
from headrace.server.operations import JSON, OPERATIONS, Answer, Operation, Parameter, Schema, ref
from headrace.server.overview import Overview
from headrace.server.routes import chat, runs, sessions
from headrace.server.ws_messages import Asked, Told

REF = "#/components/schemas/"

DESCRIPTION = """\
Agents over HTTP. A run is one ordered log of events, and every stream is a cursor over it: \
whoever leaves may come back, and a run goes on whoever leaves.

What each format says is in docs/protocols.md, how to use the server in docs/server.md."""

REFUSALS = {
    400: "The request makes no sense; the message says where.",
    401: "The server wants to know who asks: send a token.",
    403: "A page of an origin that may not call this server.",
    404: "There is no such thing, or it is another user's: no one is told which.",
    405: "The address does not take this method; a stream has no HEAD.",
    408: "The body did not come in time.",
    409: "It is not the time for that: the run has ended, or the session is busy.",
    410: "Events that are asked for are kept no longer.",
    413: "The body is too large.",
    422: "The idempotency key was used for another request.",
    429: "The user has as many live or new runs as one may have.",
    503: "The server stops, or cannot keep anything: try again later.",
}
"""What a status of an error means."""

WAITS = (429, 503)
"""Those that say in `Retry-After` how many seconds to wait."""


@lru_cache(maxsize=8)
def document(root_path: str = "", users: bool = False) -> bytes:
    """The document as JSON.

    Args:
        root_path: Where the server is mounted.
        users: Whether it wants tokens.
    """
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        told = _operation(operation, users)
        paths.setdefault(operation.path, {})[operation.method.lower()] = told
    return msgspec.json.encode(
        {
            "openapi": "3.1.1",
            "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
            "info": {
                "title": "Headrace",
                "version": headrace.__version__,
                "description": DESCRIPTION,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": root_path or "/"}],
            "paths": paths,
            "components": {
                "schemas": _schemas(),
                "responses": {str(s): _refusal(s, "Refusal") for s in REFUSALS},
                "securitySchemes": _SECURITY,
            },
        }
    )


_SECURITY: Schema = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A user's token. A server without tokens asks for none.",
    },
    "ticket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "From POST /v1/tickets, for a stream or the WebSocket: good once, for 30 s.",
    },
}


def _operation(operation: Operation, users: bool) -> Schema:
    told: Schema = {
        "tags": [operation.tag],
        "operationId": _id(operation),
        "summary": operation.summary,
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "responses": {str(s): _answer(answer) for s, answer in operation.answers.items()},
        "security": _security(operation, users),
    }
    if operation.description:
        told["description"] = operation.description
    if operation.body is not None:
        content = {"schema": operation.body, "example": operation.example}
        told["requestBody"] = {"required": not operation.optional, "content": {JSON: content}}
    for status in _errors(operation):
        told["responses"].setdefault(
            str(status),
            _refusal(status, "OpenAIError")
            if operation.openai and status not in (401, 403)  # these come before the route
            else {"$ref": f"#/components/responses/{status}"},
        )
    return told


def _id(operation: Operation) -> str:
    words = operation.path.replace("{", "").replace("}", "").replace(".", "-").strip("/")
    return f"{operation.method.lower()}-{words.replace('/', '-') or 'page'}"


def _parameter(parameter: Parameter) -> Schema:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.place == "path",
        "schema": parameter.schema,
    }


def _answer(answer: Answer) -> Schema:
    content = {kind: {"schema": schema} for kind, schema in answer.content.items()}
    return {"description": answer.description, **({"content": content} if content else {})}


def _security(operation: Operation, users: bool) -> list[Schema]:
    if is_open(operation.path) or not users:
        return []
    streams = operation.path.endswith((*STREAMS, "/ws")) and operation.method == "GET"
    return [{"bearer": []}, {"ticket": []}] if streams else [{"bearer": []}]


def _errors(operation: Operation) -> list[int]:
    found = {400, 403, *operation.errors}
    if not is_open(operation.path):
        found.add(401)
    if operation.body is not None:
        found |= {408, 413}
    if operation.starts:
        found |= {404, 409, 413, 429, 503}
    return sorted(found)


def _refusal(status: int, schema: str) -> Schema:
    told: Schema = {
        "description": REFUSALS[status],
        "content": {JSON: {"schema": ref(schema)}},
    }
    if status in WAITS:
        wait = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
        told["headers"] = {"Retry-After": wait}
    return told


def _schemas() -> Schema:
    """All of the document's schemas, by name."""
    listed = (runs.Listed, sessions.SessionListed, sessions.Conversation)
    shown = (RunState, *listed, Overview, Frame)
    found = _components(_same, AnyEvent, *shown, union="Event")
    found |= _components(_asked, runs.StartRun, runs.Cancel, runs.Input, runs.Decision)
    for prefix, body in _OF_OTHERS.items():
        found |= _components(partial(_prefixed, prefix), body)
    # What a socket's messages have in common with the rest keeps its name.
    over_sockets = partial(_prefixed, "WS", but=frozenset(found))
    asked = _components(over_sockets, Asked, union="WSAsked")
    told = _components(over_sockets, Told, union="WSTold")
    return asked | told | found | _TOLD


_OF_OTHERS = {
    "Chat": chat.Message,
    "AISDK": ai_sdk._Body,
    "AGUI": ag_ui._Input,
    "OpenAI": openai_chat._Body,
}
"""The bodies that other clients send, each with what its types' names begin with here."""


def _same(name: str) -> str:
    return name


def _asked(name: str) -> str:
    return "InputRequest" if name == "Input" else name  # there is an event of this name


def _prefixed(prefix: str, name: str, *, but: frozenset[str] = frozenset()) -> str:
    return name if name in but else prefix + name.lstrip("_")


def _components(named: Callable[[str], str], *types: Any, union: str = "") -> dict[str, Schema]:
    """The schemas of types and of all that they are made of.

    Args:
        named: Gives a type's name in the document.
        types: Structs; the first may be a union of some.
        union: The name of that union.
    """
    (first, *_), parts = msgspec.json.schema_components(
        types, schema_hook=_anything, ref_template=REF + "{name}"
    )
    found = {named(name): _renamed(schema, named) for name, schema in parts.items()}
    for name, schema in found.items():
        schema["title"] = name
    return {**found, union: _renamed(first, named)} if union else found


def _anything(_: type) -> Schema:
    return {"description": "Any value."}


def _renamed(value: Any, named: Callable[[str], str]) -> Any:
    """The schema with its references as the document has them."""
    if isinstance(value, dict):
        return {key: _renamed(item, named) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, named) for item in value]
    if isinstance(value, str) and value.startswith(REF):
        return REF + named(value.removeprefix(REF))
    return value


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


_STRING: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}
_YES: Schema = {"type": "boolean"}
_STRINGS: Schema = {"type": "array", "items": _STRING}

_TOLD: dict[str, Schema] = {
    "Refusal": _object(code=_STRING, message=_STRING, hint=_STRING),
    "OpenAIError": _object(
        error=_object(message=_STRING, type=_STRING, param={"type": "null"}, code=_STRING)
    ),
    "Failure": _object(code=_STRING, message=_STRING, hint=_STRING, retryable=_YES),
    "Started": _object(run_id=_STRING, created=_YES, events=_STRING),
    "Named": _object(run_id=_STRING),
    "Decided": _object(run_id=_STRING, call_id=_STRING),
    "RunList": _object(runs={"type": "array", "items": ref("Listed")}),
    "SessionList": _object(sessions={"type": "array", "items": ref("SessionListed")}),
    "Snapshot": {"allOf": [ref("RunState"), _object(live=_YES, user=_STRING, created_at=_NUMBER)]},
    "Ticket": _object(ticket=_STRING, expires_in=_COUNT),
    "Model": _object(id=_STRING, object=_STRING, created=_COUNT, owned_by=_STRING),
    "ModelList": _object(object=_STRING, data={"type": "array", "items": ref("Model")}),
    "About": _object(
        version=_STRING,
        user=_STRING,
        users=_YES,
        operator=_YES,
        store=_STRING,
        agents={
            "type": "array",
            "items": _object(name=_STRING, model=_STRING, why=_STRING, tools=_STRINGS),
        },
    ),
    "Health": _object(status={"enum": ["ok", "draining"]}, live_runs=_COUNT, viewers=_COUNT),
}
"""What the server says that is no type of its own."""
