"""The calls of a run that wait for a person, and what was decided about them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from time import time
from types import TracebackType
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from headrace.errors import ApprovalChanged, NoApprovalNeeded, UsageError
from headrace.events import Approval, ApprovalNeeded, Event, StepStart
from headrace.runs.waits import ends_wait, within

EXPIRED = "expired"
"""The reason of a call that no one decided about in time: it counts as denied."""

CHANGED = "the arguments changed"
"""The reason of a question that is asked again, because the call is not the one it was about."""


class Decision(Struct, frozen=True, omit_defaults=True):
    """What a person says about a call that waits.

    Attributes:
        call_id: Which call.
        approved: Whether it may run.
        agent: Path of the agent that calls; None where the id alone tells the call.
        by: Who decides.
        reason: Why; the model is told why a call was denied.
        input: Arguments to run it with, in place of the model's: one JSON object.
        seen: The arguments that were shown to the person; others are not decided about.

    Raises:
        UsageError: arguments that are no object, or for a call that shall not run.
    """

    call_id: str
    approved: bool
    agent: str | None = None
    by: str | None = None
    reason: str | None = None
    input: Any = None
    seen: Any | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.input is None:
            return
        if not isinstance(self.input, dict):
            raise UsageError("The arguments of a call are one JSON object.")
        if not self.approved:
            raise UsageError("A call that is denied takes no arguments.", hint="Approve it.")


class Clock(Protocol):
    """Something that runs out, and stands still while a person is waited for."""

    def pause(self) -> None:
        """Stand still."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...


class Approvals:
    """What waits in one run; made from its events, so that it outlives the process.

    Args:
        write: Writes an event, which `take` is told of.

    Attributes:
        answered: Whether anyone can decide here; in a run for one caller no one can.
    """

    def __init__(self, write: Callable[..., Any]) -> None:
        self.answered = True
        self._write = write
        self._waiting: dict[tuple[str, str], ApprovalNeeded] = {}
        self._decided: list[tuple[ApprovalNeeded, Approval]] = []  # of steps that go on
        self._waiters: dict[tuple[str, str], asyncio.Future[None]] = {}
        self._checks: dict[tuple[str, str], Callable[[Any], object]] = {}
        self._clocks: list[tuple[str, Clock]] = []

    @property
    def waiting(self) -> list[ApprovalNeeded]:
        """The calls that wait, oldest first."""
        return list(self._waiting.values())

    def take(self, event: Event) -> None:
        """Follow a structural event."""
        if isinstance(event, ApprovalNeeded):
            before = self._standing()
            self._waiting[event.agent, event.call_id] = event
            self._tell(before)
            return
        if isinstance(event, StepStart):  # what was decided was about calls of the step before
            self._decided = [each for each in self._decided if each[0].agent != event.agent]
        ended = [key for key in self._waiting if ends_wait(event, *key)]
        if not ended:
            return
        before = self._standing()
        for key in ended:
            needed = self._waiting.pop(key)
            if isinstance(event, Approval):
                self._decided.append((needed, event))
            waiter = self._waiters.pop(key, None)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        self._tell(before)

    def asked(self, agent: str, call_id: str, input: object) -> ApprovalNeeded | None:
        """The question about this very call that still waits.

        One about other arguments is withdrawn: it was another call.
        """
        needed = self._waiting.get((agent, call_id))
        if needed is None or same(needed.input, input):
            return needed
        self._write(Approval, agent, call_id, False, None, CHANGED)
        return None

    def decided(self, agent: str, call_id: str, input: object) -> Approval | None:
        """What was decided about this very call."""
        for needed, approval in reversed(self._decided):
            if (needed.agent, needed.call_id) == (agent, call_id) and same(needed.input, input):
                return approval
        return None

    def ask(self, agent: str, call_id: str, name: str, input: object) -> ApprovalNeeded:
        """Ask people about a call."""
        needed: ApprovalNeeded = self._write(ApprovalNeeded, agent, call_id, name, input)
        return needed

    async def decision(
        self,
        needed: ApprovalNeeded,
        timeout: float | None,
        check: Callable[[Any], object] | None = None,
    ) -> Approval:
        """Wait until someone decides.

        Args:
            needed: The question.
            timeout: Seconds from the question on, those without a process included; then the
                call is denied as ``expired``.
            check: Raises where a person's own arguments do not fit the tool.
        """
        key = needed.agent, needed.call_id
        if self._waiting.get(key) is needed:
            waiter = self._waiters[key] = asyncio.get_running_loop().create_future()
            if check is not None:
                self._checks[key] = check
            left = None if timeout is None else max(0.0, needed.at + timeout - time())
            try:
                await asyncio.wait((waiter,), timeout=left)
            finally:
                self._checks.pop(key, None)
                if self._waiters.get(key) is waiter:
                    del self._waiters[key]
            if not waiter.done():
                self._write(Approval, *key, False, None, EXPIRED)
        approval = self.decided(*key, needed.input)
        if approval is None:
            raise UsageError(f"The call {needed.call_id} was given up while it waited.")
        return approval

    def decide(self, decision: Decision) -> Approval:
        """Decide about a call that waits; only the first decision counts.

        Raises:
            NoApprovalNeeded: no such call waits, or several do and no agent is named.
            ApprovalChanged: it waits with other arguments than those that were seen.
            InvalidArguments: the tool does not take the person's own arguments; it waits on.
        """
        needed = find(self.waiting, decision)
        key = needed.agent, needed.call_id
        check = self._checks.get(key)
        if decision.input is not None and check is not None:
            check(decision.input)
        said = decision.by, decision.reason, decision.input
        written: Approval = self._write(Approval, *key, decision.approved, *said)
        return written

    def stands(self, path: str) -> bool:
        """Whether a call of the agent at `path`, or of one below it, waits."""
        return any(within(agent, path) for agent, _ in self._waiting)

    def clock(self, path: str, clock: Clock) -> None:
        """Stop this clock while a call of the agent at `path`, or of one below it, waits."""
        self._clocks.append((path, clock))
        if self.stands(path):
            clock.pause()

    def forget(self, clock: Clock) -> None:
        """The clock counts no more."""
        self._clocks = [each for each in self._clocks if each[1] is not clock]

    def _standing(self) -> list[bool]:
        return [self.stands(path) for path, _ in self._clocks]

    def _tell(self, before: list[bool]) -> None:
        for (path, clock), stood in zip(list(self._clocks), before, strict=True):
            stands = self.stands(path)
            if stands and not stood:
                clock.pause()
            elif stood and not stands:
                clock.resume()


class StandingStill:
    """While inside, an `asyncio.timeout` does not count the time for which people are waited for.

    Args:
        limit: The timeout, which was entered.
        path: Of the agent that it bounds.
        approvals: The run's.
    """

    def __init__(self, limit: asyncio.Timeout, path: str, approvals: Approvals) -> None:
        self._limit = limit
        self._path = path
        self._approvals = approvals
        self._left: float | None = None

    def __enter__(self) -> None:
        if self._limit.when() is not None:
            self._approvals.clock(self._path, self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._approvals.forget(self)

    def pause(self) -> None:
        """Stand still."""
        when = self._limit.when()
        if when is not None and not self._limit.expired():
            self._left = when - asyncio.get_running_loop().time()
            self._limit.reschedule(None)

    def resume(self) -> None:
        """Go on."""
        left, self._left = self._left, None
        if left is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + left)


class Asked(Protocol):
    """A call that waits, as an event or folded."""

    @property
    def call_id(self) -> str:
        """The call."""
        ...

    @property
    def agent(self) -> str:
        """Path of the agent that calls."""
        ...

    @property
    def input(self) -> Any:
        """Its arguments."""
        ...


A = TypeVar("A", bound=Asked)


def find(waiting: Iterable[A], decision: Decision) -> A:
    """The call that a decision is about.

    Raises:
        NoApprovalNeeded: as `Approvals.decide`.
        ApprovalChanged: as `Approvals.decide`.
    """
    call_id = decision.call_id
    found = [
        needed
        for needed in waiting
        if needed.call_id == call_id and decision.agent in (None, needed.agent)
    ]
    if len(found) != 1:
        raise NoApprovalNeeded(call_id, [needed.agent for needed in found])
    (needed,) = found
    if decision.seen is not UNSET and not same(_plain(decision.seen), _plain(needed.input)):
        raise ApprovalChanged(call_id)
    return needed


def same(one: object, other: object) -> bool:
    """Whether two JSON values are the same, whatever the order of their keys."""
    return _exact(one) == _exact(other)


def _plain(value: Any) -> Any:
    """The value with 5 for 5.0: JavaScript, through which people see it, has one kind of number."""
    match value:
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case float() if value.is_integer():
            return int(value)
    return value


def _exact(value: object) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def with_edit(text: str, edited: object) -> str:
    """What the model reads of a call that ran with a person's arguments.

    It must not believe that what it asked for was done as it asked for it.
    """
    if edited is None:
        return text
    return f"[A person changed the arguments to {_exact(edited).decode()}.]\n{text}"
