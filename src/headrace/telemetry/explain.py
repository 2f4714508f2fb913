"""`explain`: where the time of a run went, from its record and its log. Pure.

    explanation = explain(await store.run(run_id), events)
    for sentence in words(explanation):
        print(sentence)

Nothing is told that the log does not say: how far a viewer's connection was behind, for one, is
in no log (`explain_socket` measures it).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from headrace.errors import UsageError
from headrace.events import Cancelled, Complete, Error, Event
from headrace.runs.stores.record import RunRecord
from headrace.telemetry.explain_log import CallSeen, LogSeen, StepSeen
from headrace.telemetry.explain_timeline import Kind, Span, in_turn, micros, shares, union
from headrace.telemetry.explained import (
    Explanation,
    Gap,
    InTurn,
    StepTime,
    ToolTime,
    Trouble,
)
from headrace.usage import Usage

GAP = 1.0
"""Seconds from which on a silence in mid-answer is told."""


def explain(
    record: RunRecord | None,
    events: Iterable[Event],
    *,
    now: float | None = None,
    others: Sequence[RunRecord] = (),
    gap: float = GAP,
) -> Explanation:
    """Where a run's time went.

    Args:
        record: As the store has it; None leaves out what came before the first event.
        events: The run's log, from its first event on.
        now: Unix seconds: how far a run that still goes on has come; else to its last event.
        others: Runs of the same session, among which the one may be that it waited for.
        gap: Seconds from which on a silence in mid-answer is told.

    Raises:
        UsageError: there are no events, or not the first one.
    """
    explainer = Explainer(gap)
    for event in events:
        explainer.add(event)
    return explainer.explanation(record, now=now, others=others)


class Explainer:
    """Takes a log's events as they come, and explains them at any time.

    Args:
        gap: Seconds from which on a silence in mid-answer is told.
    """

    def __init__(self, gap: float = GAP) -> None:
        if not gap > 0:
            raise UsageError("A silence that is told is longer than 0 seconds.")
        self._gap_us = micros(gap)
        self._seen = LogSeen(self._gap_us)

    def add(self, event: Event) -> None:
        """Take the next event."""
        self._seen.add(event)

    def explanation(
        self,
        record: RunRecord | None = None,
        *,
        now: float | None = None,
        others: Sequence[RunRecord] = (),
    ) -> Explanation:
        """What is known so far; for the arguments see `explain`.

        Raises:
            UsageError: the run's first event was not among those taken.
        """
        seen = self._seen
        if seen.start is None:
            raise UsageError("The run has no events yet: there is nothing to explain.")
        end = seen.end
        if end is None and now is not None:
            seen.now = max(seen.now, micros(now))
        begin = seen.begun if record is None else min(seen.begun, micros(record.created_at))
        spans = [Span("queue", begin, seen.begun), *seen.spans()]
        first = seen.first_token
        status, reason, message = _ending(end)
        return Explanation(
            run_id=seen.start.run_id,
            agent=seen.start.agent_name,
            model=seen.model or seen.start.model,
            session=seen.start.session,
            status=status,  # type: ignore[arg-type]
            reason=reason,
            message=message,
            began_at=begin / 1e6,
            duration_us=seen.now - begin,
            parts=_with_store(shares(spans, begin, seen.now), seen),
            behind=None if record is None else _behind(record, others, seen.begun),
            first_token_us=None if first is None else first - begin,
            before_first_token={} if first is None else shares(spans, begin, first),
            steps=tuple(_step(step, begin, seen.now) for step in seen.steps),
            gap_over_us=self._gap_us,
            gaps=sum(step.gaps for step in seen.steps),
            gap_us=sum(step.gap_us for step in seen.steps),
            longest_gaps=tuple(
                Gap(-since - begin, us, step, agent)
                for us, since, step, agent in sorted(seen.longest, reverse=True)
            ),
            tools=_tools(seen.calls, seen.now),
            in_turn=tuple(_in_turn(seen.calls, seen.now)),
            troubles=tuple(Trouble(at - begin, w.code, w.message) for at, w in seen.troubles),
            warnings=seen.warnings,
            retries=seen.retries,
            withdrawn=seen.withdrawn,
            withdrawn_chars=seen.withdrawn_chars,
            usage=_usage(seen),
            tokens_per_second=0.0 if end is None else end.metrics.tokens_per_second,
        )


def _behind(record: RunRecord, others: Sequence[RunRecord], begun: int) -> str | None:
    """The run of the same session that was live at the submit and had ended at the begin."""
    ended = [
        (other.ended_at, other.id)
        for other in others
        if other.id != record.id
        and other.session == record.session
        and other.ended_at is not None
        and other.created_at <= record.created_at < other.ended_at
        and micros(other.ended_at) <= begun
    ]
    return max(ended)[1] if ended and record.session is not None else None


def _ending(end: Complete | Error | Cancelled | None) -> tuple[str, str, str]:
    """Status, reason and message."""
    match end:
        case Complete():
            return "complete", end.finish_reason, ""
        case Error():
            return "error", end.code, end.message
        case Cancelled():
            return "cancelled", end.reason, ""
        case None:
            return "running", "", ""


def _with_store(parts: dict[Kind, int], seen: LogSeen) -> dict[Kind, int]:
    """The parts, with the time in which the log held the run up taken out of where it fell.

    A step is held up between two contents, so within its streaming; a tool between its
    `tool_start` and its work. What is said of a withdrawn step is lost with it.
    """
    held = sum(step.held_us for step in seen.steps)
    if seen.end is not None:
        in_tools = max(0, micros(seen.end.metrics.held_ms / 1e3) - held)
        _move(parts, "tools", in_tools)
    _move(parts, "streaming", sum(s.held_us for s in seen.steps if s.withdrawn is None))
    return parts


def _move(parts: dict[Kind, int], kind: Kind, us: int) -> None:
    moved = min(parts[kind], us)
    parts[kind] -= moved
    parts["store"] += moved


def _step(step: StepSeen, begin: int, now: int) -> StepTime:
    took: defaultdict[Kind, int] = defaultdict(int)
    end = now if step.end is None else step.end
    if step.withdrawn is not None:
        took["lost"] = end - step.start
    else:
        for span in step.spans(now):
            took[span.kind] += span.end - span.start
    return StepTime(
        step=step.number,
        agent=step.agent,
        model=step.model,
        at_us=step.start - begin,
        waiting_us=took["waiting"],
        streaming_us=took["streaming"],
        lost_us=took["lost"],
        gaps=step.gaps,
        gap_us=step.gap_us,
        held_us=step.held_us,
        output=step.output,
        finish_reason=step.finish_reason,
        withdrawn=step.withdrawn is not None,
    )


def _tools(calls: Sequence[CallSeen], now: int) -> tuple[ToolTime, ...]:
    by_name: defaultdict[str, list[CallSeen]] = defaultdict(list)
    for call in calls:
        by_name[call.name].append(call)
    found = []
    for name, own in by_name.items():
        times = [call.until(now) for call in own]
        longest = max(end - start for start, end in times)
        failed = sum(call.failed for call in own)
        found.append(ToolTime(name, len(own), failed, union(times), longest))
    return tuple(sorted(found, key=lambda tool: (-tool.us, tool.name)))


def _in_turn(calls: Sequence[CallSeen], now: int) -> Iterable[InTurn]:
    """Calls of one answer that ran one after another, though they were all known before.

    A call that was begun while the model still wrote the next one could not wait for it.
    """
    by_step: defaultdict[int, list[CallSeen]] = defaultdict(list)
    steps = {id(call.step): call.step for call in calls if call.step is not None}
    for call in calls:
        by_step[id(call.step)].append(call)
    for key, step in steps.items():
        own = by_step[key]
        if step.end is None or step.withdrawn is not None:
            continue
        times = [call.until(now) for call in own]
        if min(start for start, _ in times) >= step.end and in_turn(times):
            yield InTurn(step.number, step.agent, len(own), union(times))


def _usage(seen: LogSeen) -> Usage:
    """As the end tells it; before, of the steps that have ended."""
    if seen.end is not None and seen.end.usage is not None:
        return seen.end.usage
    return seen.usage
