"""Bodies of the Responses wire, the ugly ones included, and where OpenAI's SDK sees something else.

Written after the API reference ("Responses", "Streaming events") and the SDK's types; some after
what compatible servers are known to send (llama.cpp, vLLM, proxies).
"""

from __future__ import annotations

import json
from typing import Any

from tests.differential.harness import Case, Seen
from tests.providers.openai_responses.responses_bodies import (
    DONE,
    added,
    arguments,
    arguments_done,
    call,
    called,
    completed,
    created,
    done,
    event,
    failed,
    incomplete,
    message,
    raw,
    reasoning,
    summary,
    text,
    thinking,
    usage,
)

SDK = "openai"

FINISH = frozenset({"finish_reason"})
CALLS = frozenset({"calls"})
TEXT = frozenset({"text"})
COUNTS = {"usage": usage(9, 8, 4, 5)}

CUT = "The SDK passes a stream that was cut as an answer that ended."
FLAT = "The SDK passes a flat error on as an event of its own and raises nothing."
REPEATED = "The SDK leaves the text to whoever reads: it shows what the last event holds, if any."


def say(*words: str, place: int = 0) -> bytes:
    """All events of one message."""
    joined = "".join(words)
    part = {"type": "output_text", "text": joined, "annotations": []}
    where = {"output_index": place, "content_index": 0, "item_id": "msg_1"}
    return b"".join(
        (
            added(message(status="in_progress"), place),
            event("content_part.added", part={**part, "text": ""}, **where),
            *(text(word, place) for word in words),
            event("output_text.done", text=joined, **where),
            event("content_part.done", part=part, **where),
            done(message(joined), place),
        )
    )


def unescaped(value: dict[str, Any]) -> bytes:
    """An event whose JSON holds characters as they are."""
    return raw(json.dumps(value, ensure_ascii=False), str(value["type"]))


def refuse(words: str) -> bytes:
    part = {"type": "refusal", "refusal": words}
    where = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    return b"".join(
        (
            added(message(), 0),
            event("refusal.delta", delta=words, **where),
            event("refusal.done", refusal=words, **where),
            done(message(content=[part])),
            completed(message(content=[part])),
        )
    )


HELLO = message("Hello")
THOUGHT = reasoning(summary="hm", encrypted_content="gAAAA+/=")
ADD = call("a", "add", '{"x":1}', status="completed")
ADDED = (("add", {"x": 1}),)
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "q"}}
MCP = {"type": "mcp_call", "id": "mcp_1", "name": "f", "arguments": "{}", "server_label": "s"}
CODE = {"type": "code_interpreter_call", "id": "ci_1", "code": "1+1", "container_id": "c"}
BARE = {"type": "message", "id": "x", "role": "assistant"}
LLAMA = (
    event("created", response={"id": "r", "object": "response", "status": "in_progress"}),
    event("output_item.added", item={**BARE, "content": [], "status": "in_progress"}),
    event("content_part.added", item_id="x", part={"type": "output_text", "text": ""}),
    event("output_text.delta", item_id="x", delta="Hel"),
    event("output_text.delta", item_id="x", delta="lo"),
    event("output_text.done", item_id="x", text="Hello"),
    event("content_part.done", item_id="x", part={"type": "output_text", "text": "Hello"}),
    event("output_item.done", item=message("Hello", id="x")),
    completed(message("Hello", id="x"), usage={"input_tokens": 9, "output_tokens": 8}),
)

_WHOLE = [
    Case(
        "text and usage",
        created() + say("Hel", "lo") + completed(HELLO, **COUNTS),
        Seen("Hello", usage=(9, 8)),
    ),
    Case(
        "queued and in progress first",
        event("queued", response={"id": "resp_1", "status": "queued", "output": []})
        + event("in_progress", response={"id": "resp_1", "status": "in_progress", "output": []})
        + say("Hello")
        + completed(HELLO),
        Seen("Hello"),
    ),
    Case(
        "a reasoning summary and encrypted reasoning",
        created()
        + added(reasoning())
        + summary("h")
        + summary("m")
        + done(THOUGHT)
        + say("Hello", place=1)
        + completed(THOUGHT, HELLO, **COUNTS),
        Seen("Hello", usage=(9, 8)),
    ),
    Case(
        "reasoning text beside its summary",
        created()
        + thinking("hm")
        + summary("hm")
        + done(THOUGHT)
        + say("Hello", place=1)
        + completed(THOUGHT, HELLO),
        Seen("Hello"),
    ),
    Case(
        "a call",
        created() + called("a", "add", '{"x":1}') + completed(ADD, **COUNTS),
        Seen("", ADDED, "tool_calls", (9, 8)),
    ),
    Case(
        "parallel calls whose pieces are mixed",
        created()
        + added(call("a", "add"), 0)
        + added(call("b", "sub"), 1)
        + arguments('{"y":', 1, "fc_b")
        + arguments('{"x":1}', 0)
        + arguments("2}", 1, "fc_b")
        + done(ADD, 0)
        + done(call("b", "sub", '{"y":2}'), 1)
        + completed(ADD, call("b", "sub", '{"y":2}')),
        Seen("", (*ADDED, ("sub", {"y": 2})), "tool_calls"),
    ),
    Case(
        "text, reasoning and a call",
        created()
        + done(THOUGHT)
        + say("Hello", place=1)
        + called("a", "add", '{"x":1}', 2)
        + completed(THOUGHT, HELLO, ADD),
        Seen("Hello", ADDED, "tool_calls"),
    ),
    Case(
        "a call without arguments",
        created() + called("a", "now", "{}") + completed(call("a", "now", "{}")),
        Seen("", (("now", {}),), "tool_calls"),
    ),
    Case(
        "arguments that are no JSON",
        created() + called("a", "add", '{"x":') + completed(call("a", "add", '{"x":')),
        Seen("", (("add", '{"x":'),), "tool_calls"),
    ),
    Case(
        "a refusal",
        created() + refuse("I cannot."),
        Seen("I cannot."),
    ),
    Case(
        "cut by max_output_tokens",
        created() + say("Hello") + incomplete("max_output_tokens", HELLO, **COUNTS),
        Seen("Hello", (), "length", (9, 8)),
    ),
    Case(
        "stopped by the content filter",
        created() + say("Hello") + incomplete("content_filter", HELLO),
        Seen("Hello", (), "content_filter"),
    ),
    Case(
        "a web search",
        created()
        + added({**SEARCH, "status": "in_progress"})
        + event("web_search_call.searching", output_index=0, item_id="ws_1")
        + event("web_search_call.completed", output_index=0, item_id="ws_1")
        + done(SEARCH)
        + say("Hello", place=1)
        + completed(SEARCH, HELLO),
        Seen("Hello"),
    ),
    Case(
        "an MCP call and a code interpreter",
        created()
        + added(MCP, 0)
        + event("mcp_call_arguments.delta", output_index=0, item_id="mcp_1", delta="{}")
        + done(MCP, 0)
        + added(CODE, 1)
        + event("code_interpreter_call_code.delta", output_index=1, item_id="ci_1", delta="1+1")
        + done(CODE, 1)
        + say("Hello", place=2)
        + completed(MCP, CODE, HELLO),
        Seen("Hello"),
    ),
    Case(
        "two messages with a phase each",
        created()
        + say("Let me see. ")
        + done(message("So.", id="msg_2", phase="final_answer"), 1)
        + completed(message("Let me see. ", phase="commentary"), message("So.", id="msg_2")),
        Seen("Let me see. So."),
    ),
    Case(
        "an answer only in its last event",
        created() + completed(HELLO, ADD),
        Seen("Hello", ADDED, "tool_calls"),
    ),
    Case(
        "events that nobody knows yet",
        created()
        + event("thing.delta", delta="no", output_index=0)
        + say("Hello")
        + event("output_text.annotation.added", annotation={"type": "new"}, output_index=0)
        + completed(HELLO, new={"x": 1}),
        Seen("Hello"),
    ),
    Case("[DONE] after the end", created() + say("Hello") + completed(HELLO) + DONE, Seen("Hello")),
    Case(
        "CR LF as line ends, and comments",
        b": hi\r\n\r\n" + (created() + say("Hello") + completed(HELLO)).replace(b"\n", b"\r\n"),
        Seen("Hello"),
    ),
    Case(
        "CR as line ends",
        (created() + say("Hello") + completed(HELLO)).replace(b"\n", b"\r"),
        Seen("Hello"),
    ),
    Case(
        "data over several lines",
        b"event: response.completed\n"
        + b"".join(
            b"data: %b\n" % line.encode()
            for line in json.dumps(
                {
                    "type": "response.completed",
                    "response": {"id": "r", "status": "completed", "output": [HELLO]},
                },
                indent=1,
            ).split("\n")
        )
        + b"\n",
        Seen("Hello"),
    ),
    Case("llama.cpp's stream, without places", b"".join(LLAMA), Seen("Hello", usage=(9, 8))),
    Case(
        "ids that change with each event",
        created()
        + added(message(id="1"))
        + event("output_text.delta", output_index=0, content_index=0, item_id="2", delta="Hello")
        + done(message("Hello", id="3"))
        + completed(message("Hello", id="4")),
        Seen("Hello"),
    ),
    Case(
        "an emoji in two escapes, cut by nothing",
        created() + say("\U0001f30a") + completed(message("\U0001f30a")),
        Seen("\U0001f30a"),
    ),
    Case(
        "a type that stands in the data alone",
        b"".join(
            line + b"\n"
            for line in (created() + say("Hello") + completed(HELLO)).split(b"\n")
            if not line.startswith(b"event")
        ),
        Seen("Hello"),
    ),
]

_FAILED = [
    Case(
        "response.failed",
        created() + say("Hello") + failed({"code": "server_error", "message": "Too hot"}, **COUNTS),
        Seen("Hello", (), "error", (9, 8)),
    ),
    Case(
        "response.failed with a call begun",
        created() + added(call("a", "add")) + arguments("{") + failed({"message": "Too hot"}),
        Seen("", (("add", "{"),), "error"),
        "The SDK's last event holds no item that was cut; we show it, and never run it.",
        CALLS,
    ),
    Case(
        "a nested error event",
        created() + text("Hello") + event("error", error={"message": "Too hot", "code": "x"}),
        Seen("Hello", (), "error"),
    ),
    Case(
        "a flat error event",
        created() + text("Hello") + event("error", code="server_error", message="Too hot"),
        Seen("Hello", (), "error"),
        FLAT,
        FINISH,
    ),
    Case(
        "an error that is only named so",
        created() + text("Hello") + raw('{"message": "Too hot"}', "error"),
        Seen("Hello", (), "error"),
        FLAT,
        FINISH,
    ),
    Case(
        "an error in place of an event",
        created() + text("Hello") + raw('{"error": {"message": "Too hot"}}'),
        Seen("Hello", (), "error"),
    ),
    Case("garbage", created() + text("Hello") + raw("{garbage"), Seen("Hello", (), "error")),
    Case(
        "cut before its end",
        created() + text("Hello"),
        Seen("Hello", (), "error"),
        CUT,
        FINISH,
    ),
    Case(
        "cut within an event",
        created() + text("Hello") + completed(HELLO)[:-30],
        Seen("Hello", (), "error"),
        CUT,
        FINISH,
    ),
    Case(
        "cut before the last blank line",
        created() + say("Hello") + completed(HELLO)[:-1],
        Seen("Hello", (), "error"),
        CUT,
        FINISH,
    ),
    Case("nothing at all", b"", Seen("", (), "error"), CUT, FINISH),
    Case(
        "cut within a call",
        created() + added(call("a", "add")) + arguments('{"x":'),
        Seen("", (("add", '{"x":'),), "error"),
        "The SDK passes a stream that was cut as an answer that ended, and drops the call.",
        CALLS | FINISH,
    ),
]

_ODD = [
    Case(
        "text that differs from what the last event holds",
        created() + text("Hel") + text("lo") + completed(),
        Seen("Hello"),
        REPEATED,
        TEXT,
    ),
    Case(
        "a call that the last event leaves out",
        created() + called("a", "add", '{"x":1}') + completed(),
        Seen("", ADDED, "tool_calls"),
        REPEATED,
        CALLS | FINISH,
    ),
    Case(
        "[DONE] in place of the end",
        created() + say("Hello") + DONE,
        Seen("Hello"),
    ),
    Case(
        "whole arguments only when they are done",
        created() + added(call("a", "add")) + arguments_done('{"x":1}') + completed(ADD),
        Seen("", ADDED, "tool_calls"),
    ),
    Case(
        "line separators within text",
        created()
        + unescaped(
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0}
            | {"item_id": "msg_1", "delta": "a\u2028b\u2029c\u0085d\x7f"}
        )
        + event("completed", response={"id": "resp_1", "status": "completed"}),
        Seen("a\u2028b\u2029c\u0085d\x7f"),
    ),
    Case(
        "a failure that calls itself completed",
        created() + text("Hello") + completed(status="failed", error={"message": "Too hot"}),
        Seen("Hello", (), "error"),
        "The SDK leaves it to the caller to look at the status of what is called completed.",
        FINISH | TEXT,
    ),
    Case(
        "a field of the wrong type",
        created() + say("Hello") + completed(HELLO, usage="none"),
        Seen("Hello"),
    ),
    Case(
        "an end without an answer in it",
        created() + say("Hello") + event("completed"),
        Seen("Hello"),
    ),
]

CASES = [*_WHOLE, *_FAILED, *_ODD]
