"""Events: the words of the contract, their JSON and its schema."""

from __future__ import annotations

import json
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import events
from headrace.events import Event, StepEnd, decode, encode, schema, type_of
from headrace.messages import Message, Opaque
from headrace.usage import Metrics, Receipt, Timing, Usage
from tests.strategies import EVENTS, KINDS, TEXT

# DESIGN §3.1: the fields of each word, besides seq, at and agent; `?` marks one that may miss.
WORDS = {
    "run_start": "run_id agent_name model session? parent?",
    "step_start": "step model",
    "thought": "content",
    "token": "content index",
    "tool_args": "call_id name delta",
    "step_end": "step finish_reason usage timing message model?",
    "tool_start": "call_id name input",
    "tool_progress": "call_id content",
    "tool_end": "call_id name output error? duration_ms",
    "agent_start": "name task",
    "agent_end": "name output error? duration_ms",
    "partial": "value",
    "approval_needed": "call_id name input",
    "approval": "call_id approved by? reason? input?",
    "input": "content",
    "retract": "since reason",
    "warning": "code message",
    "answer": "content",
    "complete": "finish_reason usage metrics output?",
    "error": "code message retryable usage? metrics",
    "cancelled": "reason usage metrics receipt",
}
FINISH_REASONS = "stop length tool_calls content_filter max_steps error cancelled".split()
FIELDS = {
    Usage: "input output cached reasoning exact",
    Metrics: "time_to_first_token_ms duration_ms chunks chars tokens_per_second "
    "gap_ms_p50 gap_ms_p99 held_ms",
    Timing: "duration_ms first_content_ms held_ms",
    Receipt: "content tools upstream_closed_ms",
}
VALIDATOR = jsonschema.Draft202012Validator(schema())
EXAMPLE = {"type": "token", "seq": 1, "at": 2.5, "agent": "", "content": "a", "index": 0}


def example(**changes: Any) -> str:
    return json.dumps({**EXAMPLE, **changes})


def test_the_tags_are_the_words_of_the_contract() -> None:
    assert [str(kind.__struct_config__.tag) for kind in KINDS] == list(WORDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_fields_of_each_event(kind: type[Event]) -> None:
    fields = [f for f in msgspec.structs.fields(kind) if f.name not in Event.__struct_fields__]
    told = {field.name + ("" if field.required else "?") for field in fields}
    assert told == set(WORDS[str(kind.__struct_config__.tag)].split())
    assert kind.__struct_fields__[:3] == ("seq", "at", "agent")
    assert kind.__doc__


@pytest.mark.parametrize(
    ("kind", "names"), FIELDS.items(), ids=lambda v: getattr(v, "__name__", "")
)
def test_the_fields_of_what_events_hold(kind: type[msgspec.Struct], names: str) -> None:
    assert list(kind.__struct_fields__) == names.split()


@given(EVENTS)
def test_an_event_survives_its_json(event: Event) -> None:
    line = encode(event)
    assert decode(line) == event
    assert b"\n" not in line
    assert b"\r" not in line
    assert json.loads(line)["type"] == type_of(event)
    assert list(json.loads(line))[:4] == ["type", "seq", "at", "agent"]


@settings(max_examples=60)
@given(EVENTS)
def test_the_schema_takes_every_event(event: Event) -> None:
    VALIDATOR.validate(json.loads(encode(event)))


def test_the_schema_is_a_schema_and_describes_each_word() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema()["discriminator"]["mapping"]) == set(WORDS)


BAD = [
    {"type": "nothing_like_it"},
    {"seq": "1"},
    {"seq": None},
    {"content": 5},
    {"index": 1.5},
    {"type": "complete"},
    {"type": "step_end", "step": 1, "finish_reason": "because"},
]


@pytest.mark.parametrize("changes", BAD, ids=str)
def test_what_is_no_event_is_refused(changes: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid({**EXAMPLE, **changes})
    with pytest.raises(msgspec.ValidationError):
        decode(example(**changes))


@pytest.mark.parametrize("missing", EXAMPLE)
def test_each_field_of_a_token_is_needed(missing: str) -> None:
    value = {name: value for name, value in EXAMPLE.items() if name != missing}
    assert not VALIDATOR.is_valid(value)
    with pytest.raises(msgspec.ValidationError):
        decode(json.dumps(value))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"token"', "{}"])
def test_what_is_no_object_with_a_type_is_refused(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(text)


def test_a_part_that_refuses_its_fields_makes_the_event_unreadable() -> None:
    usage = {"input": 1, "output": 1, "cached": 0, "reasoning": 0, "exact": True}
    message = {"role": "assistant", "content": [{"type": "image"}]}
    step_end = example(
        type="step_end",
        step=1,
        finish_reason="stop",
        usage=usage,
        timing={"duration_ms": 1.0},
        message=message,
    )
    with pytest.raises(msgspec.ValidationError, match="either url= or data="):
        decode(step_end)


@given(st.dictionaries(TEXT.filter(lambda name: name not in EXAMPLE), TEXT, max_size=3))
def test_unknown_fields_are_skipped(more: dict[str, str]) -> None:
    assert decode(example(**more)) == events.Token(1, 2.5, "", "a", 0)


def test_optional_fields_stay_out_of_the_json_when_not_told() -> None:
    start = events.RunStart(1, 2.0, "", "run_1", "assistant", "demo")
    assert set(json.loads(encode(start))) == {
        *("type", "seq", "at", "agent", "run_id", "agent_name", "model"),
    }


def test_the_finish_reasons() -> None:
    assert list(get_args(events.FinishReason)) == FINISH_REASONS


def test_events_cannot_be_changed() -> None:
    token = events.Token(1, 2.0, "", "a", 0)
    with pytest.raises(AttributeError):
        token.content = "b"  # type: ignore[misc]


def test_opaque_items_go_through_an_event_byte_for_byte() -> None:
    item = '{"signature" : "a\\u00e9/\\/+==",\r\n "n":1.0e5}'
    end = StepEnd(
        1, 1.0, "", 1, "stop", Usage(), Timing(1.0), Message.assistant(Opaque("anthropic", item))
    )
    back = decode(encode(end))
    assert isinstance(back, StepEnd)
    assert back.message.content == (Opaque("anthropic", item),)
