"""How the dashboard follows its server: across lost connections, until it is refused or leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.node import run_node

LEAVE = {"frames": [], "then": "leave"}


async def followed(*answers: dict[str, Any], **more: Any) -> Any:
    line = json.dumps({"answers": answers, **more})
    return json.loads(await run_node("dashboard_feed.mjs", stdin=line.encode()))


async def test_it_goes_on_after_what_passes() -> None:
    told = await followed(
        {"frames": [1, 2]},
        {"lost": True},
        {"status": 503, "body": '{"code": "draining", "message": "It stops."}'},
        {"status": 502, "body": "<html>"},
        {"frames": [3], "then": "leave"},
    )
    assert (told["values"], told["error"], told["left"]) == ([1, 2, 3], None, 0)
    assert [message for message, _ in told["waits"]] == [
        "The server has ended the stream.",
        "fetch failed",
        "It stops.",
        "The server answered 502.",
    ]
    # Each wait may be twice as long as the one before; half of it is chance.
    for count, (_, wait) in enumerate(told["waits"]):
        assert 4 * 2**count <= wait <= 8 * 2**count


async def test_a_value_ends_the_long_waits() -> None:
    told = await followed({"lost": True}, {"lost": True}, {"frames": [1]}, LEAVE)
    first, second, third = [wait for _, wait in told["waits"]]
    assert 4 <= first <= 8 <= second <= 16
    assert 4 <= third <= 8


@pytest.mark.parametrize(
    ("status", "code"), [(401, "unauthorized"), (403, "operators_only"), (404, "not_found")]
)
async def test_it_takes_a_refusal_as_it_is(status: int, code: str) -> None:
    body = json.dumps({"code": code, "message": "No.", "hint": "Ask."})
    told = await followed({"status": status, "body": body}, LEAVE)
    assert told["error"] == {"code": code, "status": status, "hint": "Ask."}
    assert (told["left"], told["waits"]) == (1, [])


async def test_silence_is_a_lost_connection() -> None:
    told = await followed({"frames": [1], "then": "silence"}, {**LEAVE, "frames": [2]}, silence=60)
    assert told["values"] == [1, 2]
    assert [message for message, _ in told["waits"]] == ["Nothing came for 60 ms."]


@pytest.mark.parametrize("token", [None, "a-token"])
async def test_it_says_who_asks(token: str | None) -> None:
    told = await followed(LEAVE, token=token)
    ((_, headers),) = told["asked"]
    expected = {} if token is None else {"authorization": f"Bearer {token}"}
    assert headers == {"accept": "text/event-stream", **expected}
