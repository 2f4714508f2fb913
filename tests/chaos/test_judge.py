"""What a round is judged by finds what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from headrace.events import Answer, Event, Token, ToolEnd
from headrace.messages import Message
from headrace.runs.fold import fold
from headrace.runs.policies import join_deltas
from headrace.runs.stores.record import RunRecord
from tests.chaos.compare import Counts, compare
from tests.chaos.effects import Effects
from tests.chaos.judge import Kept, faults_of
from tests.chaos.model import ChaosModel, agent_of, call_ids

LOG: list[Event] = [Token(seq, 1.0, "", f"{seq} ", seq - 1) for seq in range(1, 7)]
ASKED = "k"


@pytest.mark.parametrize(
    ("seen", "counts"),
    [
        (LOG, Counts(seen=6)),
        ([], Counts(lost=6)),
        (LOG[:4], Counts(seen=4, lost=2)),
        ([*LOG[:2], *LOG[3:]], Counts(seen=5, lost=1)),
        ([*LOG[:3], LOG[2], *LOG[3:]], Counts(seen=7, doubled=1)),
        ([*LOG, *LOG], Counts(seen=12, doubled=6)),
        ([LOG[1], LOG[0], *LOG[2:]], Counts(seen=6, lost=1, reordered=1)),
        ([*LOG[:5], replace(LOG[5], content="?")], Counts(seen=6, changed=1)),
        ([*LOG, replace(LOG[5], seq=7)], Counts(seen=7, changed=1)),
        ([*LOG[:2], *join_deltas(LOG[2:])], Counts(seen=3, joined=1)),
        ([replace(join_deltas(LOG)[0], content="1 2 3 ")], Counts(seen=1, changed=1)),
    ],
)
def test_a_viewers_events_are_counted(seen: list[Event], counts: Counts) -> None:
    assert compare(LOG, seen) == counts
    assert counts.right == (seen == LOG or counts.joined == 1)


def test_a_viewer_that_left_has_lost_nothing() -> None:
    assert compare(LOG, LOG[:2], whole=False) == Counts(seen=2)
    assert compare(LOG, LOG[1:3], whole=False) == Counts(seen=2, lost=1)


@pytest.fixture
def effects(tmp_path: Path) -> Effects:
    return Effects(tmp_path / "effects")


async def a_good_run(effects: Effects) -> Kept:
    async with agent_of(effects, ChaosModel()).start(ASKED) as run:
        log = [event async for event in run.events()]
    record = RunRecord("r", "chaos", "chaos", 1.0, status="complete", last_seq=len(log))
    session = (Message.user(ASKED), *fold(log).messages)
    return Kept(record, log, session)


def but(run: Kept, change: Callable[[Event], Event]) -> Kept:
    return Kept(run.record, [change(event) for event in run.log], run.session)


@pytest.mark.anyio
async def test_a_good_run_has_no_fault(effects: Effects) -> None:
    run = await a_good_run(effects)
    assert list(faults_of(run, ASKED, effects.count())) == []
    assert list(faults_of(Kept(run.record, run.log, None), ASKED, effects.count())) == []


@pytest.mark.anyio
async def test_what_is_wrong_with_a_run_is_said(effects: Effects) -> None:
    run = await a_good_run(effects)
    note, charge, _ = call_ids(ASKED)
    done = effects.count()

    def says(run: Kept, counted: dict[str, int] | None = None) -> str:
        return "\n".join(faults_of(run, ASKED, done if counted is None else counted))

    assert f"{charge} ran 2 times" in says(run, {**done, charge: 2})
    assert f"{charge} ran 0 times" in says(run, {**done, charge: 0})
    assert f"{note} ended with None and ran 0 times" in says(run, {**done, note: 0})
    assert "there is no terminal event" in says(Kept(run.record, run.log[:-1], None))
    assert "seq is" in says(Kept(run.record, [run.log[0], *run.log], None))
    shorter = replace(run.record, last_seq=1, owner="x")
    assert "last_seq 1, owner 'x'" in says(Kept(shorter, run.log, None))
    running = replace(run.record, status="running")
    assert "its record as running" in says(Kept(running, run.log, None))
    assert "its session says" in says(Kept(run.record, run.log, ()))

    def failed(event: Event) -> Event:
        return replace(event, error="no") if isinstance(event, ToolEnd) else event

    assert f"{note} ended with 'no'" in says(but(run, failed))
    assert f"{charge} ended with 'no'" in says(but(run, failed))

    def muted(event: Event) -> Event:
        return replace(event, content="") if isinstance(event, Token) else event

    assert "its text is ''" in says(but(run, muted))

    def other(event: Event) -> Event:
        return replace(event, content="other") if isinstance(event, Answer) else event

    assert "its text is" in says(but(run, other))
