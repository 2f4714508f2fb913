"""The Responses decoder: text and reasoning, told once wherever they come."""

from __future__ import annotations

import pytest

from headrace.models.deltas import Finish, TextDelta
from tests.providers.openai_responses.responses_bodies import (
    END,
    added,
    called,
    completed,
    created,
    done,
    event,
    message,
    raw,
    reasoning,
    summary,
    text,
    thinking,
)
from tests.providers.openai_responses.responses_decoding import (
    decode,
    said,
    turn_of,
    whole,
)


def test_a_text_that_comes_in_four_places_counts_once() -> None:
    assert said(whole("Hel", "lo")) == ("Hello", "stop")


def test_each_piece_of_text_is_a_delta_of_its_own() -> None:
    deltas = decode([text("a") + text("") + text("b") + END])
    assert deltas == [TextDelta("a"), TextDelta("b"), Finish("stop", "completed")]


DONES = [
    event("output_text.done", output_index=0, content_index=0, text="ab"),
    event(
        "content_part.done",
        output_index=0,
        content_index=0,
        part={"type": "output_text", "text": "ab"},
    ),
    done(message("ab")),
]


@pytest.mark.parametrize("body", DONES)
def test_text_that_comes_only_when_it_is_done_counts_once(body: bytes) -> None:
    assert said(body, body, *DONES, completed(message("ab"))) == ("ab", "stop")


def test_text_that_comes_only_with_the_end_counts() -> None:
    assert said(created(), completed(message("a", "b"), message("c", id="2"))) == ("abc", "stop")


def test_several_parts_and_messages_count_once_each() -> None:
    body = (
        text("a", 0, 0),
        text("b", 0, 1),
        text("c", 2, 0),
        text("d", 2, 0),
        event("output_text.done", output_index=0, content_index=1, text="b"),
        done(message("a", "b"), 0),
        done(message("cd", "e", id="msg_2"), 2),
        completed(message("a", "b"), reasoning(), message("cd", "e", id="msg_2")),
    )
    assert said(*body) == ("abcde", "stop")


def test_a_server_without_places_is_understood_by_its_ids() -> None:
    """llama.cpp's stream."""
    item = message("Hello", id="x")
    body = (
        event("output_item.added", item=message(id="x")),
        event("output_text.delta", item_id="x", delta="Hel"),
        event("output_text.delta", item_id="x", delta="lo"),
        event("output_text.done", item_id="x", text="Hello"),
        event("content_part.done", item_id="x", part={"type": "output_text", "text": "Hello"}),
        event("output_item.done", item=item),
        completed(item),
    )
    assert said(*body) == ("Hello", "stop")


def test_a_server_with_neither_places_nor_ids_is_understood() -> None:
    item = {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}
    body = (
        event("output_text.delta", delta="Hel"),
        event("output_text.delta", delta="lo"),
        event("output_text.done", text="Hello"),
        event("output_item.done", item=item),
        completed(reasoning(), item),
    )
    assert said(*body) == ("Hello", "stop")


def test_ids_that_change_with_each_event_do_not_matter() -> None:
    body = (
        added(message(id="1")),
        event("output_text.delta", output_index=0, content_index=0, item_id="2", delta="a"),
        event("output_text.delta", output_index=0, content_index=0, item_id="3", delta="b"),
        event("output_text.done", output_index=0, content_index=0, item_id="4", text="ab"),
        done(message("ab", id="5")),
        completed(message("ab", id="6")),
    )
    assert said(*body) == ("ab", "stop")


def test_a_server_that_gives_every_item_the_place_0_is_understood() -> None:
    body = (
        summary("hm", 0),
        done(reasoning(summary="hm"), 0),
        added(message(id="1"), 0),
        text("a", 0),
        done(message("a", id="1"), 0),
        added(message(id="2"), 0),
        text("b", 0),
        done(message("b", id="2"), 0),
        called("a", "f", "{}", 0),
        called("b", "g", '{"x":1}', 0),
        END,
    )
    turn = turn_of(*body)
    assert (turn.reasoning, turn.text) == ("hm", "ab")
    assert [made.arguments for made in turn.tool_calls] == ["{}", '{"x":1}']


def test_types_may_stand_in_the_events_name_alone() -> None:
    body = raw('{"delta":"a","output_index":0}', "response.output_text.delta")
    assert said(body, raw('{"response":{"status":"completed"}}', "response.completed")) == (
        "a",
        "stop",
    )


def test_types_may_stand_in_the_data_alone() -> None:
    lines = (line for line in whole("a", "b").split(b"\n") if not line.startswith(b"event"))
    assert said(b"\n".join(lines)) == ("ab", "stop")


@pytest.mark.parametrize(
    "body",
    [
        event("in_progress", response={"status": "in_progress"}),
        event("queued", response={"status": "queued"}),
        event("output_text.annotation.added", annotation={"type": "url_citation"}),
        event("whatever.comes.next", delta="no", text="no"),
        event("audio.delta", delta="no"),
        event("audio.transcript.delta", delta="no"),
        event("code_interpreter_call_code.delta", delta="no", output_index=0),
        event("mcp_call_arguments.delta", delta="no", output_index=0),
        event("custom_tool_call_input.delta", delta="no", output_index=0),
        event("content_part.added", output_index=0, part={"type": "output_text", "text": ""}),
        event("output_item.added", item=None),
        event("output_item.added", item=7, output_index=0),
        event("output_item.done"),
        raw('{"type":"keepalive","sequence_number":3,"message":"still here"}', "keepalive"),
        raw('{"type":"ping"}', "ping"),
        raw("keep me alive", "ping"),
        raw(""),
        raw("null"),
        raw("{}"),
        b": a comment\n\n",
        b"retry: 10\nid: 7\n\n",
    ],
)
def test_events_without_anything_for_us_are_skipped(body: bytes) -> None:
    assert said(body, text("a"), body, text("b"), body, END) == ("ab", "stop")


def test_unknown_fields_are_skipped() -> None:
    assert said(text("a", logprobs=[{"x": 1}], obfuscation="xyz"), END) == ("a", "stop")


def test_a_refusals_words_reach_the_caller_once() -> None:
    part = {"type": "refusal", "refusal": "I cannot."}
    body = (
        event("refusal.delta", delta="I can", output_index=0, content_index=0),
        event("refusal.delta", delta="not.", output_index=0, content_index=0),
        event("refusal.done", refusal="I cannot.", output_index=0, content_index=0),
        event("content_part.done", part=part, output_index=0, content_index=0),
        done(message(content=[part])),
        completed(message(content=[part])),
    )
    assert said(*body) == ("I cannot.", "stop")
    assert said(*body[2:]) == ("I cannot.", "stop")
    assert said(*body[-1:]) == ("I cannot.", "stop")


@pytest.mark.parametrize(
    "body",
    [
        text("a").replace(b'"output_index": 0', b'"output_index": "0"'),
        text("a", part={"x": 1}),
        text("a", sequence_number="7"),
        event("output_text.delta", delta="a", item_id=7, output_index=1.5),
        event("output_text.delta", delta={"text": "no"}) + text("a"),
        event("output_text.done", text=["no"]) + text("a"),
        event("output_text.delta", delta=None) + text("a"),
        event("completed_not", response="no") + text("a"),
        event("created", response=[1]) + text("a"),
        event("created", response={"id": 7, "output": "none", "usage": "none"}) + text("a"),
        event("content_part.done", part="no", output_index=0) + text("a"),
        done({"type": "message", "content": "no"}) + text("a"),
        done({"type": "reasoning", "summary": "no", "content": [7, None, {"text": 3}]}) + text("a"),
        done({"type": ["no"]}) + text("a"),
        added({"type": "function_call"} | {"type": 7}) + text("a"),
    ],
)
def test_a_wrong_type_in_one_field_does_not_kill_the_stream(body: bytes) -> None:
    assert said(body, text("."), END) == ("a.", "stop")


def test_lone_surrogates_become_something_that_utf8_encodes() -> None:
    odd = b'data: {"type":"response.output_text.delta","output_index":0,"delta":"a\\ud83dz"}\n\n'
    body, _ = said(odd, text("\U0001f30a"), END)
    assert body == "a\ufffdz\U0001f30a"
    item = b'{"type":"message","content":[{"type":"output_text","text":"a\\ud83d"}]}'
    wrapped = b'data: {"type":"response.output_item.done","item":' + item + b"}\n\n"
    assert said(wrapped, END) == ("a\ufffd", "stop")


def test_invalid_utf8_and_raw_controls_are_taken() -> None:
    body = b'data: {"type":"response.output_text.delta","delta":"a\xffb\tc"}\n\n'
    assert said(body, END) == ("a\ufffdb\tc", "stop")


# --- reasoning ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        summary("h") + summary("m"),
        thinking("h") + thinking("m"),
        event("reasoning.delta", delta="h", output_index=0)
        + event("reasoning.delta", delta="m", output_index=0)
        + event("reasoning.done", text="hm", output_index=0),
        summary("h") + thinking("h") + summary("m") + thinking("m"),
        thinking("hm") + event("reasoning_summary_text.done", text="hm", output_index=0),
        event("reasoning_summary_text.done", text="hm", output_index=0, summary_index=0),
        event("reasoning_text.done", text="hm", output_index=0, content_index=0),
        event(
            "reasoning_summary_part.done",
            output_index=0,
            summary_index=0,
            part={"type": "summary_text", "text": "hm"},
        ),
        event(
            "content_part.done",
            output_index=0,
            content_index=0,
            part={"type": "reasoning_text", "text": "hm"},
        ),
        done(reasoning(content=[{"type": "reasoning_text", "text": "hm"}])),
        b"",
    ],
)
def test_reasoning_told_under_several_names_counts_once(body: bytes) -> None:
    item = reasoning(summary="hm", content=[{"type": "reasoning_text", "text": "hm"}])
    turn = turn_of(body, done(item), text("a", 1), completed(item, message("a")))
    assert (turn.reasoning, turn.text, turn.finish_reason) == ("hm", "a", "stop")


def test_several_summaries_are_joined_in_order() -> None:
    item = reasoning()
    item["summary"] = [{"type": "summary_text", "text": word} for word in ("one", "two")]
    body = (summary("on", 0, 0), summary("e", 0, 0), summary("two", 0, 1), done(item))
    assert turn_of(*body, END).reasoning == "onetwo"
    assert turn_of(done(item), END).reasoning == "onetwo"
