"""What all routes share: the runtime, its agents, who may do what, and who is watching."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Protocol

from headrace.agents.agent import Agent
from headrace.errors import AgentUnknown, RequestRefused, RunNotFound, UsageError
from headrace.events import Event
from headrace.messages import Message, MessageInput
from headrace.protocols.encoder import Encoder
from headrace.runs.policies import Policy, PolicyName
from headrace.runs.sessions import session_of
from headrace.runs.stores.record import RunRecord
from headrace.runtime.handle import DetachedRun
from headrace.runtime.runtime import Busy, Runtime
from headrace.server.auth import Tickets, Users
from headrace.server.frames import Frames
from headrace.server.limits import Limits
from headrace.server.run_log import RunTeller
from headrace.server.settings import Settings

HAND_OVER = 5.0
"""Seconds beyond the grace that handing over may take, a store that hangs included."""

_logger = logging.getLogger("headrace.server")


class Watcher(Protocol):
    """Something that shows runs, and can be told to stop."""

    def stop(self) -> None:
        """End, and say so to whoever watches."""


class Service:
    """One server's own; made once, opened with its runtime.

    Args:
        runtime: Keeps and runs the runs.
        agents: Whom requests may ask, the default one first.
        users: Who may ask.
        settings: The rest.

    Attributes:
        draining: Whether no new run is taken any more.
        hand_over: Seconds beyond the grace that handing over may take.
    """

    def __init__(
        self, runtime: Runtime, agents: Sequence[Agent], users: Users, settings: Settings
    ) -> None:
        self.runtime = runtime
        self.agents = {agent.name: agent for agent in agents}
        self.users = users
        self.settings = settings
        self.tickets = Tickets()
        self.draining = False
        self.hand_over = HAND_OVER
        self._default = agents[0]
        self._limits = Limits(settings, lambda: set(runtime.live))
        self._teller = RunTeller(runtime, settings.log_prompts)
        self._frames: dict[str, Frames] = {}
        self._watchers: set[Watcher] = set()
        for agent in _variants(agents, settings.models):  # so that recovery finds them, too
            runtime.agents.setdefault(agent.name, agent)

    async def start(
        self,
        user: str,
        input: MessageInput,
        *,
        agent: str | None = None,
        model: str | None = None,
        session: str | None = None,
        history: Iterable[Message] | None = None,
        idempotency_key: str | None = None,
        retract: bool = True,
        busy: Busy | None = None,
    ) -> DetachedRun:
        """Begin a run for a user.

        Raises:
            RequestRefused: the server is stopping (503), the user has enough runs (429), or asks
                for a model that may not be asked for (400).
            HeadraceError: as `Runtime.submit`.
        """
        if self.draining:
            raise RequestRefused(
                503,
                "draining",
                "The server is stopping and takes no new runs.",
                hint="Try again: another one will answer.",
                retry_after=self.settings.grace,
            )
        chosen = self.agent(agent, model)
        with self._limits.admit(user) as admission:
            run = await self.runtime.submit(
                chosen,
                input,
                session=None if session is None else session_of(user, session),
                history=history,
                idempotency_key=idempotency_key,
                retract=retract,
                user=user,
                busy=busy,
            )
            if run.created:
                admission.run_id = run.id
                self._teller.tell(run, user)
        return run

    def agent(self, name: str | None = None, model: str | None = None) -> Agent:
        """The agent that a request means.

        Raises:
            AgentUnknown: none of this name.
            RequestRefused: a model that requests may not name.
        """
        if name is None:
            found = self._default
        elif name in self.agents:
            found = self.agents[name]
        else:
            known = ", ".join(self.agents)
            raise AgentUnknown(f"There is no agent {name[:80]!r}.", hint=f"Known: {known}.")
        if model is None:
            return found
        if model not in self.settings.models:
            allowed = ", ".join(self.settings.models) or "none besides the agent's own"
            raise RequestRefused(
                400,
                "model_not_allowed",
                f"A request may not ask for the model {model[:80]!r}.",
                hint=f"It may name: {allowed}.",
            )
        return self.runtime.agents[_variant_name(found, model)]

    async def record(self, user: str, run_id: str) -> RunRecord:
        """The record of a user's own run.

        Raises:
            RunNotFound: there is none, or it is another user's: no one is told which.
        """
        record = await self.runtime.store.run(run_id)
        if record.user != user:
            raise RunNotFound(run_id)
        return record

    async def attach(
        self,
        record: RunRecord,
        encoder: Encoder,
        after: int = 0,
        policy: Policy | PolicyName = "merge",
    ) -> AsyncGenerator[list[Event]]:
        """A viewer behind `after`; the encoder is brought there.

        Raises:
            InvalidCursor: an `after` that no event of the run ever had.
            ReplayGap: events that are kept no longer.
        """
        viewer = await self.runtime.attach(record.id, after, policy)
        if encoder.primed:
            at = 0
            while at < after:
                events = await self.runtime.store.read(record.id, at)
                encoder.encode([event for event in events if event.seq <= after])
                at = events[-1].seq
        return viewer

    def watch(self, run_id: str, watcher: Watcher) -> Frames:
        """Someone begins to show a run; what they share with the others who do."""
        self._watchers.add(watcher)
        frames = self._frames.setdefault(run_id, Frames())
        frames.viewers += 1
        return frames

    def unwatch(self, run_id: str, watcher: Watcher) -> None:
        """They have stopped."""
        self._watchers.discard(watcher)
        frames = self._frames[run_id]
        frames.viewers -= 1
        if not frames.viewers:
            del self._frames[run_id]

    @property
    def watchers(self) -> int:
        """How many viewers there are."""
        return len(self._watchers)

    async def drain(self, grace: float | None = None) -> None:
        """Take no more runs, wait for the live ones, hand over the rest, end every viewer.

        Bounded: what does not let go within a few seconds more is left to the end of the process.
        """
        if self.draining:
            return
        self.draining = True
        grace = self.settings.grace if grace is None else grace
        live = len(self.runtime.live)
        if live:
            _logger.info("Stopping: %d live runs have %g s to end", live, grace)
        try:
            async with asyncio.timeout(grace + self.hand_over):
                await self.runtime.aclose(grace)
        except TimeoutError:
            _logger.warning("Stopping: something holds on to its run, and is left behind")
        for watcher in list(self._watchers):
            watcher.stop()
        self._teller.stop()


def _variants(agents: Iterable[Agent], models: Iterable[str]) -> list[Agent]:
    """Each agent with each model that a request may name."""
    return [
        agent.with_model(model, name=_variant_name(agent, model))
        for model in models
        for agent in agents
    ]


def _variant_name(agent: Agent, model: str) -> str:
    return f"{agent.name}@{model}"


def checked_agents(agents: Iterable[Agent]) -> list[Agent]:
    """The agents of a server.

    Raises:
        UsageError: there are none, or two of one name.
    """
    found = list(agents)
    names = [agent.name for agent in found]
    if not found or len(set(names)) < len(names):
        raise UsageError(
            "A server has at least one agent, each of another name.",
            hint="Write app(agents=[Agent(name=…), …]).",
        )
    return found
