"""A conversation in this process: what was said, and one turn after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.agents.memory.window import newest
from headrace.agents.next_step import State
from headrace.agents.past import Past
from headrace.errors import SessionBusy, UsageError
from headrace.messages import Message, MessageInput
from headrace.models.chunk import StreamChunk
from headrace.runs.response import Response
from headrace.runs.run import Driver, Outcome, Run
from headrace.runs.sessions import Said
from headrace.runs.writer import Writer
from headrace.views.chunks import OnError

if TYPE_CHECKING:
    from headrace.agents.conversational import ConversationalAgent
    from headrace.views.channel import Channel

MAX_MESSAGES = 1000
"""Messages of one conversation; past it, the older half goes."""

MAX_SIZE = 4 << 20
"""Their bytes as JSON; past it, the older half goes."""

MAX_WAITING = 16
"""Turns that may wait for one conversation."""


class Kept:
    """What one conversation holds, and whose turn it is.

    Args:
        name: What people call it.
        messages: What was said before.
    """

    def __init__(self, name: str, messages: Iterable[Message] = ()) -> None:
        self.name = name
        self.messages: tuple[Message, ...] = ()
        self._size = 0
        self._turns = 0
        self._lock = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._guard = threading.Lock()
        self.add(messages)

    @property
    def busy(self) -> bool:
        """Whether it has a turn under way."""
        return self._turns > 0

    def add(self, messages: Iterable[Message]) -> None:
        """Put to it what was said; where it grows too long, the older half goes."""
        messages = tuple(messages)
        self.messages += messages
        self._size += sum(map(_size, messages))
        if len(self.messages) > MAX_MESSAGES:
            self._keep(newest(self.messages, MAX_MESSAGES // 2, lambda _: 1))
        if self._size > MAX_SIZE:
            self._keep(newest(self.messages, MAX_SIZE // 2, _size))

    def clear(self) -> None:
        """Forget what was said."""
        self._keep(())

    def turn_of(self, input: list[Message], driver: Driver) -> Driver:
        """The driver of a run that waits for its turn, and keeps what was said in it.

        Args:
            input: What a person says in it.
            driver: The run's own.
        """

        async def turn(writer: Writer) -> Outcome:
            async with self._turn():
                said = Said(input)
                writer.on_event = said.add
                try:
                    return await driver(writer)
                finally:  # also of an answer that was stopped: its reader saw what there is of it
                    self.add(said.messages())

        return turn

    def before(self, input: list[Message]) -> Past:
        """Where a turn begins: after what was said, which is known once it is its turn."""
        messages = (*self.messages, *input)
        return Past(State(messages), said=len(messages))

    def _keep(self, messages: tuple[Message, ...]) -> None:
        self.messages = messages
        self._size = sum(map(_size, messages))

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        """One at a time, first come first served."""
        self._queue_up(asyncio.get_running_loop())
        try:
            async with self._lock:
                yield
        finally:
            with self._guard:
                self._turns -= 1

    def _queue_up(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._guard:
            if self._turns and self._loop is not loop:
                raise UsageError(
                    f"The conversation {self.name!r} has a turn in another event loop.",
                    hint="Wait for its end: turns wait for each other in one event loop only.",
                )
            if self._turns > MAX_WAITING:
                raise SessionBusy(self.name, f"and {MAX_WAITING} turns wait for it")
            if not self._turns:
                self._lock, self._loop = asyncio.Lock(), loop
            self._turns += 1


class Conversation:
    """A conversation with an agent, which knows what was said before.

    `ConversationalAgent.conversation` gives it. It has the views of an agent, and each call is one
    turn. A turn that is begun while another is under way waits for its end. What was said is kept
    when a turn ends, also what there is of an answer that was stopped or broke off; of a turn
    without any answer nothing is.
    """

    def __init__(self, agent: ConversationalAgent, kept: Kept) -> None:
        self._agent = agent
        self._kept = kept

    def __repr__(self) -> str:
        return f"<Conversation {self.name!r} with {self._agent.name!r}>"

    @property
    def name(self) -> str:
        """What it is called; also the `session` of its runs."""
        return self._kept.name

    @property
    def messages(self) -> tuple[Message, ...]:
        """What was said, oldest first; the newest 1000 messages and 4 MiB at most."""
        return self._kept.messages

    def clear(self) -> None:
        """Forget what was said.

        Raises:
            SessionBusy: a turn is under way.
        """
        if self._kept.busy:
            raise SessionBusy(self.name, "and cannot be cleared")
        self._kept.clear()

    def start(
        self,
        input: MessageInput,
        *,
        context: Mapping[str, Any] | None = None,
        retract: bool = True,
    ) -> Run:
        """The run of one turn, as `Agent.start`."""
        return self._agent.start(input, context=context, retract=retract)

    async def run(
        self, input: MessageInput, *, context: Mapping[str, Any] | None = None
    ) -> Response[Any]:
        """One turn, as `Agent.run`.

        Raises:
            RunFailed: it failed, or too many wait for their turn (code ``session_busy``).
        """
        return await self._agent.run(input, context=context)

    def run_stream(
        self,
        message: MessageInput,
        *,
        context: Mapping[str, Any] | None = None,
        on_error: OnError = "raise",
    ) -> AsyncGenerator[StreamChunk]:
        """One turn as it comes, as `Agent.run_stream`."""
        return self._agent.run_stream(message, context=context, on_error=on_error)

    async def execute_stream(
        self,
        task: MessageInput,
        channel: Channel[str],
        *,
        context: Mapping[str, Any] | None = None,
    ) -> Response[Any]:
        """One turn into a channel, as `Agent.execute_stream`."""
        return await self._agent.execute_stream(task, channel, context=context)

    async def run_callback(
        self,
        input: MessageInput,
        on_chunk: Callable[[str], Awaitable[None] | None],
        *,
        context: Mapping[str, Any] | None = None,
    ) -> Response[Any]:
        """One turn, piece by piece to a function, as `Agent.run_callback`."""
        return await self._agent.run_callback(input, on_chunk, context=context)

    def run_sync(
        self, input: MessageInput, *, context: Mapping[str, Any] | None = None
    ) -> Response[Any]:
        """One turn without an event loop, as `Agent.run_sync`."""
        return self._agent.run_sync(input, context=context)

    def stream_sync(
        self, input: MessageInput, *, context: Mapping[str, Any] | None = None
    ) -> Generator[StreamChunk]:
        """One turn as it comes, without an event loop, as `Agent.stream_sync`."""
        return self._agent.stream_sync(input, context=context)


def _size(message: Message) -> int:
    return len(msgspec.json.encode(message))
