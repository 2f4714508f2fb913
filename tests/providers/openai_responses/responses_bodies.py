"""Pieces of Responses streams, for tests."""

from __future__ import annotations

import json
from typing import Any

DONE = b"data: [DONE]\n\n"
RESPONSE = {"id": "resp_1", "object": "response", "model": "m", "error": None}


def raw(text: str, name: str = "") -> bytes:
    """One event with this data, maybe named."""
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def event(kind: str, **fields: object) -> bytes:
    """One event of this type; the prefix ``response.`` is added where it is missing."""
    kind = kind if kind == "error" or kind.startswith("response.") else f"response.{kind}"
    return raw(json.dumps({"type": kind, **fields}), kind)


def created(**fields: object) -> bytes:
    return event("created", response={**RESPONSE, "status": "in_progress", "output": []}, **fields)


def text(delta: str, place: object = 0, part: object = 0, **fields: object) -> bytes:
    """A piece of text."""
    return event(
        "output_text.delta",
        delta=delta,
        output_index=place,
        content_index=part,
        item_id="msg_1",
        **fields,
    )


def summary(delta: str, place: object = 0, part: object = 0) -> bytes:
    """A piece of a reasoning summary."""
    return event(
        "reasoning_summary_text.delta",
        delta=delta,
        output_index=place,
        summary_index=part,
        item_id="rs_1",
    )


def thinking(delta: str, place: object = 0) -> bytes:
    """A piece of reasoning text."""
    return event(
        "reasoning_text.delta", delta=delta, output_index=place, content_index=0, item_id="rs_1"
    )


def message(*texts: str, id: str = "msg_1", **fields: object) -> dict[str, Any]:
    """A message item."""
    content = [{"type": "output_text", "text": t, "annotations": []} for t in texts]
    made = {"type": "message", "id": id, "role": "assistant", "status": "completed"}
    return {**made, "content": content, **fields}


def call(id: object, name: object, arguments: object = "", **fields: object) -> dict[str, Any]:
    """A function call item."""
    made = {"type": "function_call", "id": f"fc_{id}", "call_id": id, "name": name}
    return {**made, "arguments": arguments, **fields}


def reasoning(id: str = "rs_1", *, summary: str = "", **fields: object) -> dict[str, Any]:
    """A reasoning item."""
    told = [{"type": "summary_text", "text": summary}] if summary else []
    return {"id": id, "type": "reasoning", "summary": told, **fields}


def added(item: object, place: object = 0, **fields: object) -> bytes:
    return event("output_item.added", item=item, output_index=place, **fields)


def done(item: object, place: object = 0, **fields: object) -> bytes:
    return event("output_item.done", item=item, output_index=place, **fields)


def arguments(delta: str, place: object = 0, id: str = "fc_a") -> bytes:
    """A piece of a call's arguments."""
    return event("function_call_arguments.delta", delta=delta, output_index=place, item_id=id)


def arguments_done(whole: object, place: object = 0, id: str = "fc_a") -> bytes:
    return event("function_call_arguments.done", arguments=whole, output_index=place, item_id=id)


def called(id: str, name: str, whole: str, place: int = 0) -> bytes:
    """All events of one call."""
    return (
        added(call(id, name), place)
        + arguments(whole, place, f"fc_{id}")
        + arguments_done(whole, place, f"fc_{id}")
        + done(call(id, name, whole, status="completed"), place)
    )


def usage(given: object, output: object, cached: int = 0, reasoned: int = 0) -> dict[str, object]:
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reasoned},
    }


def completed(*output: object, **fields: object) -> bytes:
    """The end of a whole answer."""
    return event(
        "completed", response={**RESPONSE, "status": "completed", "output": output, **fields}
    )


def incomplete(reason: object = "max_output_tokens", *output: object, **fields: object) -> bytes:
    details = None if reason is None else {"reason": reason}
    response = {"status": "incomplete", "incomplete_details": details, "output": output}
    return event("incomplete", response={**RESPONSE, **response, **fields})


def failed(error: object, **fields: object) -> bytes:
    response = {**RESPONSE, "status": "failed", "output": [], "error": error, **fields}
    return event("failed", response=response)


END = completed()
