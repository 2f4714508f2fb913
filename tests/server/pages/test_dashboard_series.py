"""From the server's slots to the lines of the charts, and figures to words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from headrace.server.overview import Percentiles, SlotFigures
from tests.server.pages.dashboard_page import UNKNOWN
from tests.server.pages.dashboard_parts import call, called

NONE = Percentiles(None, None, None, 0)


def slot(at: float, model: str = "", **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {key: {} for key in ("runs", "errors", "retries", "retracts")}
    figures = {name: more.pop(name, 0) for name in ("started", "recovered", "viewers", "lag")}
    made = SlotFigures(
        at=at,
        model=model,
        provider=model.partition(":")[0] if ":" in model else "",
        tokens=more.pop("tokens", 0),
        ttft_ms=more.pop("ttft", NONE),
        gap_ms=more.pop("gap", NONE),
        **figures,
        **{**empty, **more},
    )
    built: dict[str, Any] = msgspec.to_builtins(made)
    return built


def snapshot(at: float, *series: dict[str, Any], since: float = 0.0) -> dict[str, Any]:
    times = {"at": at, "since": since, "slot_seconds": 10.0, "window_seconds": 3600.0}
    return {**times, "series": list(series)}


async def columns(*snapshots: object, seconds: float = 60, **choice: str) -> Any:
    return await call("slots", list(snapshots), choice, seconds)


async def test_time_goes_on_while_nothing_comes() -> None:
    told = snapshot(1001.0, slot(1000.0, tokens=20))
    drawn = await call("slots", [told], {}, 30, 1025.0)
    assert (drawn["at"], drawn["tokens"]) == ([1000, 1010, 1020], [2, 0, 0])
    assert drawn["span"] == [1000, 1030]


async def test_slots_stand_in_their_time_and_silence_is_zero() -> None:
    told = snapshot(1060.0, slot(1020.0, tokens=50), slot(1040.0, tokens=20))
    drawn = await columns(told)
    assert drawn["at"] == [1010, 1020, 1030, 1040, 1050, 1060]
    assert drawn["tokens"] == [0, 5, 0, 2, 0, 0]
    assert drawn["ttft"] == {"p50": [None] * 6, "p95": [None] * 6, "p99": [None] * 6}
    assert drawn["viewers"] == [0] * 6


async def test_the_slot_that_goes_on_counts_for_the_time_that_it_had() -> None:
    drawn = await columns(snapshot(1064.0, slot(1060.0, tokens=20)))
    assert drawn["tokens"][-1] == 5
    just_begun = await columns(snapshot(1060.25, slot(1060.0, tokens=3)))
    assert just_begun["tokens"][-1] == 3  # no moment makes a rate


async def test_later_snapshots_replace_only_what_may_have_changed() -> None:
    first = snapshot(1045.0, slot(1020.0, tokens=10), slot(1030.0, tokens=20), slot(1040.0))
    later = snapshot(1046.0, slot(1040.0, tokens=60), since=1040.0)
    drawn = await columns(first, later)
    assert (drawn["kept"], drawn["tokens"][-3:]) == (3, [1, 2, 10])
    anew = snapshot(1060.0, slot(1030.0, tokens=30))  # after a lost connection: all of it
    drawn = await columns(first, later, anew)
    assert (drawn["kept"], drawn["tokens"]) == (1, [0, 0, 3, 0, 0, 0])


async def test_slots_beyond_the_window_are_let_go() -> None:
    old = snapshot(1000.0, slot(990.0, tokens=1), slot(1000.0, tokens=1))
    drawn = await columns(old, snapshot(4605.0, since=4600.0))
    assert drawn["kept"] == 1


async def test_all_a_provider_or_a_model() -> None:
    fast, slow = Percentiles(10.0, 20.0, 30.0, 9), Percentiles(40.0, 15.0, 90.0, 1)
    told = snapshot(
        1000.0,
        slot(1000.0, tokens=60, ttft=Percentiles(11.0, 21.0, 80.0, 10)),
        slot(1000.0, "openai:a", tokens=20, ttft=fast, viewers=2, errors={"timeout": 1}),
        slot(1000.0, "openai:b", tokens=30, ttft=slow, viewers=1, errors={"timeout": 2}),
        slot(1000.0, "demo", tokens=10),
    )
    every = await columns(told, seconds=10)
    assert every["models"] == [["", ["demo"]], ["openai", ["openai:a", "openai:b"]]]
    assert (every["tokens"], every["ttft"]["p99"], every["bounds"]) == ([60], [80], False)
    one = await columns(told, seconds=10, model="openai:a")
    assert (one["tokens"], one["ttft"]["p99"], one["bounds"]) == ([20], [30], False)
    both = await columns(told, seconds=10, provider="openai")
    assert (both["tokens"], both["viewers"]) == ([50], [2])
    assert both["errors"] == [["timeout", [3]]]
    # Of two models together no percentile is above the larger one.
    assert both["ttft"] == {"p50": [40], "p95": [20], "p99": [90]}
    assert both["bounds"]


async def test_codes_have_a_line_each_until_there_are_too_many() -> None:
    told = snapshot(
        1010.0,
        slot(1000.0, errors={"timeout": 1, "rate_limited": 3}, retries={"retry": 2}),
        slot(1010.0, errors={"timeout": 1}, retracts={"guard": 1}),
    )
    drawn = await columns(told, seconds=20)
    assert drawn["errors"] == [["rate_limited", [3, 0]], ["timeout", [1, 1]]]
    assert drawn["retries"] == [["retry", [2, 0]], ["withdrawn: guard", [0, 1]]]
    many = {f"code_{i}": 9 - i for i in range(8)}
    drawn = await columns(snapshot(1000.0, slot(1000.0, errors=many)), seconds=10)
    names = [name for name, _ in drawn["errors"]]
    assert names == ["code_0", "code_1", "code_2", "code_3", "code_4", "other"]
    assert drawn["errors"][-1] == ["other", [4 + 3 + 2]]
    # The server's own `other` is taken in.
    drawn = await columns(snapshot(1000.0, slot(1000.0, errors={**many, "other": 1})), seconds=10)
    assert [c for n, c in drawn["errors"] if n == "other"] == [[10]]


async def test_captions_say_what_the_lines_show() -> None:
    told = [
        snapshot(
            1060.0,
            slot(1050.0, ttft=Percentiles(320.0, 1240.0, 65_000.0, 3), errors={"timeout": 2}),
            slot(1060.0, errors={"timeout": 1}, viewers=4, lag=17),
        )
    ]
    ttft, errors, retries, viewers = await called(
        [("chart", told, id) for id in ("ttft", "errors", "retries", "viewers")]
    )
    assert ttft == [["p50", "320 ms"], ["p95", "1.24 s"], ["p99", "1 min 5 s"]]
    assert errors == [["timeout", "3"]]
    assert retries == []
    assert viewers == [["viewers", "4"], ["largest lag", "17"]]


async def test_bars_stand_on_each_other() -> None:
    assert await call("stacked", [[1, 0], [2, 3], [0, 1]]) == [[1, 0], [3, 3], [3, 4]]
    assert await call("stacked", []) == []


WORDS = [
    (("ms", None), UNKNOWN),
    (("ms", 0), "0 ms"),
    (("ms", 0.44), "0.4 ms"),
    (("ms", 9.96), "10 ms"),
    (("ms", 999.4), "999 ms"),
    (("ms", 999.6), "1.00 s"),
    (("ms", 9_996), "10.0 s"),
    (("ms", 59_960), "1 min"),
    (("age", 59.4), "59 s"),
    (("age", 60), "1 min"),
    (("age", 3_725), "1 h 2 min"),
    (("age", 90_000), "1 d 1 h"),
    (("age", -3), "0 s"),
    (("rate", 4.84), "4.8"),
    (("rate", 1234.5), "1,235"),
    (("count", 12_345), "12,345"),
    (("count", None), UNKNOWN),
    (("clock", None), UNKNOWN),
    (("cut", "abcdef", 4), "abc…"),
    (("cut", "abcd", 4), "abcd"),
    (("plural", 1, "run"), "1 run"),
    (("plural", 2, "run"), "2 runs"),
]


async def test_figures_in_words() -> None:
    given = await called([("format", *asked) for asked, _ in WORDS])
    assert given == [words for _, words in WORDS]


@pytest.mark.parametrize("locked", [False, True])
async def test_lines_for_a_terminal(locked: bool) -> None:
    lines = await call("commands", "http://h:1/sub", locked)
    assert all("http://h:1/sub" in line for line in lines)
    assert all(("TOKEN" in line) == locked for line in lines)


@pytest.mark.parametrize(("chart", "least"), [("errors", 1), ("tokens", 0.1), ("gap", 0.1)])
async def test_the_figures_of_an_axis_are_all_different(chart: str, least: float) -> None:
    steps = await call("steps", chart)
    sizes = [size for size, _ in steps]
    assert (sizes, sizes[0]) == (sorted(sizes), pytest.approx(least))
    assert all(len(set(words)) == len(words) for _, words in steps), steps
