"""`Folder`, `fold` and `foldText` of headrace.js give what `headrace.runs.fold` gives (law 10)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from headrace import events as e
from headrace.events import Event
from headrace.runs.fold import Folder, fold
from headrace.runs.policies import join_deltas
from headrace.usage import Usage
from tests.strategies import EVENTS, PIECES, Scribe, logs
from tests.support.node import run_node

Log = list[Event]

RETRACTS = st.lists(
    st.tuples(st.sampled_from("ttthcr"), PIECES, st.integers(0, 40), st.sampled_from(["", "sub"])),
    max_size=40,
)


def written(plan: list[tuple[str, str, int, str]]) -> Log:
    """Texts, reasoning, calls and retracts from anywhere on, of two agents."""
    scribe = Scribe()
    for kind, piece, since, agent in plan:
        if kind == "t":
            scribe.put(e.Token, piece, 0, agent=agent)
        elif kind == "h":
            scribe.put(e.Thought, piece, agent=agent)
        elif kind == "c":
            scribe.put(e.ToolStart, piece, "look", {"x": piece}, agent=agent)
            scribe.put(e.ToolProgress, piece, "half", agent=agent)
            scribe.put(e.ToolEnd, piece, "look", piece, 1.0, None, agent=agent)
        else:
            scribe.put(e.Retract, since, "guard", agent=agent)
    return scribe.events


def numbered(events: Log) -> Log:
    """Any events as a log; counts that JavaScript's numbers can add exactly."""
    log = list[Event]()
    for seq, event in enumerate(events, start=1):
        if isinstance(event, e.StepEnd | e.Complete | e.Error | e.Cancelled) and event.usage:
            event = replace(event, usage=Usage(seq, 2, 3, 4, event.usage.exact))
        log.append(replace(event, seq=seq))
    return log


def collected(strategy: st.SearchStrategy[Log], count: int) -> list[Log]:
    """Logs that Hypothesis makes up: one process then takes them all."""
    found = list[Log]()

    @settings(max_examples=count, derandomize=True, database=None)
    @given(strategy)
    def collect(log: Log) -> None:
        found.append(log)

    collect()
    return found


async def folded(inputs: list[Log]) -> list[Any]:
    lines = [b"[%b]" % b",".join(map(e.encode, log)) for log in inputs]
    out = await run_node("headrace_fold.mjs", stdin=b"\n".join(lines))
    return [json.loads(line) for line in out.split("\n")[:-1]]


def state_of(log: Log) -> dict[str, Any]:
    """The state as the server's snapshot tells it; messages are the server's own."""
    state: dict[str, Any] = msgspec.to_builtins(fold(log))
    del state["messages"]
    return state


async def test_it_folds_as_the_server_does() -> None:
    inputs = [
        *collected(logs(), 120),
        *collected(logs(ended=False), 40),
        *map(join_deltas, collected(logs(), 40)),
        *collected(RETRACTS.map(written), 120),
        *[written([("t", "a", 0, ""), ("c", "b", 0, ""), ("r", "", n, "")]) for n in range(6)],
        *collected(st.lists(EVENTS, max_size=25).map(numbered), 200),
    ]
    kinds = {type(event) for log in inputs for event in log}
    assert kinds >= {*e.TERMINAL, e.RunStart, e.Retract, e.StepEnd, e.ToolEnd, e.Answer}
    results = await folded(inputs)
    assert len(results) == len(inputs) > 400
    for log, (state, text, _) in zip(inputs, results, strict=True):
        expected = state_of(log)
        assert state == expected
        assert text == expected["text"]


async def test_a_state_on_the_way_is_that_of_the_log_so_far() -> None:
    inputs = collected(logs(), 30)
    for log, (_, _, states) in zip(inputs, await folded(inputs), strict=True):
        folder = Folder()
        for event, state in zip(log, states, strict=True):
            folder.add(event)
            expected = msgspec.to_builtins(folder.state())
            del expected["messages"]
            assert state == expected


async def test_a_kind_of_event_that_is_not_known_yet_is_passed_over() -> None:
    scribe = Scribe()
    scribe.put(e.Token, "a", 0)
    (known,) = map(e.encode, scribe.events)
    later = b'{"type":"later","seq":2,"at":1.0,"agent":"","content":"b"}'
    out = await run_node("headrace_fold.mjs", stdin=b"[%b,%b]" % (known, later))
    state, text, _ = json.loads(out)
    assert (text, state["last_seq"], state["status"]) == ("a", 2, "running")
