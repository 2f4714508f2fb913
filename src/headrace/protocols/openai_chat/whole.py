"""A run that has ended as one chat completion, and the list of models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from headrace.protocols.openai_chat.encode import cancelled_message, completion_id
from headrace.protocols.openai_chat.errors import error_json, status_of_code
from headrace.protocols.openai_chat.fields import (
    arguments_text,
    call_fields,
    finish_reason,
    result_fields,
    usage_fields,
)
from headrace.runs.fold import RunState

_NOT_AGAIN = (("x-should-retry", "false"),)


class WholeAnswer(Struct, frozen=True):
    """What goes back over HTTP: a status, a JSON body and headers besides the usual ones."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def whole_answer(state: RunState, *, created: float, model: str | None = None) -> WholeAnswer:
    """The answer to a request that asked for no stream.

    A run that failed or was cancelled is an error, never a part of an answer. The SDKs would ask
    again by themselves for some of its statuses; the header ``x-should-retry``, which they obey,
    tells them not to, because tools may have run (openai-python, ``_base_client.py``).

    Args:
        state: The folded run; one that has not ended yet is an error too.
        created: Unix seconds of the run's start.
        model: What the answer names as the model; the run's own by default.
    """
    if state.status == "complete":
        answer = completion(state, created=created, model=model)
        return WholeAnswer(200, msgspec.json.encode(answer))
    if state.status == "cancelled":
        code, message = "cancelled", cancelled_message(state.cancel_reason)
    else:
        code = state.error_code or "internal"
        message = state.error_message or "The run has no end."
    status = status_of_code(code)
    return WholeAnswer(status, error_json(code, message, status), _NOT_AGAIN)


def completion(state: RunState, *, created: float, model: str | None = None) -> dict[str, Any]:
    """The ``chat.completion`` of a run that ended well: what its chunks fold to."""
    reason = state.finish_reason or "stop"
    choice = {
        "index": 0,
        "message": _message(state),
        "logprobs": None,
        "finish_reason": finish_reason(reason),
    }
    return {
        "id": completion_id(state.run_id),
        "object": "chat.completion",
        "created": int(created),
        "model": state.model if model is None else model,
        "choices": [choice],
        "usage": usage_fields(state.usage),
    }


def _message(state: RunState) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": state.text, "refusal": None}
    extra: dict[str, Any] = {"finish_reason": state.finish_reason}
    if state.reasoning:
        message["reasoning_content"] = state.reasoning
    tools = [tool for tool in state.tools if not tool.agent]
    if tools:
        message["tool_calls"] = [
            call_fields(tool.call_id, tool.name, arguments_text(tool.input)) for tool in tools
        ]
        extra["tool_results"] = [
            result_fields(index, tool.call_id, tool.output or "", tool.error)
            for index, tool in enumerate(tools)
        ]
    return {**message, "headrace": extra}


def models_list(names: Iterable[str], created: float) -> bytes:
    """The body of ``GET /v1/models``.

    Args:
        names: What a request may name as its model.
        created: Unix seconds since when they are there.
    """
    return msgspec.json.encode({"object": "list", "data": [model_entry(n, created) for n in names]})


def model_entry(name: str, created: float) -> dict[str, Any]:
    """One model of the list; as JSON, the body of ``GET /v1/models/{name}``."""
    return {"id": name, "object": "model", "created": int(created), "owned_by": "headrace"}
