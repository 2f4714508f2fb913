"""What all routes share: the runtime, its agents, who may do what, and who is watching."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Protocol

from headrace.agents.agent import Agent
from headrace.errors import (
    AgentUnknown,
    ConfigurationError,
    RequestRefused,
    RunNotFound,
    SessionNotFound,
    UsageError,
)
from headrace.events import Event
from headrace.messages import Message, MessageInput
from headrace.protocols.encoder import Encoder
from headrace.runs.policies import Policy, PolicyName
from headrace.runs.sessions import session_of
from headrace.runs.stores.record import RunRecord, SessionRecord, check_name
from headrace.runtime.handle import DetachedRun
from headrace.runtime.runtime import Busy, Runtime
from headrace.server.auth import Tickets, Users
from headrace.server.frames import Frames
from headrace.server.limits import Limits
from headrace.server.overview_board import Board, Viewing
from headrace.server.overview_feed import OverviewFeed
from headrace.server.run_log import RunTeller
from headrace.server.settings import Settings
from headrace.telemetry.prometheus import Prometheus

HAND_OVER = 5.0
"""Seconds beyond the grace that handing over may take, a store that hangs included."""

_logger = logging.getLogger("headrace.server")


class Onlooker(Protocol):
    """Something that shows what goes on here, and can be told to stop."""

    def stop(self) -> None:
        """End, and say so to whoever watches."""


class Watcher(Onlooker, Protocol):
    """An onlooker that shows one run."""

    @property
    def after(self) -> int:
        """The last event that it has taken."""
        ...


class Service:
    """One server's own; made once, opened with its runtime.

    Args:
        runtime: Keeps and runs the runs.
        agents: Whom requests may ask, the default one first.
        users: Who may ask.
        settings: The rest.
        why: Why the default agent's model is this one, where that is known.

    Raises:
        ConfigurationError: an operator whom the users' tokens do not know.

    Attributes:
        draining: Whether no new run is taken any more.
        hand_over: Seconds beyond the grace that handing over may take.
        overview: What the dashboard draws.
        figures: What ``/metrics`` tells.
    """

    def __init__(
        self,
        runtime: Runtime,
        agents: Sequence[Agent],
        users: Users,
        settings: Settings,
        why: str = "",
    ) -> None:
        _check_operators(settings.operators, users)
        self.runtime = runtime
        self.agents = {agent.name: agent for agent in agents}
        self.users = users
        self.settings = settings
        self.why = why
        self.tickets = Tickets()
        self.draining = False
        self.hand_over = HAND_OVER
        self._default = agents[0]
        self._limits = Limits(settings, lambda: set(runtime.live))
        self._teller = RunTeller(runtime, settings.log_prompts)
        self._frames: dict[str, Frames] = {}
        self._watchers: dict[Watcher, str] = {}
        self._onlookers: set[Onlooker] = set()
        self.overview = OverviewFeed(Board(self.viewing), runtime.store)
        self.figures = Prometheus()
        runtime.watches.extend((self.overview.board.watch, self.figures.watch))
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
        keep: int | None = None,
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
                keep=keep,
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

    def sees(self, user: str, owner: str) -> bool:
        """Whether a user may see and stop the runs of `owner`: one's own, or an operator any."""
        return user == owner or user in self.settings.operators

    def is_operator(self, user: str) -> bool:
        """Whether a user may see the figures of the whole server; without users, anyone may."""
        return not self.users or user in self.settings.operators

    def check_operator(self, user: str) -> None:
        """Let only those on who may see the figures of the whole server.

        Raises:
            RequestRefused: 403, where the server knows users and this one is no operator.
        """
        if not self.is_operator(user):
            raise RequestRefused(
                403,
                "operators_only",
                "The figures of the whole server are for its operators.",
                hint="Name one: headrace serve --operator USER.",
            )

    async def record(self, user: str, run_id: str) -> RunRecord:
        """The record of a run that the user may see.

        Raises:
            RunNotFound: there is none, or it is another user's: no one is told which.
        """
        record = await self.runtime.store.run(run_id)
        if not self.sees(user, record.user):
            raise RunNotFound(run_id)
        return record

    async def own(self, user: str, run_id: str) -> RunRecord:
        """The record of a run that the user may speak into: one's own.

        Raises:
            RunNotFound: as `record`.
            RequestRefused: 403, where an operator sees another user's run.
        """
        record = await self.record(user, run_id)
        if record.user != user:
            raise RequestRefused(
                403,
                "not_your_run",
                f"The run {run_id} is another user's: you may watch it and end it.",
                hint="What is said and approved in it is that user's to say.",
            )
        return record

    async def session(self, user: str, name: str) -> SessionRecord:
        """A user's session, by the name that the user gave it.

        Raises:
            InvalidId: nothing that can name a session.
            SessionNotFound: the user has none of this name.
        """
        check_name(name, "a session")
        try:
            found = await self.runtime.store.session(session_of(user, name))
        except SessionNotFound:
            raise SessionNotFound(name) from None
        if found.user != user:
            raise SessionNotFound(name)
        return found

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
        self._watchers[watcher] = run_id
        frames = self._frames.setdefault(run_id, Frames())
        frames.viewers += 1
        return frames

    def unwatch(self, run_id: str, watcher: Watcher) -> None:
        """They have stopped."""
        self._watchers.pop(watcher, None)
        frames = self._frames[run_id]
        frames.viewers -= 1
        if not frames.viewers:
            del self._frames[run_id]

    @property
    def watchers(self) -> int:
        """How many viewers there are: of runs, and of the server as a whole."""
        return len(self._watchers) + len(self._onlookers)

    def viewing(self) -> dict[str, Viewing]:
        """Who watches each run that anyone watches: a step for each viewer."""
        found: dict[str, Viewing] = {}
        for watcher, run_id in self._watchers.items():
            seen = found.get(run_id)
            if seen is None:
                found[run_id] = Viewing(1, watcher.after)
            else:
                seen.viewers += 1
                seen.after = min(seen.after, watcher.after)
        return found

    def look_on(self, onlooker: Onlooker) -> None:
        """Someone begins to look at the server as a whole: told when it stops."""
        self._onlookers.add(onlooker)

    def look_away(self, onlooker: Onlooker) -> None:
        """They have stopped."""
        self._onlookers.discard(onlooker)

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
        for onlooker in (*self._watchers, *self._onlookers):
            onlooker.stop()
        self._teller.stop()


def _variants(agents: Iterable[Agent], models: Iterable[str]) -> list[Agent]:
    """Each agent with each model that a request may name."""
    return [
        agent.with_model(model, name=_variant_name(agent, model))
        for model in models
        for agent in agents
    ]


def _check_operators(operators: Iterable[str], users: Users) -> None:
    """A name that is misspelt would leave a server without its operator, or give it to another."""
    unknown = [name for name in operators if name not in users.names]
    if users and unknown:
        raise ConfigurationError(
            f"No token is {unknown[0][:80]!r}'s, who shall be an operator.",
            hint=f"Name one of: {', '.join(sorted(users.names))}.",
        )


def _variant_name(agent: Agent, model: str) -> str:
    return f"{agent.name}@{model}"


def checked_agents(agents: Iterable[Agent]) -> list[Agent]:
    """The agents of a server.

    Raises:
        UsageError: there are none, two of one name, or something that is none.
    """
    found = list(agents)
    for agent in found:
        if not isinstance(agent, Agent):
            raise UsageError(
                f"A server's agents are Agents, not {type(agent).__name__}.",
                hint="Write app(agents=[Agent(…), …]); each has its name already.",
            )
    names = [agent.name for agent in found]
    if not found or len(set(names)) < len(names):
        raise UsageError(
            "A server has at least one agent, each of another name.",
            hint="Write app(agents=[Agent(name=…), …]).",
        )
    return found
