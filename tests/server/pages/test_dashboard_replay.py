"""A run's log in the page: played again, and as rows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from headrace import events as e
from headrace.events import Event
from headrace.runs.fold import fold
from headrace.usage import Metrics, Usage
from tests.server.pages.dashboard_parts import call, called, told
from tests.strategies import logs

END = ["seek", None]
"""JSON has no infinity."""

LOG: list[Event] = [
    e.RunStart(1, 1000.0, "", "run_x", "guide", "scripted:one"),
    e.StepStart(2, 1000.0, "", 1, "scripted:one"),
    e.Thought(3, 1000.25, "", "Hm"),
    e.Token(4, 1000.5, "", "One ", 0),
    e.Token(5, 1001.0, "", "two ", 1),
    e.ToolArgs(6, 1001.25, "", "a", "look", '{"x"'),
    e.ToolArgs(7, 1001.5, "", "a", "look", ":1}"),
    e.ToolArgs(8, 1001.5, "", "b", "look", "{}"),
    e.Token(9, 1002.0, "helper", "mine", 0),
    e.Token(10, 1002.0, "", "three", 2),
    e.Complete(11, 1002.0, "", "stop", Usage(3, 2), Metrics()),
]


def found_logs(count: int) -> list[list[Event]]:
    found = list[list[Event]]()

    @settings(max_examples=count, derandomize=True, database=None)
    @given(logs())
    def collect(log: list[Event]) -> None:
        found.append(log)

    collect()
    return found


def state_of(log: list[Event]) -> dict[str, Any]:
    state: dict[str, Any] = msgspec.to_builtins(fold(log))
    del state["messages"]
    return state


async def test_it_plays_at_its_speed() -> None:
    moves = [["advance", 300, 1], ["advance", 150, 2], ["advance", 125, 4], ["advance", 1, 1]]
    states = await call("replay", told(LOG), moves)
    assert [s["position"] for s in states] == [300, 600, 1100, 1101]
    assert [s["state"]["text"] for s in states] == ["", "One ", "One two ", "One two "]
    assert [s["state"]["reasoning"] for s in states] == ["Hm"] * 4
    assert [s["over"] for s in states] == [False] * 4
    at_once = await call("replay", told(LOG), [["advance", 16, None]])
    assert (at_once[0]["over"], at_once[0]["state"]["text"]) == (True, "One two three")


async def test_it_goes_back_and_beyond_no_end() -> None:
    moves = [END, ["seek", 700], ["seek", -5], ["advance", 99_999, 1]]
    states = await call("replay", told(LOG), moves)
    assert [s["position"] for s in states] == [2000, 700, 0, 2000]
    assert [s["state"]["text"] for s in states] == ["One two three", "One ", "", "One two three"]
    assert [s["played"] for s in states] == [11, 4, 2, 11]
    assert [s["over"] for s in states] == [True, False, False, True]


async def test_without_events_there_is_nothing_to_play() -> None:
    (state,) = await call("replay", [], [END])
    assert (state["position"], state["duration"], state["over"]) == (0, 0, True)


async def test_each_moment_is_the_fold_of_what_had_come_by_then() -> None:
    found = found_logs(60)
    moments = [[(event.at - log[0].at) * 1000 for event in log] for log in found]
    # Back and forth, and in the end to the end.
    moves = [[("seek", at) for at in (*times, *times[::-3], None)] for times in moments]
    plays = await called([("replay", told(g), m) for g, m in zip(found, moves, strict=True)])
    for log, asked, played in zip(found, moves, plays, strict=True):
        for (_, at), moment in zip(asked, played, strict=True):
            until = [g for g in log if at is None or (g.at - log[0].at) * 1000 <= at]
            assert moment["state"] == state_of(until)
        assert played[-1]["over"]
        assert played[-1]["state"] == state_of(log)


async def test_neighbouring_pieces_are_one_row() -> None:
    given = await call("rows", told(LOG))
    rows = [(r["type"], r["from"], r["to"], r["count"], r["text"]) for r in given["rows"]]
    assert rows == [
        ("run_start", 1, 1, 1, "guide on scripted:one"),
        ("step_start", 2, 2, 1, "step 1, scripted:one"),
        ("thought", 3, 3, 1, "Hm"),
        ("token", 4, 5, 2, "One two "),
        ("tool_args", 6, 7, 2, '{"x":1}'),
        ("tool_args", 8, 8, 1, "{}"),
        ("token", 9, 9, 1, "mine"),
        ("token", 10, 10, 1, "three"),
        ("complete", 11, 11, 1, "stop, 3 in, 2 out"),
    ]
    assert dict(given["types"])["token"] == 4
    one = given["rows"][3]
    assert (one["at"], one["until"]) == (1000.5, 1001.0)
    assert given["details"][3] == "One two "
    assert '"finish_reason": "stop"' in given["details"][8]
    only = await call("rows", told(LOG), "tool_args")
    assert [row["from"] for row in only["rows"]] == [6, 8]


async def test_rows_lose_no_event_and_no_text() -> None:
    found = found_logs(60)
    for log, shown in zip(found, await called([("rows", told(g)) for g in found]), strict=True):
        rows = shown["rows"]
        assert sum(row["count"] for row in rows) == len(log)
        assert [row["from"] for row in rows][1:] == [row["to"] + 1 for row in rows][:-1]
        tokens = "".join(event.content for event in log if isinstance(event, e.Token))
        assert "".join(row["text"] for row in rows if row["type"] == "token") == tokens


async def test_every_type_has_a_row_even_one_that_is_not_known() -> None:
    later = [{"type": "from_the_future", "seq": 1, "at": 1.0, "agent": "", "x": 1}]
    (row,) = (await call("rows", later))["rows"]
    assert '"x":1' in row["text"]


@pytest.mark.parametrize("size", [50_000, 50_001])
async def test_long_details_are_cut(size: int) -> None:
    long = [e.Token(1, 1.0, "", "x" * size, 0)]
    (shown,) = (await call("rows", told(long)))["details"]
    assert shown.startswith("x" * 50_000)
    assert shown.endswith("1 more characters") == (size > 50_000)


async def test_rows_are_shown_by_the_page() -> None:
    shown = await call("page", 450, 2)
    assert (shown["page"], shown["pages"], shown["rows"]) == (2, 3, list(range(400, 450)))
    assert (await call("page", 450, 9))["page"] == 2
    assert await call("page", 0, 0) == {"page": 0, "pages": 1, "rows": []}
    assert len((await call("page", 450, 0))["rows"]) == 200
