"""A run: one task, one writer, one log, one end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct

from headrace.errors import (
    DeadlineExceeded,
    HeadraceError,
    NoApprovalNeeded,
    RunCancelled,
    RunEnded,
    RunFailed,
    RunHandedOver,
    UsageError,
)
from headrace.events import (
    Answer,
    Approval,
    Cancelled,
    Complete,
    Error,
    Event,
    FinishReason,
    Retract,
    RunStart,
    Token,
)
from headrace.messages import Message
from headrace.runs.approvals import Decision
from headrace.runs.log import Log, RunLog
from headrace.runs.metrics import Meter
from headrace.runs.observer import Watch
from headrace.runs.policies import MERGE, Policy, PolicyName
from headrace.runs.response import Response
from headrace.runs.viewer import Viewer
from headrace.runs.writer import Writer
from headrace.text import TextBuffer
from headrace.usage import Receipt

if TYPE_CHECKING:
    from headrace.runs.fold import RunState

CANCEL_GRACE = 5.0
"""Seconds that a cancelled driver may take to let go before its end is written without it."""


class Outcome(Struct, frozen=True):
    """What a driver returns when it ended well.

    Attributes:
        finish_reason: Why it ended.
        messages: The conversation, input first.
        output: The structured output as a JSON value; None without one.
        value: The same as an instance of its type; unset where `output` is all there is.
    """

    finish_reason: FinishReason
    messages: tuple[Message, ...]
    output: Any = None
    value: Any = UNSET


Driver = Callable[[Writer], Awaitable[Outcome]]
"""Does the run's work: writes its events, closes what it opened, returns the outcome.

It writes the end of every pair that it began; the run writes the first event and the last, and
closes what a driver left open.
"""


class RunInfo(Struct, frozen=True):
    """What a run's first event tells of it."""

    agent_name: str
    model: str
    session: str | None = None
    parent: str | None = None


def new_run_id() -> str:
    """A fresh id that no one can guess: 128 random bits."""
    from secrets import token_urlsafe  # takes hmac and random along

    return "run_" + token_urlsafe(16)


class Run:
    """One execution of an agent.

    It starts when it is entered (``async with``) or first read. Leaving the context before its
    end cancels it. Everything that can be seen of it is a cursor over its log.

    Args:
        driver: Does the work.
        info: What `run_start` tells.
        deadline: Seconds that the whole run may take, without those for which a person is waited
            for; None for ever.
        private: At most one viewer, there from the start (see `Log`).
        grace: Seconds that a stopped driver may take to let go; then it is left behind and its
            later writes are refused.
        on_begin: Called once, when the run begins.
        id: Its id; a fresh one by default.
        log: Where it is written; by default a new one in memory. A log that has events already
            is that of a run which is taken up again.

    Attributes:
        user: Whom a detached run belongs to; ``""`` where no one is named.
        asked: The conversation that it was asked with, for those who observe it.
    """

    def __init__(
        self,
        driver: Driver,
        info: RunInfo,
        *,
        deadline: float | None = 900.0,
        private: bool = False,
        grace: float = CANCEL_GRACE,
        on_begin: Callable[[Run], object] | None = None,
        id: str | None = None,
        log: RunLog | None = None,
    ) -> None:
        self.id = id or new_run_id()
        self.info = info
        self.user = ""
        self.asked: Sequence[Message] = ()
        self._driver = driver
        self._deadline = deadline
        self._private = private
        self._grace = grace
        self._on_begin = on_begin
        self._log = log or Log(private=private)
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._left: float | None = None  # of the deadline, while it stands still
        self._late: DeadlineExceeded | None = None
        self._reason: str | None = None
        self._stopped_at: float | None = None
        self._stopped_tools: dict[str, str] | None = None
        self._end: Complete | Error | Cancelled | None = None
        self._cause: BaseException | None = None
        self._outcome: Outcome | None = None
        self._lost: HeadraceError | None = None
        self.writer = Writer(self._log)
        self.writer.approvals.answered = not private

    def __repr__(self) -> str:
        return f"<Run {self.id} at {self._log.last_seq}{' ended' if self._log.ended else ''}>"

    async def __aenter__(self) -> Run:
        self.begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._log.ended and self._lost is None:
            await self.cancel("abandoned")

    @property
    def model(self) -> str:
        """The model's name: of a fallback's models the one that answered last, once one has."""
        return self.writer.model or self.info.model

    @property
    def output(self) -> Any:
        """What it gave: an instance of its type, else a JSON value, else the answer's text.

        Raises:
            RunFailed: it ended with `error`.
            RunCancelled: it ended with `cancelled`.
            UsageError: it has not ended.
        """
        end, outcome = self.check(), self._outcome
        if outcome is not None and outcome.value is not UNSET:
            return outcome.value
        return str(self.writer.text) if end.output is None else end.output

    @property
    def ended(self) -> bool:
        """Whether the terminal event is written."""
        return self._log.ended

    @property
    def last_seq(self) -> int:
        """The last event that viewers may see."""
        return self._log.last_seq

    def observe(self, watches: Iterable[Watch] = ()) -> None:
        """Let these, and all who watch every run, follow this one from its next event on; once.

        Without it the run is followed from its beginning by those who watch every run.
        """
        self.writer.observers.begin(self, watches)

    def begin(self) -> None:
        """Start the run's task in the running event loop, once."""
        if self._task is not None:
            return
        loop = asyncio.get_running_loop()
        self.observe()
        # Written here, not in the task: a task that is cancelled before its first step
        # never runs at all, and its log would have an end without a start.
        if not self._log.written:
            info = self.info
            self.writer.meter = Meter(self.writer.now())
            self.writer.put(
                RunStart, "", self.id, info.agent_name, info.model, info.session, info.parent
            )
        self._log.begin(self._lose)
        self._task = loop.create_task(self._main(), name=self.id)
        self._task.add_done_callback(self._settle)
        if self._deadline is not None:
            self._timer = loop.call_later(self._deadline, self._expire)
            self.writer.approvals.clock("", self)
        if self._on_begin is not None:
            self._on_begin(self)

    def batches(self, after: int = 0, *, policy: Policy | PolicyName = MERGE) -> Viewer:
        """A viewer: lists of events after `after`, as they come, to the run's end.

        Args:
            after: The last event that was seen before; 0 for none.
            policy: What to do when it lags: ``"merge"``, ``"drop"``, ``"disconnect"``,
                ``"block"`` or `headrace.runs.policies.block` with a timeout.

        Raises:
            InvalidCursor: no event of the run has this `after`.
            UsageError: there is no such policy.
        """
        self.begin()
        return Viewer(self._log, after, policy)

    async def events(
        self, after: int = 0, *, policy: Policy | PolicyName = MERGE
    ) -> AsyncGenerator[Event]:
        """Each event after `after`, as it comes, to the run's end; see `batches`."""
        async with self.batches(after, policy=policy) as viewer:
            async for batch in viewer:
                for event in batch:
                    yield event

    async def text(self) -> AsyncGenerator[str]:
        """Each piece of the answer's text.

        Pieces cannot be taken back: start the run with ``retract=False``, or read its events, to
        have a model that breaks in mid-answer dealt with otherwise than here.

        Raises:
            RunFailed: the run ended with `error`, or pieces that were given were withdrawn;
                `partial` holds what was given.
            RunCancelled: the run ended with `cancelled`.
        """
        given, last = TextBuffer(), 0
        async for batch in self.batches():
            for event in batch:
                if type(event) is Token:
                    if not event.agent:
                        given.append(event.content)
                        last = event.seq
                        yield event.content
                elif isinstance(event, Retract) and not event.agent and event.since <= last:
                    raise self._withdrawn(event, str(given))
        self.check()

    async def result(self) -> Response:
        """Wait for the end.

        Raises:
            RunFailed: the run ended with `error`; `partial` holds the text so far.
            RunCancelled: the run ended with `cancelled`; `partial` holds the text so far.
        """
        self.begin()
        await self._log.wait_end()
        end = self.check()
        outcome = self._outcome
        return Response(
            content=str(self.writer.text),
            output=self.output,
            finish_reason=end.finish_reason,
            usage=end.usage,
            metrics=end.metrics,
            messages=outcome.messages if outcome else (),
            run_id=self.id,
            model=self.model,
        )

    def check(self) -> Complete:
        """The terminal event of a run that ended well.

        Raises:
            RunFailed: it ended with `error`.
            RunCancelled: it ended with `cancelled`.
            UsageError: it has not ended.
        """
        end = self._end
        partial = str(self.writer.text)
        if isinstance(end, Error):
            raise RunFailed(
                end.code, end.message, retryable=end.retryable, partial=partial, run_id=self.id
            ) from self._cause
        if isinstance(end, Cancelled):
            raise RunCancelled(end.reason, partial=partial, run_id=self.id)
        if end is None:
            raise UsageError("The run has not ended yet.", hint="Await run.result().")
        return end

    async def cancel(self, reason: str = "cancelled") -> Event:
        """End the run: close its upstream, keep what was generated; gives the terminal event.

        A run that has ended stays as it ended. A driver that does not let go within the grace
        (5 s) is left behind and its later writes are refused.
        """
        self.begin()
        if not self._log.ended and self._stopped_at is None:
            self._reason = reason
            self._stop()
        return await self.wait()

    async def wait(self) -> Event:
        """The terminal event, once it may be shown; a wait costs nothing while the run goes on.

        Raises:
            HeadraceError: the log's `failure`.
        """
        self.begin()
        await self._log.wait_end()
        if self._end is None:
            raise UsageError("The run ended without a terminal event.")
        return self._end

    def send(self, text: str) -> int:
        """Say something into the live run: its next step takes it up as a user's message.

        A run that was about to end goes on for a step more. Gives the `seq` of the `input` event.

        Raises:
            RunEnded: it has ended.
        """
        self.begin()
        if self.writer.closed or self._stopped_at is not None:
            raise RunEnded(self.id)
        return self.writer.say(text).seq

    def decide(
        self,
        call_id: str,
        approved: bool,
        *,
        agent: str | None = None,
        by: str | None = None,
        reason: str | None = None,
        input: Any = None,
        seen: Any = UNSET,
    ) -> int:
        """Decide about a call that waits for a person; gives the `seq` of the `approval` event.

        Only the first decision counts. The arguments are those of `Decision`.

        Raises:
            NoApprovalNeeded: no such call waits (any more).
            ApprovalChanged: it waits with other arguments than `seen`.
            UsageError: `input` is no JSON object, or goes with a denial.
            InvalidArguments: the tool does not take `input`; the call waits on.
        """
        return self.decided(Decision(call_id, approved, agent, by, reason, input, seen)).seq

    def decided(self, decision: Decision) -> Approval:
        """The same with a decision that came from elsewhere; gives the event."""
        self.begin()
        if self._lost is not None:
            raise self._lost
        if self.writer.closed or self._stopped_at is not None:
            raise NoApprovalNeeded(decision.call_id)
        return self.writer.approvals.decide(decision)

    def pause(self) -> None:
        """A person is waited for: the run's deadline stands still."""
        if self._timer is not None and self._stopped_at is None:
            self._left = self._timer.when() - asyncio.get_running_loop().time()
            self._timer.cancel()

    def resume(self) -> None:
        """No one is waited for: the run's deadline goes on."""
        left, self._left = self._left, None
        ending = self.writer.closed or self._stopped_at is not None or self._lost is not None
        if left is not None and not ending:
            self._timer = asyncio.get_running_loop().call_later(left, self._expire)

    def hand_over(self) -> None:
        """Stop without an end: whoever takes the run up from its log goes on with it.

        Viewers here get `RunHandedOver`; nothing more is written.
        """
        if not self.writer.closed:
            self._log.fail(RunHandedOver(self.id))
            self._lose(RunHandedOver(self.id))

    def snapshot(self) -> RunState:
        """The run's state so far, folded from its log.

        Raises:
            UsageError: the run is private (made by `run_stream`, `run`): its log is not kept.
            ReplayGap: a stored run's first events are in memory no longer.
        """
        if self._private:
            raise UsageError(
                "This run keeps no log.", hint="Start it with agent.start() to look at it."
            )
        from headrace.runs.fold import Folder  # most runs are never folded here

        folder, after = Folder(), 0
        while batch := self._log.read(after):
            for event in batch:
                folder.add(event)
            after = batch[-1].seq
        return folder.state()

    def _withdrawn(self, event: Retract, given: str) -> RunFailed:
        return RunFailed(
            event.reason,
            f"Text that was already given was withdrawn ({event.reason}). Read the run's events, "
            "or start it with retract=False.",
            retryable=True,
            partial=given,
            run_id=self.id,
        )

    async def _main(self) -> None:
        try:
            self._outcome = await self._driver(self.writer)
            self._write_complete(self._outcome)
        except asyncio.CancelledError:
            self._write_stopped(None)
        except Exception as error:  # the run's one end is written, whatever its driver raised
            self._write_stopped(error)

    def _expire(self) -> None:
        """The time of the whole run is over."""
        self._late = DeadlineExceeded("run", self._deadline or 0)
        self._stop()

    def _stop(self) -> None:
        """Interrupt the driver, and go on without it where it does not let go."""
        self._stopped_at = self.writer.now()
        self._stopped_tools = dict(self.writer.tools)
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            self._timer = self._task.get_loop().call_later(self._grace, self._write_stopped, None)

    def _lose(self, failure: HeadraceError) -> None:
        """The log takes nothing more, though the run has not ended: stop the driver."""
        self._lost = failure
        self.writer.observers.lost()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _settle(self, task: asyncio.Task[None]) -> None:
        """Write the end that `_main` could not, as when it was cancelled before its first step."""
        error = None if task.cancelled() else task.exception()
        self._write_stopped(error if isinstance(error, Exception) else None)

    def _write_stopped(self, error: Exception | None) -> None:
        """The end of a run that did not complete: whoever stopped it first says which."""
        if self._late is not None:
            self._write_error(self._late)
        elif error is None or self._reason is not None:
            self._write_cancelled()
        else:
            self._write_error(error)

    def _write_complete(self, outcome: Outcome) -> None:
        writer = self.writer
        if writer.closed:
            return
        writer.close_open("left open")
        metrics = writer.meter.metrics(writer.now(), writer.usage)
        answer = Answer(writer.next_seq, writer.now(), "", str(writer.text))
        fields = (outcome.finish_reason, writer.usage, metrics, outcome.output)
        self._finish(Complete, *fields, before=answer)

    def _write_error(self, error: Exception) -> None:
        writer = self.writer
        if writer.closed:
            return
        self._cause = error
        writer.close_open("the run failed")
        metrics = writer.meter.metrics(writer.now(), writer.usage)
        if isinstance(error, HeadraceError):
            fields = (error.code, str(error), error.retryable)
        else:
            fields = ("internal", f"{type(error).__name__}: {error}", False)
        self._finish(Error, *fields, metrics, writer.usage)

    def _write_cancelled(self) -> None:
        writer = self.writer
        if writer.closed:
            return
        # The tools as they stood when the cancel came: the driver has ended them since.
        tools = dict(writer.tools) if self._stopped_tools is None else self._stopped_tools
        writer.close_open("cancelled")
        closed, stopped = writer.upstream_closed_at, self._stopped_at
        waited = None if closed is None or stopped is None else round((closed - stopped) * 1e3, 3)
        receipt = Receipt(str(writer.text), tools, waited)
        metrics = writer.meter.metrics(writer.now(), writer.usage)
        self._finish(Cancelled, self._reason or "interrupted", writer.usage, metrics, receipt)

    def _finish(
        self,
        kind: type[Complete | Error | Cancelled],
        *fields: object,
        before: Answer | None = None,
    ) -> None:
        """Write the terminal event, in one piece with the answer before it."""
        if self._timer is not None:
            self._timer.cancel()
        writer = self.writer
        events: list[Event] = [] if before is None else [before]
        # Set before the write: whoever the write wakes finds the end.
        self._end = kind(writer.next_seq + len(events), writer.now(), "", *fields)  # type: ignore[arg-type]
        writer.write((*events, self._end))
        for event in (*events, self._end):
            writer.observers.event(event)
