"""How the chat page makes turns of a session, and what a retry keeps of it; its words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.support.node import run_node

Told = dict[str, Any]


async def call(module: str, name: str, *arguments: object) -> Any:
    """What a function of the page gives."""
    (told,) = await calls(module, name, arguments)
    return told


async def calls(module: str, name: str, *each: Sequence[object]) -> list[Any]:
    """What it gives for each of these arguments; one process for all."""
    lines = [json.dumps([module, name, *arguments]).encode() for arguments in each]
    out = await run_node("chat_calls.mjs", stdin=b"\n".join(lines))
    return [json.loads(line) for line in out.split("\n")[:-1]]


def user(text: str) -> Told:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def said(*parts: str | Told) -> Told:
    content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"role": "assistant", "content": content}


def session(*messages: tuple[str, Told], live: str | None = None, **more: object) -> Told:
    """A session as the server tells it; each message with its run."""
    runs, found = [run for run, _ in messages], [message for _, message in messages]
    return {"messages": found, "runs": runs, "live_run": live, "pending": None, **more}


async def turns(stored: Told) -> list[Told]:
    return list(await call("conversation", "turnsOf", stored))


def brief(found: list[Told]) -> list[tuple[str, str, str]]:
    """Question, run and the answer's words of each turn."""
    return [
        (
            turn["question"],
            turn["runId"],
            "|".join(part.get("text", part["kind"]) for part in turn["answer"]["parts"]),
        )
        for turn in found
    ]


TWO = (("r1", user("One?")), ("r1", said("One.")), ("r2", user("Two?")), ("r2", said("Two.")))


async def test_a_question_and_what_follows_it_is_a_turn() -> None:
    found = await turns(session(*TWO))
    assert brief(found) == [("One?", "r1", "One."), ("Two?", "r2", "Two.")]
    assert [turn["at"] for turn in found] == [0, 2]
    assert {turn["answer"]["state"] for turn in found} == {"complete"}


async def test_messages_of_no_run_are_turns_too() -> None:
    found = await turns(session(("", said("Hello!")), ("", user("One?")), ("", user("Two?"))))
    assert brief(found) == [("", "", "Hello!"), ("One?", "", ""), ("Two?", "", "")]


async def test_what_was_said_into_a_run_is_part_of_its_answer() -> None:
    found = await turns(
        session(
            ("r1", user("One?")), ("r1", said("Hm")), ("r1", user("Now!")), ("r1", said("One."))
        )
    )
    assert brief(found) == [("One?", "r1", "Hm|Now!|One.")]


async def test_calls_have_their_results() -> None:
    made = {"type": "tool_call", "id": "c", "name": "look", "arguments": '{"x":1}'}
    broken = {"type": "tool_call", "id": "d", "name": "look", "arguments": "{no"}
    results: Told = {
        "role": "tool",
        "content": [
            {
                "type": "tool_result",
                "call_id": "d",
                "name": "look",
                "output": "no",
                "is_error": True,
            },
            {"type": "tool_result", "call_id": "c", "name": "look", "output": "a coin"},
        ],
    }
    thought = {"type": "reasoning", "text": "Hm"}
    (turn,) = await turns(
        session(("r1", user("?")), ("r1", said(thought, "Wait.", made, broken)), ("r1", results))
    )
    reasoning, text, first, second = turn["answer"]["parts"]
    assert (reasoning["kind"], text["text"]) == ("reasoning", "Wait.")
    assert (first["state"], first["output"], first["args"]) == ("done", "a coin", '{"x": 1}')
    assert (second["state"], second["output"], second["args"]) == ("error", "no", "{no")


async def test_what_is_no_text_in_a_question_is_named() -> None:
    message = user("Look: ")
    message["content"] += [{"type": "image", "url": "https://x.example/"}, {"type": "file"}]
    (turn,) = await turns(session(("r1", message), ("r1", said("I see."))))
    assert turn["question"] == "Look: [image][file]"


async def test_the_live_run_comes_last_and_stands_where_it_was_asked() -> None:
    pending = {"input": [user("Again?")], "keep": 2}
    found = await turns(session(*TWO, live="r3", pending=pending))
    assert brief(found) == [("One?", "r1", "One."), ("Again?", "r3", "")]
    assert found[-1]["answer"]["state"] == "waiting"
    pending = {"input": [user("Before?"), said("Yes."), user("Now?")], "keep": 0}
    found = await turns(session(live="r1", pending=pending))
    assert brief(found) == [("Before?", "", "Yes."), ("Now?", "r1", "")]


async def test_a_question_that_was_asked_again_belongs_to_its_newest_answer() -> None:
    """The session keeps equal messages with the run that said them first."""
    found = await turns(session(("r1", user("One?")), ("r3", said("Uno."))))
    assert brief(found) == [("One?", "r3", "Uno.")]


async def test_a_run_that_failed_without_a_word_is_shown_with_its_question() -> None:
    last = {"run_id": "r3", "title": "Three?", "status": "error", "ended_at": 9.0}
    stored = session(*TWO, updated_at=5.0)
    (turn,) = await call("conversation", "unstoredTurn", stored, last)
    assert (turn["question"], turn["runId"], turn["answer"]["state"]) == ("Three?", "r3", "error")
    assert turn["whole"]
    cut = {**last, "title": "Three and so on…"}
    (turn,) = await call("conversation", "unstoredTurn", stored, cut)
    assert not turn["whole"]


async def test_other_runs_are_not_shown_twice() -> None:
    failed = {"run_id": "r3", "title": "Three?", "status": "error", "ended_at": 9.0}
    stored = session(*TWO, updated_at=5.0)
    cases = [
        (stored, failed),
        (stored, None),
        (stored, {**failed, "status": "complete"}),
        (stored, {**failed, "status": "running", "ended_at": None}),
        (stored, {**failed, "run_id": "r2"}),  # what it said stands in the session
        (stored, {**failed, "ended_at": 4.0}),  # more was said since
        ({**stored, "live_run": "r4"}, failed),
    ]
    found = await calls("conversation", "unstoredTurn", *cases)
    assert [len(turns) for turns in found] == [1, 0, 0, 0, 0, 0, 0]


KEPT = [
    (0, session(*TWO), 0),
    (1, session(*TWO), 2),
    (0, session(("r0", user("One?")), ("r1", said("Uno."))), 0),  # an equal question is older
    (0, session(("r9", user("Other?")), ("r9", said("Other.")), *TWO), 2),  # someone was faster
    (1, session(*TWO[:2]), 2),  # it failed, and left nothing
    (0, session(*TWO[2:]), 0),  # so did the first; the next one stands
    (0, session(), 0),
]


async def test_a_retry_keeps_what_stands_before_its_question() -> None:
    shown = [{"runId": "r1", "at": None}, {"runId": "r2", "at": None}]
    found = await calls("conversation", "keepBefore", *((shown, i, s) for i, s, _ in KEPT))
    assert found == [kept for _, _, kept in KEPT]


async def test_a_retry_of_what_no_run_said_goes_by_its_place() -> None:
    stored = session(("", user("One?")), ("", user("Two?")))
    shown = [{"runId": "", "at": 0}, {"runId": "", "at": 1}]
    assert await call("conversation", "keepBefore", shown, 1, stored) == 1


async def test_turns_that_are_shown_stay_as_they_are() -> None:
    live = {"key": "asked-1", "question": "Two?", "runId": "r2", "at": None, "answer": {"a": 1}}
    fresh = await turns(session(*TWO))
    first, second = await call("conversation", "reconciled", [live], fresh)
    assert first == fresh[0]
    assert second == {**live, "at": 2}


async def test_durations_in_words() -> None:
    times = [0, 84.6, 999.6, 1234, 59_960, 125_000]
    found = await calls("words", "duration", *([ms] for ms in times))
    assert found == ["0 ms", "85 ms", "1.0 s", "1.2 s", "1 min 0 s", "2 min 5 s"]


async def test_figures_tell_what_is_known() -> None:
    answer = {
        "state": "complete",
        "finishReason": "length",
        "metrics": {"time_to_first_token_ms": 350, "tokens_per_second": 61.4},
        "usage": {"output": 1204, "exact": False},
    }
    assert await call("words", "figures", answer) == [
        "first token after 350 ms",
        "61 tokens/s",
        "about 1,204 tokens",
        "cut at its longest",
    ]
    assert await call("words", "figures", {"state": "complete"}) == []


async def test_the_address_names_the_conversation() -> None:
    hashes = ["", "#s=chat-1", "#s=a%2Fb", "#s=%", "#run=1"]
    found = await calls("page", "sessionOf", *([hash] for hash in hashes))
    assert found == ["", "chat-1", "a/b", "%", ""]
