"""What each client has of a run in the end, in one shape for all protocols."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from openai.types.chat import ChatCompletion

from headrace.events import Event, decode
from headrace.runs.fold import RunState, fold
from headrace.testing import check_events

Json = Any


class Seen(Struct, frozen=True, omit_defaults=True):
    """None is what the protocol does not carry.

    Attributes:
        text: The answer.
        finish_reason: In our words.
        usage: Input, output, cached and reasoning tokens.
        calls: Name and arguments of each call, in order.
        results: What each call gave back, and whether it failed.
        reasoning: What the model thought.
    """

    text: str
    finish_reason: str | None = None
    usage: tuple[int, int, int, int] | None = None
    calls: list[tuple[str, Json]] | None = None
    results: list[tuple[str, bool]] | None = None
    reasoning: str | None = None

    def only(self, names: Iterable[str]) -> Seen:
        """As seen by a protocol that carries no more than these, and the text."""
        names = {"text", *names}
        return Seen(**{k: v for k, v in msgspec.structs.asdict(self).items() if k in names})


CARRIED = {
    # the protocols that do not carry all of it
    "plain": (),
    "simple": ("finish_reason", "usage", "calls", "results"),
}
"""The fields of `Seen` that each has."""


def usage_of(told: Json) -> tuple[int, int, int, int]:
    """Our own object of a usage."""
    return told["input"], told["output"], told["cached"], told["reasoning"]


def of_state(state: RunState) -> Seen:
    """Of a folded log."""
    usage = state.usage
    return Seen(
        state.text,
        state.finish_reason,
        (usage.input, usage.output, usage.cached, usage.reasoning),
        [(tool.name, tool.input) for tool in state.tools],
        [(tool.error or tool.output or "", tool.error is not None) for tool in state.tools],
        state.reasoning,
    )


def of_events(events: Iterable[Event]) -> Seen:
    """Of a whole log."""
    events = list(events)
    check_events(events)
    return of_state(fold(events))


def of_lines(lines: Iterable[str | bytes]) -> Seen:
    """Of a log's events as JSON."""
    return of_events(map(decode, lines))


def of_our_state(state: Json) -> Seen:
    """Of headrace.js."""
    tools = state["tools"]
    return Seen(
        state["text"],
        state["finish_reason"],
        usage_of(state["usage"]),
        [(tool["name"], tool["input"]) for tool in tools],
        [(tool["error"] or tool["output"], tool["error"] is not None) for tool in tools],
        state["reasoning"],
    )


def of_simple(frames: Sequence[tuple[str, str]]) -> Seen:
    """Of type and data of the frames of ``simple``."""
    told = [(kind, json.loads(data)) for kind, data in frames if kind != "token"]
    (done,) = [data for kind, data in told if kind == "done"]
    calls = [data for kind, data in told if kind == "tool_start"]
    ends = {data["call_id"]: data for kind, data in told if kind == "tool_complete"}
    results = [ends[call["call_id"]] for call in calls]
    return Seen(
        "".join(data for kind, data in frames if kind == "token"),
        done["finish_reason"],
        usage_of(done["usage"]),
        [(call["name"], call["input"]) for call in calls],
        [(end["error"] or end["output"], end["error"] is not None) for end in results],
    )


def of_ai_message(message: Json) -> Seen:
    """Of the AI SDK's message."""
    parts, told = message["parts"], message["metadata"]
    calls = [part for part in parts if part["type"] == "dynamic-tool"]
    assert {call["state"] for call in calls} <= {"output-available", "output-error"}
    return Seen(
        "".join(part["text"] for part in parts if part["type"] == "text"),
        told["finishReason"],
        usage_of(told["usage"]),
        [(call["toolName"], call["input"]) for call in calls],
        [(call.get("errorText") or call["output"], "errorText" in call) for call in calls],
        "".join(part["text"] for part in parts if part["type"] == "reasoning"),
    )


def of_ai_frames(frames: Sequence[str]) -> Seen:
    """Of the data of the frames of ``ai-sdk``."""
    assert frames[-1] == "[DONE]"
    chunks = [json.loads(frame) for frame in frames[:-1]]

    def of(kind: str) -> list[Json]:
        return [chunk for chunk in chunks if chunk["type"] == kind]

    (finish,) = of("finish")
    told, calls = finish["messageMetadata"], of("tool-input-available")
    ends = {end["toolCallId"]: (end["output"], False) for end in of("tool-output-available")}
    ends |= {end["toolCallId"]: (end["errorText"], True) for end in of("tool-output-error")}
    return Seen(
        "".join(chunk["delta"] for chunk in of("text-delta")),
        told["finishReason"],
        usage_of(told["usage"]),
        [(call["toolName"], call["input"]) for call in calls],
        [ends[call["toolCallId"]] for call in calls],
        "".join(chunk["delta"] for chunk in of("reasoning-delta")),
    )


def of_ag_ui(told: Json) -> Seen:
    """Of what `HttpAgent` has: its messages, and how the run finished."""
    messages, result = told["messages"], told["result"]
    calls = [call for message in messages for call in message.get("toolCalls", ())]
    ends = {message["toolCallId"]: message for message in messages if message["role"] == "tool"}
    (usage,) = told["end"]["usage"]
    theirs = [usage["inputTokens"], usage["outputTokens"]]
    theirs += [usage["cachedInputTokens"], usage["reasoningTokens"]]
    assert tuple(theirs) == usage_of(result["usage"])

    def said(role: str) -> str:
        found = [message for message in messages if message["role"] == role]
        return "".join(message.get("content") or "" for message in found)

    def result_of(call: Json) -> tuple[str, bool]:
        end = ends[call["id"]]
        return end["content"], "error" in end["metadata"]["headrace"]

    return Seen(
        said("assistant"),
        result["finish_reason"],
        usage_of(result["usage"]),
        [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls],
        [result_of(call) for call in calls],
        said("reasoning"),
    )


def of_completion(done: ChatCompletion) -> Seen:
    """Of what OpenAI's SDK has folded."""
    (choice,) = done.choices
    message, usage = choice.message, done.usage
    more = message.model_extra or {}
    calls = message.tool_calls or []
    results = {end["tool_call_id"]: end for end in more["headrace"]["tool_results"]}
    assert choice.finish_reason == more["headrace"]["finish_reason"] == "stop"
    counts = None
    if usage is not None:
        given, output = usage.prompt_tokens_details, usage.completion_tokens_details
        assert given is not None
        assert output is not None
        cached, reasoning = given.cached_tokens or 0, output.reasoning_tokens or 0
        counts = (usage.prompt_tokens, usage.completion_tokens, cached, reasoning)
    functions = [call.function for call in calls if call.type == "function"]
    return Seen(
        message.content or "",
        choice.finish_reason,
        counts,
        [(function.name, json.loads(function.arguments)) for function in functions],
        [(results[call.id]["content"], results[call.id]["is_error"]) for call in calls],
        more["reasoning_content"],
    )
