"""The chat page's `Timeline`: where a run's events go, and that its text is the fold's (law 10)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from headrace import events as e
from headrace.messages import Message, Text, ToolCall
from headrace.runs.fold import Folder, fold
from headrace.runs.policies import join_deltas
from headrace.usage import Metrics, Timing, Usage
from tests.server.pages.test_js_fold import RETRACTS, Log, collected, numbered, written
from tests.strategies import EVENTS, Scribe, logs
from tests.support.node import run_node

Part = dict[str, Any]


async def followed(*inputs: Log) -> list[Any]:
    """What the page makes of each log."""
    lines = [b"[%b]" % b",".join(map(e.encode, log)) for log in inputs]
    out = await run_node("chat_timeline.mjs", stdin=b"\n".join(lines))
    return [json.loads(line) for line in out.split("\n")[:-1]]


async def answer_of(scribe: Scribe) -> dict[str, Any]:
    """The answer that these events make."""
    (told,) = await followed(scribe.events)
    answer: dict[str, Any] = told["answer"]
    return answer


def of_kind(parts: list[Part], kind: str) -> Iterator[Part]:
    """The parts of a kind, also within agents."""
    for part in parts:
        if part["kind"] == kind:
            yield part
        if part["kind"] == "agent":
            yield from of_kind(part["parts"], kind)


def shown(answer: dict[str, Any]) -> list[tuple[str, ...]]:
    """Kind and words of each part, in order."""
    said = ("text", "message", "output", "name")
    return [
        (part["kind"], next(str(part[word]) for word in said if part.get(word)))
        for part in answer["parts"]
    ]


async def test_its_text_is_the_folds_on_the_whole_way() -> None:
    inputs = [
        *collected(logs(), 100),
        *collected(logs(ended=False), 40),
        *map(join_deltas, collected(logs(), 40)),
        *collected(RETRACTS.map(written), 120),
        *collected(st.lists(EVENTS, max_size=25).map(numbered), 200),
    ]
    assert {type(event) for log in inputs for event in log} >= {e.Retract, e.Token, e.Input}
    for log, told in zip(inputs, await followed(*inputs), strict=True):
        folder = Folder()
        for event, text in zip(log, told["texts"], strict=True):
            folder.add(event)
            assert text == folder.state().text
        root = [part for part in told["answer"]["parts"] if part["kind"] == "reasoning"]
        assert "".join(part["text"] for part in root) == fold(log).reasoning
        assert told["kept"]
        assert told["frozen"]


async def test_its_calls_are_the_folds() -> None:
    inputs = [*collected(logs(), 60), *collected(RETRACTS.map(written), 60)]
    for log, told in zip(inputs, await followed(*inputs), strict=True):
        cards = [card for card in of_kind(told["answer"]["parts"], "tool") if card["written"]]
        expected = [
            (tool.call_id, tool.output if tool.error is None else tool.error, tool.error is None)
            for tool in fold(log).tools
        ]
        found = [(card["callId"], card["output"], card["state"] == "done") for card in cards]
        assert sorted(found) == sorted(expected)


async def test_parts_stand_in_the_order_in_which_they_came() -> None:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_1", "assistant", "scripted:one")
    scribe.put(e.StepStart, 1, "scripted:one")
    for thought in ("I should ", "look."):
        scribe.put(e.Thought, thought)
    scribe.put(e.Token, "Let me look. ", 0)
    scribe.put(e.ToolArgs, "call_1", "look", '{"where": ')
    scribe.put(e.ToolArgs, "call_1", "look", '"here"}')
    scribe.put(e.StepEnd, 1, "tool_calls", Usage(1, 1), Timing(1.0), Message("assistant"))
    scribe.put(e.ToolStart, "call_1", "look", {"where": "here", "deep": [1]})
    scribe.put(e.ToolProgress, "call_1", "half")
    scribe.put(e.Warn, "slow", "It is slow.")
    scribe.put(e.ToolEnd, "call_1", "look", "a coin", 12.5, None)
    scribe.put(e.StepStart, 2, "scripted:one")
    scribe.put(e.Token, "A coin.", 0)
    told = await answer_of(scribe)
    assert shown(told) == [
        ("reasoning", "I should look."),
        ("text", "Let me look. "),
        ("tool", "a coin"),
        ("warning", "It is slow."),
        ("text", "A coin."),
    ]
    assert told["parts"][0]["ms"] == 250  # two events, an eighth of a second apart
    assert told["parts"][2] == {
        "kind": "tool",
        "key": "6",
        "callId": "call_1",
        "name": "look",
        "args": '{"where": "here", "deep": [1]}',
        "state": "done",
        "written": True,
        "progress": "half",
        "output": "a coin",
        "ms": 12.5,
    }
    assert (told["state"], told["model"]) == ("running", "scripted:one")


async def test_arguments_show_as_they_are_written() -> None:
    scribe = Scribe()
    for piece in ('{"x"', ": 1"):
        scribe.put(e.ToolArgs, "c", "look", piece)
    (card,) = (await answer_of(scribe))["parts"]
    assert (card["args"], card["written"], card["state"]) == ('{"x": 1', False, "running")
    scribe.put(e.ToolStart, "c", "look", "{no json")
    (card,) = (await answer_of(scribe))["parts"]
    assert (card["args"], card["written"]) == ("{no json", True)


async def test_an_id_that_comes_again_is_another_call() -> None:
    scribe = Scribe()
    for output in ("one", "two"):
        scribe.put(e.ToolArgs, "c", "look", "{}")
        scribe.put(e.ToolStart, "c", "look", {})
        scribe.put(e.ToolEnd, "c", "look", output, 1.0, None)
    parts = (await answer_of(scribe))["parts"]
    assert [part["output"] for part in parts] == ["one", "two"]
    assert len({part["key"] for part in parts}) == 2


async def test_an_agent_below_has_a_box_of_its_own() -> None:
    scribe = Scribe()
    scribe.put(e.Token, "Before. ", 0)
    scribe.put(e.AgentStart, "looker", "Look for it", agent="looker")
    scribe.put(e.Token, "I look", 0, agent="looker")
    scribe.put(e.Token, "Beside. ", 1)
    scribe.put(e.Token, "deep", 0, agent="looker/digger")
    scribe.put(e.ToolStart, "c", "dig", {}, agent="looker/digger")
    scribe.put(e.ToolEnd, "c", "dig", "", 1.0, "broken", agent="looker/digger")
    scribe.put(e.AgentEnd, "looker", "Found", 5.0, None, agent="looker")
    scribe.put(e.AgentStart, "looker", "Again", agent="looker")
    told = await answer_of(scribe)
    _, first, beside, second = told["parts"]
    assert beside["text"] == "Beside. "
    assert (first["task"], first["state"], first["output"], first["ms"]) == (
        *("Look for it", "done", "Found"),
        5.0,
    )
    own, digger = first["parts"]
    assert (own["text"], digger["name"], digger["parts"][0]["text"]) == ("I look", "digger", "deep")
    assert (digger["parts"][1]["state"], digger["parts"][1]["output"]) == ("error", "broken")
    assert (second["task"], second["state"], second["parts"]) == ("Again", "running", [])


async def test_what_is_said_into_a_run_does_not_tear_the_steps_words() -> None:
    scribe = Scribe()
    scribe.put(e.StepStart, 1, "scripted:one")
    scribe.put(e.Token, "One mo", 0)
    scribe.put(e.Input, "Hurry!")
    scribe.put(e.Token, "ment.", 1)
    assert shown(await answer_of(scribe)) == [("text", "One moment."), ("input", "Hurry!")]
    scribe.put(e.StepStart, 2, "scripted:one")
    scribe.put(e.Token, "Yes.", 0)
    assert shown(await answer_of(scribe)) == [
        ("text", "One moment."),
        ("input", "Hurry!"),
        ("text", "Yes."),
    ]


async def test_an_approval_is_asked_decided_or_over() -> None:
    scribe = Scribe()
    for call in "abc":
        scribe.put(e.ApprovalNeeded, call, "delete", {"path": call})
    scribe.put(e.Approval, "a", True, "ann", None)
    scribe.put(e.Approval, "b", False, None, "no")
    parts = (await answer_of(scribe))["parts"]
    assert [part["state"] for part in parts] == ["approved", "denied", "waiting"]
    assert (parts[0]["by"], parts[1]["reason"]) == ("ann", "no")
    scribe.put(e.Error, "stalled", "It stalled.", True, Metrics())
    told = await answer_of(scribe)
    assert told["parts"][2]["state"] == "over"
    assert told["problem"] == {"code": "stalled", "message": "It stalled.", "retryable": True}


async def test_an_agent_whose_start_was_not_seen_is_over_with_the_run() -> None:
    scribe = Scribe()
    scribe.put(e.Token, "deep", 0, agent="looker")
    (looker,) = (await answer_of(scribe))["parts"]
    assert (looker["name"], looker["state"]) == ("looker", "running")
    scribe.put(e.Complete, "stop", Usage(1, 2), Metrics())
    (looker,) = (await answer_of(scribe))["parts"]
    assert looker["state"] == "done"


async def test_a_call_that_never_ran_says_so_at_the_end() -> None:
    scribe = Scribe()
    scribe.put(e.ToolArgs, "c", "look", "{")
    scribe.put(e.Complete, "length", Usage(1, 2), Metrics(0.5))
    told = await answer_of(scribe)
    (card,) = told["parts"]
    assert (card["state"], card["output"]) == ("error", "It did not run.")
    assert (told["state"], told["finishReason"]) == ("complete", "length")
    assert (told["metrics"]["time_to_first_token_ms"], told["usage"]["output"]) == (0.5, 2)


async def test_it_waits_until_something_is_said() -> None:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_1", "assistant", "scripted:one")
    scribe.put(e.StepStart, 1, "scripted:one")
    scribe.put(e.Warn, "slow", "It is slow.")
    assert (await answer_of(scribe))["state"] == "waiting"
    scribe.put(e.Thought, "Hm")
    assert (await answer_of(scribe))["state"] == "running"


async def test_a_kind_of_event_that_is_not_known_yet_is_passed_over() -> None:
    scribe = Scribe()
    scribe.put(e.Token, "a", 0)
    (known,) = map(e.encode, scribe.events)
    later = b'{"type":"later","seq":2,"at":1.0,"agent":"","content":"b"}'
    out = await run_node("chat_timeline.mjs", stdin=b"[%b,%b]" % (known, later))
    assert json.loads(out)["texts"] == ["a", "a"]


async def test_a_stored_answer_and_its_log_have_the_same_parts() -> None:
    """So that nothing moves on the page when the log has come: see `measured`."""
    scribe = Scribe()
    scribe.put(e.StepStart, 1, "scripted:one")
    scribe.put(e.Thought, "Hm")
    scribe.put(e.Token, "Let me look.", 0)
    call = ToolCall("c", "look", '{"x":1}')
    said = Message.assistant(Text("Let me look."), call)
    scribe.put(e.StepEnd, 1, "tool_calls", Usage(1, 1), Timing(1.0), said)
    scribe.put(e.ToolStart, "c", "look", {"x": 1})
    scribe.put(e.ToolEnd, "c", "look", "a coin", 2.0, None)
    scribe.put(e.StepStart, 2, "scripted:one")
    scribe.put(e.Token, "A coin.", 0)
    told = await answer_of(scribe)
    stored: list[Part] = [
        {"kind": "reasoning", "key": "m1.0", "text": "Hm", "ms": None},
        {"kind": "text", "key": "m1.1", "text": "Let me look."},
        {"kind": "tool", "key": "m1.2", "callId": "c", "name": "look", "args": '{"x": 1}'},
        {"kind": "text", "key": "m3.0", "text": "A coin."},
    ]
    line = json.dumps(["conversation", "measured", {"parts": stored}, told]).encode()
    answer = json.loads(await run_node("chat_calls.mjs", stdin=line))
    assert [part["key"] for part in answer["parts"]] == [part["key"] for part in stored]
    assert answer["parts"][2]["ms"] == 2.0
    assert answer["parts"][2]["args"] == stored[2]["args"]


async def test_what_an_agent_two_floors_below_says_is_shown_at_once() -> None:
    scribe = Scribe()
    scribe.put(e.AgentStart, "looker", "Look", agent="looker")
    scribe.put(e.AgentStart, "digger", "Dig", agent="looker/digger")
    for piece in ("de", "ep"):
        scribe.put(e.Token, piece, 0, agent="looker/digger")
    ((digger,),) = [part["parts"] for part in (await answer_of(scribe))["parts"]]
    assert [part["text"] for part in digger["parts"]] == ["deep"]


async def test_a_call_is_withdrawn_by_its_start_as_in_the_fold() -> None:
    scribe = Scribe()
    scribe.put(e.ToolArgs, "c", "look", "{}")
    start = scribe.put(e.ToolStart, "c", "look", {})
    scribe.put(e.ToolEnd, "c", "look", "a coin", 1.0, None)
    assert len((await answer_of(scribe))["parts"]) == 1
    scribe.put(e.Retract, start.seq, "guard")
    assert (await answer_of(scribe))["parts"] == []
    assert fold(scribe.events).tools == []
