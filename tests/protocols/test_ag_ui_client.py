"""`@ag-ui/client` itself, its verifier on, reads what the encoder writes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from headrace import events as e
from headrace.errors import StoreUnavailable
from headrace.messages import Message, Text, ToolCall, ToolResult
from headrace.protocols.ag_ui.encode import AGUIEncoder
from headrace.protocols.ag_ui.request import read_request
from headrace.runs.fold import fold
from headrace.runs.policies import join_deltas
from headrace.testing.chunkings import random_cuts
from tests.protocols.ag_ui_reading import METRICS, USAGE, calls, expected_calls, text, whole
from tests.strategies import Scribe
from tests.support.loopback import Loopback, Script, stream
from tests.support.node import run_node

COUNT = 80
"""Logs that one Node process reads."""

BEFORE: list[dict[str, Any]] = [
    {"id": "m1", "role": "user", "content": "Look."},
    {
        "id": "m2",
        "role": "assistant",
        "content": "I do.",
        "toolCalls": [
            {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    },
    {"id": "m3", "role": "tool", "toolCallId": "call_0", "content": "found"},
]
"""A conversation in which an id of a call stands that the logs use too."""


def generated() -> list[list[e.Event]]:
    """Some logs, each with an end."""
    found: list[list[e.Event]] = []

    @settings(
        max_examples=COUNT,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(whole())
    def take(log: list[e.Event]) -> None:
        found.append(log)

    take()
    return found


def script(data: bytes, seed: int) -> Script:
    """The stream, cut anywhere."""
    (cut,) = random_cuts(data, seed, 1 + seed % 9)
    return stream(*filter(None, cut))


async def client(*scripts: Script, say: tuple[str, ...] = ("Hi",)) -> tuple[list[Any], list[bytes]]:
    """What the client has after each script, and what it had posted."""
    async with Loopback(*scripts) as server:
        count = len(scripts) // len(say)
        asked = [{"url": server.url, "messages": BEFORE, "say": say}] * count
        told = json.loads(await run_node("ag_ui_fold.mjs", stdin=json.dumps(asked).encode()))
    assert len(told) == count
    return told, [request.body for request in server.requests]


def agrees(seen: Any, log: list[e.Event]) -> None:
    """The client has what the log folds to, and had nothing to complain of."""
    assert (seen["failure"], seen["warnings"]) == (None, [])
    state, kept = fold(log), len(BEFORE) + 1
    assert [message["id"] for message in seen["messages"][:kept]] == ["m1", "m2", "m3", "said_0"]
    messages = seen["messages"][kept:]
    assert text(messages) == state.text
    assert text(messages, "reasoning") == state.reasoning
    assert sorted(calls(messages)) == sorted(expected_calls(log))
    end = (seen["finished"] or {}).get("event") or seen["error"]
    told = seen["result"] or end["metadata"]["headrace"]
    assert told["finish_reason"] == state.finish_reason
    last = log[-1]
    assert isinstance(last, e.TERMINAL)
    if last.usage is not None:
        assert told["usage"] == json.loads(e.encode(last))["usage"]
        assert end["usage"][0]["totalTokens"] == last.usage.total
    if isinstance(last, e.Error):
        assert (end["code"], end["message"]) == (last.code, last.message)
    else:
        outcome = "cancelled" if isinstance(last, e.Cancelled) else "success"
        assert (seen["finished"]["outcome"], seen["finished"]["pending"]) == (outcome, [])


async def test_the_client_folds_to_what_the_log_does() -> None:
    cases = generated()
    scripts = []
    for seed, log in enumerate(cases):
        events = join_deltas(log) if seed % 3 == 0 else log
        scripts.append(script(AGUIEncoder("t", "r", ["call_0"]).encode(events), seed))
    told, _ = await client(*scripts)
    for seen, log in zip(told, cases, strict=True):
        agrees(seen, log)
    ends = {type(log[-1]) for log in cases}
    assert ends == set(e.TERMINAL)
    assert any(isinstance(event, e.Retract) for log in cases for event in log)


async def test_the_client_takes_a_stream_that_fails() -> None:
    logs = [log[:-1] for log in generated()[:20]]
    failed = StoreUnavailable("The store is full.")
    scripts = []
    for seed, log in enumerate(logs):
        encoder = AGUIEncoder("t", "r", ["call_0"])
        scripts.append(script(encoder.encode(log) + encoder.fail(failed), seed))
    scripts.append(script(AGUIEncoder().fail(failed), 1))
    told, _ = await client(*scripts)
    for seen, log in zip(told, [*logs, []], strict=True):
        assert (seen["failure"], seen["warnings"], seen["finished"]) == (None, [], None)
        assert seen["error"]["code"] == "store_unavailable"
        assert text(seen["messages"][4:]) == fold(log).text


async def test_what_the_client_posts_next_is_the_conversation() -> None:
    log = conversation()
    data = AGUIEncoder("t", "r", ["call_0"]).encode(log)
    told, bodies = await client(script(data, 3), script(b"", 1), say=("Hi", "And now?"))
    first, second = map(read_request, bodies)
    assert (first.thread_id, first.run_id, second.run_id) == ("thread_1", "run_0", "run_1")
    assert first.history == (
        Message.user("Look."),
        Message.assistant("I do.", ToolCall("call_0", "f")),
        Message.tool(ToolResult("call_0", "f", "found")),
    )
    assert (first.input, second.input) == (Message.user("Hi"), Message.user("And now?"))
    assert sorted(first.call_ids) == ["call_0"]
    assert sorted(second.call_ids) == ["call_0", "call_0_3", "call_1"]
    assert second.history == (
        *first.history,
        Message.user("Hi"),
        Message.assistant(
            Text("Looking."),
            ToolCall("call_0_3", "look", '{"at": 1}'),
            ToolCall("call_1", "look", '{"at":2}'),
        ),
        Message.tool(
            ToolResult("call_0_3", "look", "found"),
            ToolResult("call_1", "look", "it broke", is_error=True),
        ),
        Message.assistant("There."),
    )
    assert told[0]["customs"][0]["metadata"] == {"headrace": {"tool_call_id": "call_1"}}


def conversation() -> list[e.Event]:
    """A try that is withdrawn, a step with two calls, the answer."""
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "m")
    scribe.put(e.StepStart, 1, "m")
    scribe.put(e.Thought, "What?")
    scribe.put(e.Token, "Lost.", 0)
    scribe.put(e.ToolArgs, "call_0", "look", '{"at')
    scribe.put(e.Retract, 3, "stream_truncated")
    scribe.put(e.Thought, "Let me look.")
    scribe.put(e.Token, "Looking.", 0)
    scribe.put(e.ToolArgs, "call_0", "look", '{"at": 1}')
    scribe.put(e.ToolStart, "call_0", "look", {"at": 1})
    scribe.put(e.ToolStart, "call_1", "look", {"at": 2})
    scribe.put(e.ToolProgress, "call_1", "half")
    scribe.put(e.ToolEnd, "call_1", "look", "", 1.0, "it broke")
    scribe.put(e.ToolEnd, "call_0", "look", "found", 1.0)
    scribe.put(e.StepStart, 2, "m")
    scribe.put(e.Token, "There.", 0)
    scribe.put(e.Complete, "stop", USAGE, METRICS)
    return scribe.events
