"""`DetachedRun`: a run of a runtime, by its id, wherever it lives."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from headrace.errors import RunCancelled, RunFailed
from headrace.events import Cancelled, Error, Event
from headrace.runs.fold import Folder, RunState
from headrace.runs.policies import Policy, PolicyName
from headrace.runs.response import Response
from headrace.runs.stores.record import RunRecord
from headrace.runtime.spec import decode_spec
from headrace.usage import Metrics

if TYPE_CHECKING:
    from headrace.runtime.runtime import Runtime


class DetachedRun:
    """A run that goes on whoever leaves; letting go of this changes nothing.

    Attributes:
        id: The run.
        record: As it was submitted, or found by its idempotency key.
        created: Whether this submit has started it.
    """

    def __init__(self, runtime: Runtime, record: RunRecord, *, created: bool) -> None:
        self._runtime = runtime
        self.record = record
        self.id = record.id
        self.created = created

    def __repr__(self) -> str:
        return f"<DetachedRun {self.id}>"

    async def batches(
        self, after: int = 0, policy: Policy | PolicyName = "merge"
    ) -> AsyncGenerator[list[Event]]:
        """A viewer (see `Runtime.attach`)."""
        async with aclosing(await self._runtime.attach(self.id, after, policy)) as viewer:
            async for batch in viewer:
                yield batch

    async def events(self, after: int = 0) -> AsyncGenerator[Event]:
        """Each event behind `after`, as it comes, to the run's end."""
        async for batch in self.batches(after):
            for event in batch:
                yield event

    async def cancel(self, reason: str = "cancelled") -> Event:
        """End the run; gives its terminal event."""
        return await self._runtime.cancel(self.id, reason)

    async def send(self, text: str) -> None:
        """Say something into the live run (see `Runtime.send`)."""
        await self._runtime.send(self.id, text)

    async def decide(
        self,
        call_id: str,
        approved: bool,
        *,
        agent: str | None = None,
        by: str | None = None,
        reason: str | None = None,
        input: Any = None,
        seen: Any = UNSET,
    ) -> None:
        """Decide about a call that waits for a person (see `Runtime.decide`)."""
        await self._runtime.decide(
            self.id,
            call_id,
            approved,
            agent=agent,
            by=by,
            reason=reason,
            input=input,
            seen=seen,
        )

    async def snapshot(self) -> RunState:
        """The run's state so far (see `Runtime.snapshot`)."""
        return await self._runtime.snapshot(self.id)

    async def result(self) -> Response:
        """Wait for the end.

        `messages` are the run's history, its input and what it added. In a session the history is
        the session's (`Store.session`) and not repeated here.

        Raises:
            RunFailed: the run ended with `error`; `partial` holds the text so far.
            RunCancelled: the run ended with `cancelled`; `partial` holds the text so far.
        """
        folder = Folder()  # not a snapshot: what is seen here may not be kept long
        end: Event | None = None
        async for batch in self.batches():
            for event in batch:
                folder.add(event)
            end = batch[-1]
        state = folder.state()
        if isinstance(end, Error):
            raise RunFailed(
                end.code, end.message, retryable=end.retryable, partial=state.text, run_id=self.id
            )
        if isinstance(end, Cancelled):
            raise RunCancelled(end.reason, partial=state.text, run_id=self.id)
        spec = decode_spec(self.record.spec)
        return Response(
            content=state.text,
            output=self._output(state),
            finish_reason=state.finish_reason or "stop",
            usage=state.usage,
            metrics=state.metrics or Metrics(),
            messages=(*spec.history, *spec.input, *state.messages),
            run_id=self.id,
            model=state.model,
        )

    def _output(self, state: RunState) -> Any:
        """The output as an instance of its type where the agent is here, else its JSON value."""
        told = state.text if state.output is None else state.output
        agent = self._runtime.agents.get(self.record.agent)
        if agent is None or agent.output is None:
            return told
        said = (message.text for message in reversed(state.messages) if message.role == "assistant")
        return agent.output.restored(next(said, ""), told)
