"""The Responses decoder: tool calls, servers' own tools, and what goes back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.messages import Opaque, Text, ToolCall
from tests.providers.openai_responses.responses_bodies import (
    END,
    added,
    arguments,
    arguments_done,
    call,
    called,
    completed,
    done,
    event,
    incomplete,
    message,
    raw,
    reasoning,
    text,
)
from tests.providers.openai_responses.responses_decoding import (
    calls_of,
    opaque_of,
    turn_of,
)


def test_a_calls_id_is_its_call_id() -> None:
    assert calls_of(called("a", "f", '{"x":1}'), END) == [("a", "f", '{"x":1}')]


def test_a_call_id_that_another_call_has_is_replaced() -> None:
    first, second = calls_of(called("a", "f", '{"x":1}', 0), called("a", "g", '{"x":2}', 1), END)
    assert (first, second[1:]) == (("a", "f", '{"x":1}'), ("g", '{"x":2}'))
    assert second[0] not in ("a", "")


def test_parallel_calls_are_joined_by_their_place() -> None:
    body = (
        added(call("a", "f"), 0),
        added(call("b", "g"), 1),
        arguments('{"x":', 1, "fc_b"),
        arguments('{"y":', 0),
        arguments("1}", 1, "fc_b"),
        arguments("2}", 0),
        arguments_done('{"x":1}', 1, "fc_b"),
        arguments_done('{"y":2}', 0),
    )
    ended = completed(call("a", "f", '{"y":2}'), call("b", "g", '{"x":1}'))
    assert calls_of(*body, ended) == [("a", "f", '{"y":2}'), ("b", "g", '{"x":1}')]


@pytest.mark.parametrize(
    "body",
    [
        added(call("a", "f")) + arguments_done('{"x":1}'),
        added(call("a", "f")) + done(call("a", "f", '{"x":1}')),
        added(call("a", "f", '{"x":1}')),
        added(call("a", "f", '{"x":1}')) + arguments('{"x":') + arguments("1}"),
        added(call("a", "f")) + arguments('{"x":1}') + arguments_done('{"x":1}'),
        added(call("a", "f")),
        done(call("a", "f", '{"x":1}')),
        done(call("a", "f", {"x": 1})),
        arguments('{"x":1}') + done(call("a", "f", '{"x":1}')),
        arguments('{"x":') + arguments("1}"),
        arguments_done('{"x":1}'),
        added({"type": "function_call", "id": "fc_a", "name": "f"}) + arguments('{"x":1}'),
        added({"type": "function_call", "call_id": "a"}) + arguments('{"x":1}'),
        added(call("a", "f")) * 2 + arguments('{"x":1}'),
        b"",
    ],
)
def test_a_call_is_whole_wherever_its_pieces_come(body: bytes) -> None:
    assert calls_of(body, completed(call("a", "f", '{"x":1}'))) == [("a", "f", '{"x":1}')]


@pytest.mark.parametrize("given", ["", None, "{}"])
def test_empty_arguments_are_an_empty_object(given: object) -> None:
    assert calls_of(done(call("a", "f", given)), END) == [("a", "f", "{}")]


def test_arguments_that_are_no_json_stay_as_they_are() -> None:
    assert calls_of(called("a", "f", '{"x":'), END) == [("a", "f", '{"x":')]


def test_missing_ids_are_made_up_and_unique() -> None:
    made = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": None}
    ids = [id for id, _, _ in calls_of(done(made, 0), done(made, 1), END)]
    assert all(ids)
    assert len(set(ids)) == 2


def test_ids_and_names_that_come_again_do_not_overwrite() -> None:
    body = added(call("a", "f")) + arguments("{}") + done(call("b", "g", "{}"))
    assert calls_of(body, END) == [("a", "f", "{}")]


def test_text_before_and_between_calls_keeps_its_place() -> None:
    body = (text("one", 0), called("a", "f", "{}", 1), text("two", 2), END)
    parts = turn_of(*body).message.content
    assert parts == (Text("one"), ToolCall("a", "f", "{}"), Text("two"))


SERVER_TOOLS = [
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "x"}},
    {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "container_id": "c"},
    {"type": "file_search_call", "id": "fs_1", "queries": ["q"], "status": "completed"},
    {"type": "mcp_call", "id": "mcp_1", "name": "f", "arguments": "{}", "server_label": "s"},
    {"type": "mcp_list_tools", "id": "mcpl_1", "tools": [], "server_label": "s"},
    {"type": "image_generation_call", "id": "ig_1", "result": "iVBO"},
    {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"},
]


@pytest.mark.parametrize("item", SERVER_TOOLS)
def test_a_servers_own_tools_are_no_calls_and_their_items_are_kept(item: dict[str, Any]) -> None:
    body = (
        added({"type": item["type"], "id": item["id"], "status": "in_progress"}, 0),
        event("web_search_call.searching", output_index=0, item_id=item["id"]),
        event("mcp_call_arguments.delta", output_index=0, delta="{}"),
        event("mcp_call_arguments.done", output_index=0, arguments="{}"),
        done(item, 0),
        text("a", 1),
        completed(item, message("a")),
    )
    turn = turn_of(*body)
    assert (turn.text, turn.tool_calls, turn.finish_reason) == ("a", (), "stop")
    assert [json.loads(kept) for kept in opaque_of(*body)] == [item]


# --- what goes back -------------------------------------------------------------------------------


def test_reasoning_goes_back_byte_for_byte_and_before_what_followed_from_it() -> None:
    first = '{"id": "rs_1" ,"type":"reasoning","summary":[], "encrypted_content":"gA\\u00e9+/="}'
    second = '{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"é","x":1e400}'
    body = (
        added(reasoning("rs_1", encrypted_content="part"), 0),
        raw(f'{{"type":"response.output_item.done","output_index":0,"item":{first}}}'),
        called("a", "f", "{}", 1),
        raw(f'{{"type":"response.output_item.done","output_index":2,"item":{second}}}'),
        called("b", "g", "{}", 3),
    )
    turn = turn_of(*body, END)
    assert turn.message.content == (
        Opaque("acme", first),
        ToolCall("a", "f", "{}"),
        Opaque("acme", second),
        ToolCall("b", "g", "{}"),
    )


def test_an_item_that_comes_only_with_the_end_is_kept_as_it_is() -> None:
    item = '{"type":"reasoning", "id":"rs_9","summary":[]}'
    end = f'{{"type":"response.completed","response":{{"status":"completed","output":[{item}]}}}}'
    assert opaque_of(raw(end)) == [item]
    assert opaque_of(done(json.loads(item)), raw(end)) == [json.dumps(json.loads(item))]


def test_reasoning_that_was_cut_is_not_kept() -> None:
    cut = reasoning(encrypted_content="gA", status="incomplete")
    assert opaque_of(done(cut), incomplete("max_output_tokens", cut)) == []


def test_the_phase_of_a_message_is_kept() -> None:
    body = (
        text("thinking aloud", 0),
        done(message("thinking aloud", phase="commentary"), 0),
        text("so", 1),
        done(message("so", id="msg_2", phase="final_answer"), 1),
        END,
    )
    parts = turn_of(*body).message.content
    assert parts == (
        Text("thinking aloud"),
        Opaque("acme", '{"type":"message","phase":"commentary"}'),
        Text("so"),
        Opaque("acme", '{"type":"message","phase":"final_answer"}'),
    )
