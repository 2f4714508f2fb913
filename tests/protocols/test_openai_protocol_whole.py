"""Whole answers and errors of Chat Completions, as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings

from headrace import events as e
from headrace.errors import HeadraceError
from headrace.protocols.openai_chat.errors import (
    error_body,
    error_json,
    status_of_code,
    type_of_status,
)
from headrace.protocols.openai_chat.whole import completion, model_entry, whole_answer
from headrace.runs.fold import RunState, fold
from headrace.usage import Metrics, Receipt, Usage
from tests.protocols.openai_chunks import encoded, read, taken_back
from tests.strategies import Scribe, logs


def run(*end: Any) -> RunState:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "scripted:one")
    scribe.put(e.StepStart, 1, "scripted:one")
    scribe.put(e.Token, "Hi", 0)
    if end:
        scribe.put(*end)
    return fold(scribe.events)


@settings(max_examples=50)
@given(log=logs())
def test_it_is_what_the_chunks_fold_to(log: list[e.Event]) -> None:
    assume(not taken_back(log))
    answer = completion(fold(log), created=log[0].at)
    seen = read(encoded(log, include_usage=True))
    [choice] = answer["choices"]
    message = choice["message"]
    assert message["content"] == seen.text
    assert choice["finish_reason"] == seen.finish
    assert message["headrace"]["finish_reason"] == seen.verbatim
    assert answer["usage"] == seen.usage
    calls = [(call["id"], call["function"]["name"]) for call in message.get("tool_calls", ())]
    assert sorted(calls) == sorted((call["id"], call["name"]) for call in seen.calls)
    assert {key: answer[key] for key in ("id", "created", "model")} == {
        key: seen.chunks[0][key] for key in ("id", "created", "model")
    }


def test_it_withdraws_what_was_withdrawn() -> None:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "scripted:one")
    for text in ("Bad.", "Good."):
        scribe.put(e.StepStart, 1, "scripted:one")
        scribe.put(e.Token, text, 0)
        if text == "Bad.":
            scribe.put(e.Retract, 3, "guard")
    scribe.put(e.Complete, "stop", Usage(), Metrics())
    answer = json.loads(whole_answer(fold(scribe.events), created=1000.0).body)
    assert answer["choices"][0]["message"]["content"] == "Good."


def test_a_sub_agents_calls_are_left_out() -> None:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "scripted:one")
    scribe.put(e.ToolStart, "a", "look", {}, agent="helper")
    scribe.put(e.ToolEnd, "a", "look", "seen", 1.0, agent="helper")
    scribe.put(e.Complete, "stop", Usage(), Metrics())
    message = completion(fold(scribe.events), created=0)["choices"][0]["message"]
    assert message == {
        "role": "assistant",
        "content": "",
        "refusal": None,
        "headrace": {"finish_reason": "stop"},
    }


def test_the_model_can_be_named() -> None:
    state = run(e.Complete, "stop", Usage(), Metrics())
    assert completion(state, created=0)["model"] == "scripted:one"
    assert completion(state, created=0, model="assistant")["model"] == "assistant"


def test_out_of_steps_is_cut_short() -> None:
    [choice] = completion(run(e.Complete, "max_steps", Usage(), Metrics()), created=0)["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["headrace"] == {"finish_reason": "max_steps"}


@pytest.mark.parametrize(
    ("end", "status", "code"),
    [
        ((e.Error, "usage", "No images here.", False, Metrics()), 400, "usage"),
        ((e.Error, "rate_limited", "Slower.", True, Metrics()), 429, "rate_limited"),
        ((e.Error, "deadline_exceeded", "Too long.", True, Metrics()), 504, "deadline_exceeded"),
        ((e.Error, "internal", "", False, Metrics()), 500, "internal"),
        ((e.Cancelled, "stop", Usage(), Metrics(), Receipt()), 499, "cancelled"),
        ((), 500, "internal"),
    ],
)
def test_a_run_that_did_not_end_well_is_an_error(
    end: tuple[Any, ...], status: int, code: str
) -> None:
    answer = whole_answer(run(*end), created=0)
    assert answer.status == status
    assert answer.headers == (("x-should-retry", "false"),)
    error = json.loads(answer.body)["error"]
    assert error["code"] == code
    assert error["message"]
    assert b"Hi" not in answer.body


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "invalid_request_error"),
        (413, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
def test_the_kind_of_an_error_goes_by_its_status(status: int, kind: str) -> None:
    assert type_of_status(status) == kind
    assert json.loads(error_json("x", "m", status))["error"]["type"] == kind


def test_an_error_of_ours() -> None:
    error = HeadraceError("It broke.", hint="Mend it.")
    assert json.loads(error_body(error, 500)) == {
        "error": {
            "message": "It broke. Mend it.",
            "type": "server_error",
            "param": None,
            "code": "internal",
        }
    }


def test_the_servers_own_trouble_is_never_the_clients() -> None:
    assert status_of_code("authentication_failed") >= 500
    assert status_of_code("configuration") >= 500


def test_one_model() -> None:
    assert model_entry("a", 1.9) == {
        "id": "a",
        "object": "model",
        "created": 1,
        "owned_by": "headrace",
    }
