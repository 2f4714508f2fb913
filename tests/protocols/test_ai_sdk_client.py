"""The AI SDK itself (npm `ai` and `@ai-sdk/react`) reads what we write."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from headrace import events as e
from headrace.errors import StoreUnavailable
from headrace.protocols.ai_sdk.encode import AISDKEncoder
from headrace.protocols.ai_sdk.parts import HEADERS
from headrace.usage import Metrics, Usage
from tests.protocols.ai_sdk_reading import batches, runs, same_inputs, shown, wanted
from tests.strategies import Scribe
from tests.support.loopback import Loopback, Script, head, http_chunk
from tests.support.node import run_node


@st.composite
def streams(draw: DrawFn) -> tuple[list[e.Event], list[bytes]]:
    """A run and its stream, batch by batch; where the run has no end, the stream fails."""
    events = draw(runs())
    encoder = AISDKEncoder()
    pieces = [encoder.encode(batch) for batch in draw(batches(events))]
    return events, [*pieces, encoder.fail(StoreUnavailable("The store is locked."))]


def some(strategy: SearchStrategy[Any], count: int) -> list[Any]:
    """So many values."""
    found: list[Any] = []

    @settings(max_examples=count, phases=[Phase.generate], database=None)
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def answer(stream: bytes) -> Script:
    """The stream over HTTP, cut anywhere: within a frame, within a character."""
    chance = random.Random(stream)  # noqa: S311 - repeatable, not secret
    cuts = sorted(chance.randrange(len(stream) + 1) for _ in range(chance.randrange(6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) if a < b]
    return [head(headers=HEADERS), *map(http_chunk, pieces), http_chunk(b"")]


async def pages(how: str, found: Sequence[bytes]) -> list[Any]:
    """What the AI SDK makes of each stream."""
    async with Loopback(*map(answer, found)) as server:
        out = await run_node("ai_sdk_fold.mjs", f"{server.origin}/api/chat", str(len(found)), how)
    seen: list[Any] = json.loads(out)
    return seen


@pytest.mark.parametrize("how", ["send", "resume", "read"])
async def test_the_page_shows_what_the_log_folds_to(how: str) -> None:
    cases = some(streams(), 60)
    seen = await pages(how, [b"".join(pieces) for _, pieces in cases])
    for (events, pieces), page in zip(cases, seen, strict=True):
        want = wanted(events)
        if not isinstance(events[-1], e.TERMINAL):
            want.error = "The store is locked."
        metadata = page["message"]["metadata"]
        got = shown(page["standing"], metadata, page["error"])
        assert same_inputs(got, want), b"".join(pieces)
        assert metadata["runId"] == page["message"]["id"] == "run_x"
        if how != "read":
            assert page["status"] == ("ready" if page["error"] is None else "error")
            assert page["answers"] == 1


def withdrawn() -> list[e.Event]:
    """A run whose first try was withdrawn after it had shown everything that can be shown."""
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "scripted:one")
    scribe.put(e.StepStart, 1, "scripted:one")
    scribe.put(e.Thought, "wrong")
    scribe.put(e.Token, "wrong", 0)
    scribe.put(e.ToolArgs, "c1", "look", '{"q":')
    scribe.put(e.Retract, 3, "stream_truncated")
    scribe.put(e.StepStart, 1, "scripted:one")
    scribe.put(e.Token, "right", 0)
    scribe.put(e.Complete, "length", Usage(1, 2), Metrics())
    return scribe.events


async def test_a_page_that_was_there_leaves_out_what_is_marked_and_a_later_one_never_gets_it() -> (
    None
):
    encoder = AISDKEncoder()
    live = b"".join(encoder.encode((event,)) for event in withdrawn())
    there, later = await pages("send", [live, AISDKEncoder().encode(withdrawn())])
    kinds = [part["type"] for part in there["message"]["parts"]]
    assert kinds == [
        *("step-start", "reasoning", "text", "dynamic-tool", "data-retract"),
        *("step-start", "text"),
    ]
    for page in (there, later):
        texts = [p["text"] for p in page["standing"] if p["type"] in ("text", "reasoning")]
        assert texts == ["right"]
        assert page["finish"]["finishReason"] == "length"
        assert not page["finish"]["isError"]
    assert later["standing"] == later["message"]["parts"]


async def test_passing_data_and_approvals_reach_the_page() -> None:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "scripted:one")
    scribe.put(e.StepStart, 1, "scripted:one")
    scribe.put(e.Warn, "slow", "It is slow.")
    scribe.put(e.ApprovalNeeded, "c1", "pay", {"sum": 9})
    waiting = AISDKEncoder().encode(scribe.events)
    scribe.put(e.Approval, "c1", False, "ann", "too much")
    denied = AISDKEncoder().encode(scribe.events)
    asked, answered = await pages("send", [waiting, denied])
    assert [part["data"]["code"] for part in asked["passing"]] == ["slow"]
    assert asked["message"]["parts"][-1]["state"] == "approval-requested"
    assert asked["message"]["parts"][-1]["approval"]["id"] == "c1"
    assert answered["message"]["parts"][-1]["state"] == "output-denied"


async def test_this_client_has_no_other_way_to_take_text_back() -> None:
    again = b'data: {"type":"start","messageId":"other"}\n\n'
    live = AISDKEncoder().encode(withdrawn()[:4])
    encoder = AISDKEncoder(reset_step=True)
    reset = b"".join(encoder.encode((event,)) for event in withdrawn())
    restarted, refused = await pages("send", [live + again, reset])
    assert restarted["answers"] == 2
    assert "wrong" in [part.get("text") for part in restarted["message"]["parts"]]
    assert "reset-step" in refused["error"]
