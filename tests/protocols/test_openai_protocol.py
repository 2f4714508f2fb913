"""The wire of Chat Completions, server side: the laws, for any log, cut and joined anyhow."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from headrace import events as e
from headrace.errors import DeadlineExceeded, HeadraceError
from headrace.messages import Message
from headrace.protocols.openai_chat.encode import OpenAIChatEncoder
from headrace.runs.fold import fold
from headrace.runs.policies import join_deltas
from headrace.usage import Metrics, Receipt, Timing, Usage
from tests.protocols.openai_chunks import batches, encoded, frames, read, taken_back
from tests.strategies import PIECES, TEXT, Scribe, logs, of

ENDS = st.one_of(
    st.builds(e.Complete, st.just(0), st.just(0.0), st.just(""), finish_reason=st.sampled_from(
        ["stop", "length", "content_filter", "max_steps", "tool_calls"]
    ), usage=of(Usage), metrics=st.just(Metrics())),
    st.builds(e.Error, st.just(0), st.just(0.0), st.just(""), TEXT, TEXT, st.booleans(),
              st.just(Metrics())),
    st.builds(e.Cancelled, st.just(0), st.just(0.0), st.just(""), TEXT, of(Usage),
              st.just(Metrics()), st.just(Receipt())),
)  # fmt: skip

WORDS = {"max_steps": "length"}


@st.composite
def ended(draw: st.DrawFn) -> list[e.Event]:
    """A legal log with any end."""
    log = draw(logs(ended=False))
    end = draw(ENDS)
    fields = {name: getattr(end, name) for name in end.__struct_fields__}
    return [*log, type(end)(**{**fields, "seq": len(log) + 1, "at": log[-1].at})]


def start() -> Scribe:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "scripted:one")
    scribe.put(e.StepStart, 1, "scripted:one")
    return scribe


def complete(scribe: Scribe, reason: str = "stop", usage: Usage | None = None) -> list[e.Event]:
    scribe.put(e.Complete, reason, usage or Usage(3, 2), Metrics())
    return scribe.events


def expected_calls(log: Sequence[e.Event]) -> list[dict[str, Any]]:
    """The root agent's calls, in the order in which they are first heard of."""
    found: list[dict[str, Any]] = []
    step: dict[str, dict[str, Any]] = {}
    for event in log:
        if event.agent:
            continue
        if isinstance(event, e.StepStart):
            step = {}
        elif isinstance(event, e.ToolArgs | e.ToolStart):
            if event.call_id not in step:
                call = {"id": event.call_id, "name": event.name, "arguments": ""}
                step[event.call_id] = call
                found.append(call)
            if isinstance(event, e.ToolArgs):
                step[event.call_id]["arguments"] += event.delta
            elif not step[event.call_id]["arguments"]:
                step[event.call_id]["arguments"] = json.dumps(event.input, separators=(",", ":"))
    return found


@settings(max_examples=60)
@given(log=ended())
def test_a_stream_folds_to_what_the_log_folds_to(log: list[e.Event]) -> None:
    assume(not taken_back(log))
    seen, state = read(encoded(log, include_usage=True)), fold(log)
    assert seen.text == state.text
    assert seen.calls == expected_calls(log)
    tools = [tool for tool in state.tools if not tool.agent]
    assert Counter((c["id"], c["name"]) for c in seen.calls) == Counter(
        (t.call_id, t.name) for t in tools
    )
    said = [(t.call_id, t.error or t.output, t.error is not None) for t in tools]
    got = [(r["tool_call_id"], r["content"], r["is_error"]) for r in seen.results]
    assert Counter(got) == Counter(said)
    end = log[-1]
    if isinstance(end, e.Complete):
        assert seen.done
        assert seen.verbatim == end.finish_reason
        assert seen.finish == WORDS.get(end.finish_reason, end.finish_reason)
        assert seen.usage is not None
        assert seen.usage["prompt_tokens"] == end.usage.input
        assert seen.usage["completion_tokens"] == end.usage.output
        assert seen.usage["total_tokens"] == end.usage.total
        assert seen.usage["prompt_tokens_details"]["cached_tokens"] == end.usage.cached
        assert seen.usage["completion_tokens_details"]["reasoning_tokens"] == end.usage.reasoning
        assert seen.usage.get("headrace") == (None if end.usage.exact else {"exact": False})
    else:
        assert not seen.done
        assert seen.finish is None
        assert seen.usage is None
        assert seen.error is not None
        code = end.code if isinstance(end, e.Error) else "cancelled"
        assert seen.error["code"] == code


@given(log=logs())
def test_reasoning_that_stands_folds_too(log: list[e.Event]) -> None:
    assume(not any(isinstance(event, e.Retract) for event in log))
    assert read(encoded(log)).reasoning == fold(log).reasoning


@given(data=st.data(), log=ended(), include_usage=st.booleans())
def test_cuts_change_no_byte(data: st.DataObject, log: list[e.Event], include_usage: bool) -> None:
    encoder = OpenAIChatEncoder(include_usage=include_usage)
    pieces = [encoder.encode(batch) for batch in data.draw(batches(log))]
    assert b"".join(pieces) == encoded(log, include_usage=include_usage)


@given(data=st.data(), log=ended())
def test_joined_deltas_fold_the_same(data: st.DataObject, log: list[e.Event]) -> None:
    encoder = OpenAIChatEncoder()
    joined = b"".join(encoder.encode(join_deltas(b)) for b in data.draw(batches(log)))
    seen, whole = read(joined), read(encoded(log))
    seen.chunks, whole.chunks = [], []
    assert seen == whole


@given(data=st.data(), log=ended())
def test_a_fork_is_its_own(data: st.DataObject, log: list[e.Event]) -> None:
    at = data.draw(st.integers(0, len(log)))
    encoder = OpenAIChatEncoder()
    encoder.encode(log[:at])
    fork = encoder.fork()
    assert fork.key == encoder.key
    expected = fork.fork().encode(log[at:])
    assert encoder.encode(log[at:]) == expected
    assert fork.encode(log[at:]) == expected


@settings(max_examples=60)
@given(log=ended())
def test_withdrawn_text_ends_the_stream(log: list[e.Event]) -> None:
    assume(taken_back(log))
    seen = read(encoded(log))
    assert not seen.done
    assert seen.finish is None
    assert seen.error is not None
    assert seen.error["code"] == "withdrawn"
    assert "stream_truncated" in seen.error["message"]


@given(data=st.data(), log=logs(ended=False))
def test_a_failure_ends_the_stream_at_any_place(data: st.DataObject, log: list[e.Event]) -> None:
    encoder = OpenAIChatEncoder()
    before = encoder.encode(log[: data.draw(st.integers(0, len(log)))])
    whole = before + encoder.fail(DeadlineExceeded("gap", 60.0))
    seen = read(whole)
    assert not seen.done
    assert seen.finish is None
    assert seen.error is not None
    assert encoder.encode(complete(start())) == b""
    assert encoder.fail(HeadraceError("again")) == b""


@given(log=ended(), more=logs())
def test_nothing_follows_the_end(log: list[e.Event], more: list[e.Event]) -> None:
    assert encoded([*log, *more]) == encoded(log)
    encoder = OpenAIChatEncoder()
    encoder.encode(log)
    assert encoder.encode(more) == encoder.fail(HeadraceError("late")) == b""


NASTY = st.lists(
    PIECES
    | st.sampled_from(["\n", "\r", "\r\n\r\n", "\u2028", "\u2029", "\x85", "\0", "\x1e", "\ufeff"])
    | st.just("\n\ndata: [DONE]\n\n")
    | st.just('"}}]}\n\ndata: {"error":{"message":"no"}}\n\n'),
    min_size=1,
    max_size=6,
).map("".join)


@given(text=NASTY, name=NASTY, call_id=NASTY, run_id=NASTY)
def test_no_text_name_or_id_forges_a_frame(text: str, name: str, call_id: str, run_id: str) -> None:
    scribe = Scribe()
    scribe.put(e.RunStart, run_id, name, name)
    scribe.put(e.StepStart, 1, name)
    scribe.put(e.Token, text, 0)
    scribe.put(e.Thought, text)
    scribe.put(e.ToolArgs, call_id, name, text)
    scribe.put(e.ToolStart, call_id, name, text)
    scribe.put(e.ToolEnd, call_id, name, text, 1.0)
    data = encoded(complete(scribe))
    assert len(frames(data)) == 7
    seen = read(data)
    assert seen.text == seen.reasoning == text
    assert seen.calls == [{"id": call_id, "name": name, "arguments": text}]
    assert seen.results[0]["content"] == text
    assert seen.chunks[0]["id"] == f"chatcmpl-{run_id}"
    failed = OpenAIChatEncoder().fail(HeadraceError(text, hint=name))
    assert len(frames(failed)) == 1


def test_the_chunks_as_they_stand() -> None:
    scribe = start()
    scribe.put(e.Token, "Hi", 0)
    head = '{"id":"chatcmpl-run_x","object":"chat.completion.chunk","created":1000,"model":"me",'
    usage = (
        '{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,'
        '"prompt_tokens_details":{"cached_tokens":0},'
        '"completion_tokens_details":{"reasoning_tokens":0}}'
    )
    assert frames(encoded(complete(scribe), model="me", include_usage=True)) == [
        f'{head}"choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}],"usage":null}}'
        for delta, finish in (
            ('{"role":"assistant","content":""}', "null"),
            ('{"content":"Hi"}', "null"),
            ('{"headrace":{"finish_reason":"stop"}}', '"stop"'),
        )
    ] + [f'{head}"choices":[],"usage":{usage}}}', "[DONE]"]


def test_usage_comes_only_where_it_was_asked_for() -> None:
    log = complete(start())
    assert b"usage" not in encoded(log)
    assert b"usage" in encoded(log, include_usage=True)


def test_the_model_is_the_runs_own_by_default() -> None:
    assert read(encoded(complete(start()))).chunks[0]["model"] == "scripted:one"


def test_options_that_change_the_bytes_are_in_the_key() -> None:
    keys = {
        OpenAIChatEncoder(m, include_usage=u).key for m in (None, "a", "") for u in (False, True)
    }
    assert len(keys) == 6
    assert OpenAIChatEncoder("a").key == OpenAIChatEncoder("a").key


def test_a_second_call_with_the_same_id_in_one_step_is_shown_too() -> None:
    scribe = start()
    for value in (1, 2):
        scribe.put(e.ToolStart, "same", "look", {"at": value})
        scribe.put(e.ToolEnd, "same", "look", str(value), 1.0)
    log = complete(scribe)
    assert [call["arguments"] for call in read(encoded(log)).calls] == ['{"at":1}', '{"at":2}']
    assert len(fold(log).tools) == 2


def test_arguments_that_never_streamed_or_were_empty_come_with_the_start() -> None:
    scribe = start()
    scribe.put(e.ToolArgs, "a", "look", "")
    scribe.put(e.ToolStart, "a", "look", {})
    scribe.put(e.ToolStart, "b", "look", "{not json")
    calls = read(encoded(complete(scribe))).calls
    assert [call["arguments"] for call in calls] == ["{}", "{not json"]


def test_a_sub_agents_tools_and_text_are_left_out() -> None:
    scribe = start()
    scribe.put(e.ToolArgs, "a", "look", "{}", agent="helper")
    scribe.put(e.ToolStart, "a", "look", {}, agent="helper")
    scribe.put(e.ToolEnd, "a", "look", "seen", 1.0, agent="helper")
    scribe.put(e.Retract, 2, "guard", agent="helper")
    scribe.put(e.Token, "Hi", 0)
    seen = read(encoded(complete(scribe)))
    assert (seen.text, seen.calls, seen.results, seen.error) == ("Hi", [], [], None)
    assert seen.done


@pytest.mark.parametrize(
    "shown",
    [
        (e.Token, "Hi", 0),
        (e.ToolArgs, "a", "look", "{"),
        (e.ToolStart, "a", "look", {}),
    ],
)
def test_what_was_shown_cannot_be_withdrawn(shown: tuple[Any, ...]) -> None:
    scribe = start()
    scribe.put(*shown)
    scribe.put(e.Retract, 3, "recovered")
    scribe.put(e.StepStart, 1, "scripted:one")
    seen = read(encoded(complete(scribe)))
    assert seen.error is not None
    assert seen.error["code"] == "withdrawn"


def test_what_was_not_shown_can() -> None:
    scribe = start()
    scribe.put(e.Token, "Kept.", 0)
    scribe.put(e.StepEnd, 1, "tool_calls", Usage(), Timing(1.0), Message("assistant"))
    step = scribe.put(e.StepStart, 2, "scripted:one")
    scribe.put(e.Thought, "Hm.")
    scribe.put(e.Token, "", 0)
    scribe.put(e.Token, "noise", 0, agent="helper")
    scribe.put(e.Retract, step.seq + 1, "stream_truncated")
    scribe.put(e.StepStart, 2, "scripted:one")
    scribe.put(e.Token, " Whole.", 0)
    log = complete(scribe)
    seen = read(encoded(log))
    assert seen.text == fold(log).text == "Kept. Whole."
    assert seen.done


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("rate_limited", "rate_limit_error"),
        ("request_rejected", "invalid_request_error"),
        ("authentication_failed", "server_error"),
        ("stream_truncated", "server_error"),
        ("some_day", "server_error"),
    ],
)
def test_errors_are_of_a_kind(code: str, kind: str) -> None:
    scribe = start()
    scribe.put(e.Error, code, "No.", False, Metrics())
    assert read(encoded(scribe.events)).error == {
        "message": "No.",
        "type": kind,
        "param": None,
        "code": code,
    }


@pytest.mark.parametrize(
    ("reason", "message"),
    [("enough", "The run was cancelled: enough."), ("", "The run was cancelled.")],
)
def test_a_cancelled_run_is_no_answer(reason: str, message: str) -> None:
    scribe = start()
    scribe.put(e.Token, "Hi", 0)
    scribe.put(e.Cancelled, reason, Usage(), Metrics(), Receipt("Hi"))
    seen = read(encoded(scribe.events))
    assert seen.error is not None
    assert (seen.error["code"], seen.error["message"]) == ("cancelled", message)


def test_an_error_without_words_says_its_code() -> None:
    scribe = start()
    scribe.put(e.Error, "internal", "", False, Metrics())
    error = read(encoded(scribe.events)).error
    assert error is not None
    assert error["message"] == "internal"


def test_an_error_with_half_a_character_can_be_told() -> None:
    data = OpenAIChatEncoder().fail(HeadraceError("a\ud83d", hint="Look."))
    error = read(data).error
    assert error is not None
    assert error["message"] == "a? Look."
