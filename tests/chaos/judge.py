"""What must hold after a round, whenever its worker was killed."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headrace.events import Answer, Complete, Event, ToolEnd, ToolStart, decode
from headrace.messages import Message
from headrace.runs.fold import RunState, fold
from headrace.runs.stores.record import RunRecord
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.testing import check_events
from tests.chaos.compare import Counts, compare
from tests.chaos.effects import Effects
from tests.chaos.files import DATABASE, EFFECTS, ERRORS, SHOWN, asked_of, key_of
from tests.chaos.model import OUTCOME_UNKNOWN, call_ids, text_of
from tests.chaos.viewers import Viewer


@dataclass
class Report:
    """One round.

    Attributes:
        seed: Its number.
        kills: How often its worker was killed.
        runs: How many runs there were.
        events: In all logs.
        recoveries: How often a run was taken up.
        outside: What viewers in another process saw.
        inside: What viewers in the worker were shown before it was killed.
        faults: What does not hold.
    """

    seed: int
    kills: int = 0
    runs: int = 0
    events: int = 0
    recoveries: int = 0
    outside: Counts = field(default_factory=Counts)
    inside: Counts = field(default_factory=Counts)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Kept:
    """One run as the store has it."""

    record: RunRecord
    log: list[Event]
    session: tuple[Message, ...] | None


async def judge(
    report: Report,
    folder: Path,
    accepted: Mapping[str, set[str]],
    viewers: Iterable[Viewer],
    runs: int,
) -> None:
    """Look at everything that the round has left, and fill the report."""
    kept = await _kept(folder / DATABASE)
    effects = Effects(folder / EFFECTS).count()
    shown, faults = _shown(folder), report.faults
    faults += _sound(folder)
    numbers = {key_of(report.seed, number): number for number in range(runs)}
    if Counter(run.record.idempotency_key for run in kept.values()) != Counter(numbers.keys()):
        faults.append(f"{len(kept)} runs are kept, {runs} were asked for")
    for key, ids in accepted.items():
        missing = ids - kept.keys()
        if missing or len(ids) > 1:
            faults.append(f"{key}: accepted as {ids}, not kept: {missing or 'none'}")
    for run_id, run in kept.items():
        asked = asked_of(report.seed, numbers.get(run.record.idempotency_key or "", 0))
        faults += [f"{run_id}: {fault}" for fault in faults_of(run, asked, effects)]
        report.inside += sum((compare(run.log, s, whole=False) for s in shown[run_id]), Counts())
    for viewer in viewers:
        counts = viewer.counts(kept[viewer.run_id].log)
        report.outside += counts
        if not counts.right:
            faults.append(f"{viewer.run_id}: a viewer saw {counts}")
    if not report.inside.right:
        faults.append(f"viewers in the worker were shown {report.inside}")
    report.runs = len(kept)
    report.events = sum(len(run.log) for run in kept.values())
    report.recoveries = sum(run.record.recoveries for run in kept.values())


def faults_of(run: Kept, asked: str, effects: Mapping[str, int]) -> Iterator[str]:
    """What is wrong with one run.

    Args:
        run: It.
        asked: What it was asked.
        effects: How often each call has done its work.
    """
    record, log = run.record, run.log
    try:
        check_events(log)
    except AssertionError as error:
        yield str(error)
        return
    state, end = fold(log), log[-1]
    if not isinstance(end, Complete) or record.status != "complete":
        yield f"it ended as {end}, its record as {record.status}"
    if record.last_seq != len(log) or record.owner:
        yield f"its record says last_seq {record.last_seq}, owner {record.owner!r}"
    answers = [event.content for event in log if isinstance(event, Answer)]
    if {state.text, *answers} != {text_of(asked)} or len(answers) != 1:
        yield f"its text is {state.text[:500]!r}, {len(answers)} answers"
    if run.session is not None and list(run.session) != [Message.user(asked), *state.messages]:
        yield f"its session says {run.session}"
    yield from _faults_of_calls(state, log, asked, effects)


def _faults_of_calls(
    state: RunState, log: list[Event], asked: str, effects: Mapping[str, int]
) -> Iterator[str]:
    once = Counter(call_ids(asked))
    for kind in (ToolStart, ToolEnd):
        found = Counter(event.call_id for event in log if isinstance(event, kind))
        if found != once:
            yield f"{kind.__name__}: {found}"
    for call in state.tools:
        times = effects.get(call.call_id, 0)
        if call.name == "note" and (call.error or not times):
            yield f"{call.call_id} ended with {call.error!r} and ran {times} times"
        if call.name == "charge" and call.error not in (None, OUTCOME_UNKNOWN):
            yield f"{call.call_id} ended with {call.error!r}"
        if call.name == "charge" and (times > 1 or (call.error is None and times != 1)):
            yield f"{call.call_id} ran {times} times, its error is {call.error!r}"


async def _kept(database: Path) -> dict[str, Kept]:
    async with SQLiteStore(database) as store:
        kept = {}
        for listed in await store.runs(limit=1000):
            log: list[Event] = []
            while more := await store.read(listed.id, len(log)):
                log += more
            session = listed.session
            said = None if session is None else (await store.session(session)).messages
            kept[listed.id] = Kept(listed, log, said)
        return kept


def _shown(folder: Path) -> dict[str, list[list[Event]]]:
    """What viewers in the workers were shown, by run: a list for each life of the worker."""
    shown: dict[str, list[list[Event]]] = defaultdict(list)
    for file in folder.glob(f"{SHOWN}-*"):
        life: dict[str, list[Event]] = defaultdict(list)
        for line in file.read_bytes().split(b"\n")[:-1]:
            run_id, _, data = line.partition(b" ")
            life[run_id.decode()].append(decode(data))
        for name, events in life.items():
            shown[name].append(events)
    return shown


def _sound(folder: Path) -> Iterator[str]:
    """What is wrong with the database, or was said by the workers."""
    connection = sqlite3.connect(folder / DATABASE)
    try:
        found = connection.execute("PRAGMA integrity_check").fetchall()
    finally:
        connection.close()
    if found != [("ok",)]:
        yield f"the database is damaged: {found}"
    said = (folder / ERRORS).read_text("utf-8")
    if said:
        yield f"the worker complained:\n{said[-2000:]}"
