"""Every address of the server, as the OpenAPI document tells it: data, no behaviour.

A test compares this table with the routes that there are, both ways.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from headrace.protocols.table import FORMATS

SSE = "text/event-stream"
JSON = "application/json"

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """One of the document's schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def frames(text: str, *data: str) -> Schema:
    """A body of server-sent events; `data` names what is in their ``data`` lines."""
    told = [ref(name) for name in data]
    return {"type": "string", "description": text, **({"x-data": told} if told else {})}


class Parameter(Struct, frozen=True):
    """Something in the address or the head of a request; `place` is as in OpenAPI."""

    name: str
    description: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    place: Literal["query", "header", "path"] = "query"


class Answer(Struct, frozen=True):
    """What comes with one status: a schema for each media type, none for no body."""

    description: str
    content: dict[str, Schema] = {}


class Operation(Struct, frozen=True, kw_only=True):
    """One method of one address.

    Attributes:
        tag: The group it belongs to.
        body: The schema of its JSON body; `optional` where there need not be one.
        example: Such a body.
        answers: By status; errors besides 400, 401, 403 and what `starts` brings only by number.
        starts: Whether it begins a run, so that it may be refused as all of these are.
        errors: More statuses of errors.
        openai: Whether its errors have the shape that OpenAI's SDKs raise.
    """

    method: str
    path: str
    tag: str
    summary: str
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Schema | None = None
    optional: bool = False
    example: Any = None
    answers: dict[int, Answer]
    starts: bool = False
    errors: tuple[int, ...] = ()
    openai: bool = False


_RUN = Parameter("run_id", "The run; its user's own.", place="path")
_CHAT = Parameter("chat_id", "The chat, as its page calls it.", place="path")
_AGENT = Parameter("agent", "Which of the server's agents; by default the first.")
_LEAVE = Parameter(
    "on_leave",
    "`cancel`: this reader's leaving cancels the run. Otherwise it changes nothing.",
    {"enum": ["stay", "cancel"], "default": "stay"},
)
_MESSAGE = Parameter("message", "What to answer; in place of the body's.")
_SESSION = Parameter("session", "The conversation to go on with, or to begin.")
_FLAG: Schema = {"enum": ["0", "1"], "default": "0"}
_RESET = Parameter("reset_step", "1: the page's client knows `reset-step` (npm `ai` 7).", _FLAG)
_SEEN = Parameter(
    "Last-Event-ID",
    "The id of the last event that was seen; comes before `after`.",
    place="header",
)
_COUNT: Schema = {"type": "integer", "minimum": 0}

_RUN_HEADER = "The header `x-headrace-run` names the run."
_NATIVE = frames(
    "`id:` is an event's seq, `data:` the event. A frame of the type `failure`, without an id, "
    "ends a stream whose run goes on.",
    "Event",
    "Failure",
)
_SIMPLE = frames("Events `token`, `tool_start`, `tool_complete`, `retract`, `done`, `failure`.")
_TEXT: Schema = {"type": "string", "description": "The answer's text as it comes."}
_FRAMES = Answer(f"The run's events, to its end. {_RUN_HEADER}", {SSE: _NATIVE})
_PAGE_FRAMES = Answer(f"The answer in simple frames. {_RUN_HEADER}", {SSE: _SIMPLE})
_OVER = Answer("Nothing follows: the run is over, and all of it was seen.")
_CHAT_FRAMES = Answer(
    "The AI SDK's UI message stream, version 1.", {SSE: frames("`data:` parts, then `[DONE]`.")}
)

_RUNS = (
    Operation(
        method="POST",
        path="/v1/runs",
        tag="runs",
        summary="Start a run",
        description="With `Accept: text/event-stream` the answer is the run's stream itself.",
        parameters=(_LEAVE,),
        body=ref("StartRun"),
        example={"input": "What is 123*456?"},
        answers={
            200: Answer(
                "The run's events, where the stream was asked for; else the run of then, whose "
                "`idempotency_key` this is.",
                {SSE: _NATIVE, JSON: ref("Started")},
            ),
            201: Answer("The run was started.", {JSON: ref("Started")}),
        },
        starts=True,
        errors=(422,),
    ),
    Operation(
        method="GET",
        path="/v1/runs",
        tag="runs",
        summary="List one's runs, newest first",
        parameters=(
            Parameter(
                "status",
                "Only runs that stand so.",
                {"enum": ["running", "complete", "error", "cancelled"]},
            ),
            Parameter("session", "Only runs of this conversation."),
            Parameter("limit", "How many, at most 200.", {**_COUNT, "default": 50}),
        ),
        answers={200: Answer("The runs.", {JSON: ref("RunList")})},
    ),
    Operation(
        method="GET",
        path="/v1/runs/{run_id}",
        tag="runs",
        summary="See where a run stands, folded",
        parameters=(_RUN,),
        answers={200: Answer("The state.", {JSON: ref("Snapshot")})},
        errors=(404, 410),
    ),
    Operation(
        method="GET",
        path="/v1/runs/{run_id}/events",
        tag="runs",
        summary="Watch a run, from any event on",
        description="Live or finished. Leaving changes nothing for the run.",
        parameters=(
            _RUN,
            Parameter("after", "The last seq that was seen.", {**_COUNT, "default": 0}),
            Parameter("format", "How it is written.", {"enum": [*FORMATS], "default": "native"}),
            _LEAVE,
            _SEEN,
        ),
        answers={
            200: Answer(
                f"What follows. {_RUN_HEADER}",
                {
                    SSE: _NATIVE,
                    "application/x-ndjson": {"type": "string", "x-data": [ref("Event")]},
                    "text/plain": _TEXT,
                },
            ),
            204: _OVER,
        },
        errors=(404, 405, 410, 503),
    ),
    Operation(
        method="POST",
        path="/v1/runs/{run_id}/cancel",
        tag="runs",
        summary="End a run; what was generated is kept",
        parameters=(_RUN,),
        body=ref("Cancel"),
        optional=True,
        example={"reason": "the user pressed stop"},
        answers={200: Answer("Its terminal event, whichever that was.", {JSON: ref("Event")})},
        errors=(404, 413, 503),
    ),
    Operation(
        method="POST",
        path="/v1/runs/{run_id}/input",
        tag="runs",
        summary="Say something into a live run",
        parameters=(_RUN,),
        body=ref("InputRequest"),
        example={"content": "In French, please."},
        answers={202: Answer("The run will hear it.", {JSON: ref("Named")})},
        errors=(404, 409, 413, 503),
    ),
    Operation(
        method="POST",
        path="/v1/runs/{run_id}/approvals/{call_id}",
        tag="runs",
        summary="Approve or deny a call that waits for a person",
        description=(
            "Only the first decision counts: 409, `no_approval_needed`, where no such call waits "
            "(any more). `input` gives it other arguments to run with. `seen` are the arguments "
            "that you saw: 409, `approval_changed`, where it waits with others. `agent` is the "
            "path of the agent that calls, where two agents' calls have one id."
        ),
        parameters=(_RUN, Parameter("call_id", "The call.", place="path")),
        body=ref("Decision"),
        example={"approved": True},
        answers={202: Answer("The decision is kept.", {JSON: ref("Decided")})},
        errors=(404, 409, 413, 503),
    ),
    Operation(
        method="POST",
        path="/v1/tickets",
        tag="runs",
        summary="Get a ticket for one stream or WebSocket",
        description="For `?ticket=` where a client can send no header: good once, for 30 s.",
        answers={201: Answer("The ticket.", {JSON: ref("Ticket")})},
    ),
    Operation(
        method="GET",
        path="/v1/ws",
        tag="runs",
        summary="Do all of this over one WebSocket",
        description=(
            "A handshake (RFC 6455). Messages are text, each one JSON object: `WSAsked` from the "
            "client, `WSTold` from the server, and a run's events as "
            '`{"op": "events", "ref", "run_id", "events": [Event, …]}`. It is closed with 1001 '
            "when the server stops, 1003 after bytes, 1008 after too many messages or too many "
            "that are none, 1009 after one that is too large."
        ),
        answers={101: Answer("The protocol is switched.")},
    ),
)

_NAMED = Parameter("session", "The conversation; its user's own.", place="path")

_SESSIONS = (
    Operation(
        method="GET",
        path="/v1/sessions",
        tag="sessions",
        summary="List one's conversations, last used first",
        parameters=(Parameter("limit", "How many, at most 200.", {**_COUNT, "default": 50}),),
        answers={200: Answer("The conversations.", {JSON: ref("SessionList")})},
    ),
    Operation(
        method="GET",
        path="/v1/sessions/{session}",
        tag="sessions",
        summary="Read a conversation",
        description="What was said in its live run comes with that run's end.",
        parameters=(_NAMED,),
        answers={200: Answer("The conversation.", {JSON: ref("Conversation")})},
        errors=(404,),
    ),
    Operation(
        method="DELETE",
        path="/v1/sessions/{session}",
        tag="sessions",
        summary="Forget a conversation, its runs and all that was said",
        parameters=(_NAMED,),
        answers={204: Answer("It is forgotten.")},
        errors=(404, 409),
    ),
)

_CHATS = (
    Operation(
        method="POST",
        path="/chat/stream",
        tag="chat",
        summary="Answer in plain text",
        description="An answer that is not whole is cut: its body has no proper end.",
        parameters=(_MESSAGE, _AGENT, _SESSION, _LEAVE),
        body=ref("ChatMessage"),
        optional=True,
        example={"message": "What is 123*456?"},
        answers={200: Answer(f"The answer. {_RUN_HEADER}", {"text/plain": _TEXT})},
        starts=True,
    ),
    *(
        Operation(
            method=method,
            path=path,
            tag="chat",
            summary="Answer in simple frames",
            description="With `Last-Event-ID: RUN_ID:SEQ` it goes on with that run.",
            parameters=(_MESSAGE, _AGENT, _SESSION, _LEAVE, _SEEN),
            body=None if method == "GET" else ref("ChatMessage"),
            optional=True,
            example=None if method == "GET" else {"message": "What is 123*456?"},
            answers={200: _PAGE_FRAMES, 204: _OVER},
            starts=True,
            errors=(405, 410) if method == "GET" else (410,),
        )
        for method, path in (
            ("POST", "/chat/sse"),
            ("GET", "/api/chat/stream"),
            ("POST", "/api/chat/stream"),
        )
    ),
)

_OTHERS = (
    Operation(
        method="POST",
        path="/api/chat",
        tag="ai-sdk",
        summary="Answer a page with `useChat`",
        description="The body is what `DefaultChatTransport` of npm `ai` sends; the last message "
        "is the user's. A new message ends an answer that is going on in the chat.",
        parameters=(
            _AGENT,
            Parameter("retract", "1: the page leaves withdrawn parts out by itself.", _FLAG),
            _RESET,
            _LEAVE,
        ),
        body=ref("AISDKBody"),
        example={
            "id": "chat_1",
            "messages": [{"role": "user", "parts": [{"type": "text", "text": "Hello"}]}],
        },
        answers={200: _CHAT_FRAMES},
        starts=True,
    ),
    Operation(
        method="GET",
        path="/api/chat/{chat_id}/stream",
        tag="ai-sdk",
        summary="Go on with the answer of a chat, from its start",
        parameters=(_CHAT, _RESET, _LEAVE),
        answers={200: _CHAT_FRAMES, 204: Answer("Nothing is going on there.")},
        errors=(405,),
    ),
    Operation(
        method="POST",
        path="/ag-ui",
        tag="ag-ui",
        summary="Run for an AG-UI client",
        description="The body is AG-UI's `RunAgentInput`; the last message is the user's.",
        parameters=(_AGENT, _LEAVE),
        body=ref("AGUIInput"),
        example={
            "threadId": "thread_1",
            "runId": "run_1",
            "messages": [{"id": "1", "role": "user", "content": "Hello"}],
        },
        answers={200: Answer("AG-UI's events.", {SSE: frames("`data:` lines, each an event.")})},
        starts=True,
    ),
    Operation(
        method="POST",
        path="/v1/chat/completions",
        tag="openai",
        summary="Complete a chat as OpenAI's API does",
        description="`model` names an agent, or agent@model. Tools run on the server.",
        parameters=(_LEAVE,),
        body=ref("OpenAIBody"),
        example={"model": "assistant", "messages": [{"role": "user", "content": "Hello"}]},
        answers={
            200: Answer(
                "A `chat.completion`, or with `stream` its chunks, then `[DONE]`.",
                {JSON: {"type": "object"}, SSE: frames("`data:` chunks, then `[DONE]`.")},
            )
        },
        starts=True,
        openai=True,
    ),
    Operation(
        method="GET",
        path="/v1/models",
        tag="openai",
        summary="List the agents as models",
        answers={200: Answer("The list.", {JSON: ref("ModelList")})},
        openai=True,
    ),
    Operation(
        method="GET",
        path="/v1/models/{model}",
        tag="openai",
        summary="Look at one of them",
        parameters=(Parameter("model", "Its name.", place="path"),),
        answers={200: Answer("The model.", {JSON: ref("Model")})},
        errors=(404,),
        openai=True,
    ),
)


def _number(name: str, description: str, default: int, most: int) -> Parameter:
    return Parameter(name, description, {**_COUNT, "maximum": most, "default": default})


_SAME = Answer("It is the file whose tag `If-None-Match` names.")

_WHOLE = "For operators, where the server has users."
_WINDOW = Parameter(
    "window",
    "How many seconds the series reaches back.",
    {"type": "integer", "minimum": 10, "maximum": 3600, "default": 3600},
)

_ABOUT = (
    Operation(
        method="GET",
        path="/health",
        tag="about",
        summary="Ask whether new runs are taken",
        answers={
            200: Answer("They are.", {JSON: ref("Health")}),
            503: Answer("The server stops, and takes none.", {JSON: ref("Health")}),
        },
    ),
    Operation(
        method="GET",
        path="/v1/about",
        tag="about",
        summary="Ask who answers here, and who asks",
        answers={200: Answer("The agents, each with its model.", {JSON: ref("About")})},
    ),
    Operation(
        method="GET",
        path="/v1/overview",
        tag="about",
        summary="Get the figures of the whole server",
        description=_WHOLE,
        parameters=(_WINDOW,),
        answers={200: Answer("The figures now.", {JSON: ref("Overview")})},
    ),
    Operation(
        method="GET",
        path="/v1/overview/events",
        tag="about",
        summary="Watch the figures of the whole server",
        description=f"{_WHOLE} The first overview is whole; then one comes a second while "
        "something changes, with the slots that may have changed: those from `since` on.",
        parameters=(_WINDOW,),
        answers={200: Answer("The figures.", {SSE: frames("`data:` overviews.", "Overview")})},
        errors=(405, 503),
    ),
    Operation(
        method="GET",
        path="/metrics",
        tag="about",
        summary="Get the figures of this process's runs for Prometheus",
        description=_WHOLE,
        answers={200: Answer("The exposition format 0.0.4.", {"text/plain": {"type": "string"}})},
    ),
    Operation(
        method="GET",
        path="/v1/doctor",
        tag="about",
        summary="Get timed frames, for `headrace doctor`",
        parameters=(
            _number("frames", "How many.", 10, 100),
            _number("interval_ms", "Between two.", 100, 2000),
            _number("pad", "Bytes of filler in each.", 0, 8192),
            _number("idle", "Two frames, so many seconds apart, in place of these.", 0, 300),
            _number("hint", "0 leaves the header `x-accel-buffering` out.", 1, 1),
        ),
        answers={200: Answer("The frames.", {SSE: frames("Timed frames.", "Frame")})},
        errors=(503,),
    ),
    Operation(
        method="GET",
        path="/openapi.json",
        tag="about",
        summary="Get this document",
        answers={200: Answer("OpenAPI 3.1.", {JSON: {"type": "object"}})},
    ),
    *(
        Operation(
            method="GET",
            path=path,
            tag="about",
            summary=summary,
            answers={200: Answer("The file.", {kind: {"type": "string"}}), 304: _SAME},
        )
        for path, summary, kind in (
            ("/", "Get the chat page", "text/html"),
            ("/dashboard", "Get the dashboard", "text/html"),
            ("/headrace.js", "Get the JavaScript client", "text/javascript"),
        )
    ),
    Operation(
        method="GET",
        path="/assets/{name}",
        tag="about",
        summary="Get a file that a page loads",
        parameters=(Parameter("name", "Its path, with slashes: `chat/app.js`.", place="path"),),
        answers={200: Answer("The file.", {"*/*": {"type": "string"}}), 304: _SAME},
        errors=(404,),
    ),
)

OPERATIONS = (*_RUNS, *_SESSIONS, *_CHATS, *_OTHERS, *_ABOUT)
"""All of them."""
