"""Who may ask whom and hand over to whom in a network: checked when it is built."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from headrace.agents.agent_tool import AgentTool
from headrace.agents.handoff import Handoff
from headrace.agents.made_with import listed
from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.agents.agent import Agent


class Routes:
    """The tools of a network's router that lead to other agents.

    Args:
        name: The network's.
        agents: Whom it may ask.
        handoffs: Whom it may hand over to, or who may hand over to whom (see `Network`).

    Attributes:
        agents: Every agent of the network, by its name here.
        asks: A tool for each that may be asked.
        handoffs: One for each that the router may hand over to.

    Raises:
        UsageError: as `Network`.
    """

    def __init__(
        self,
        name: str,
        agents: Iterable[Agent | AgentTool],
        handoffs: Iterable[str | Agent | Handoff] | Mapping[str, Iterable[str]],
    ) -> None:
        self._name = name
        self.agents: dict[str, Agent] = {}
        self.asks = [self._asked(each) for each in listed("agents", agents)]
        if isinstance(handoffs, Mapping):
            routes = {source: _several(source, targets) for source, targets in handoffs.items()}
            self._check(routes)
            self.handoffs = self._from(name, routes, {})
        else:
            self.handoffs = [self._handed(each) for each in _several(name, handoffs)]
        if not self.agents:
            raise UsageError(
                f"The network {name!r} has no agents.", hint="Name them: agents=[…], handoffs=[…]."
            )

    @property
    def tools(self) -> list[AgentTool | Handoff]:
        """All of them."""
        return [*self.asks, *self.handoffs]

    def _asked(self, given: Agent | AgentTool) -> AgentTool:
        from headrace.agents.agent import Agent

        if not isinstance(given, Agent | AgentTool):
            raise UsageError(
                f"The agents of {self._name!r} are Agents, not {type(given).__name__}.",
                hint="Make them first: agents=[Agent(…), Agent(…)].",
            )
        tool = given if isinstance(given, AgentTool) else AgentTool(given)
        self._take_in(tool.name, tool.agent)
        return tool

    def _handed(self, given: str | Agent | Handoff) -> Handoff:
        from headrace.agents.agent import Agent

        if isinstance(given, str):
            return Handoff(self._known(given))
        if not isinstance(given, Agent | Handoff):
            raise UsageError(
                f"The handoffs of {self._name!r} are Agents or names of its agents, not "
                f"{type(given).__name__}."
            )
        handoff = given if isinstance(given, Handoff) else Handoff(given)
        if self.agents.get(handoff.to) is not handoff.agent:
            self._take_in(handoff.to, handoff.agent)
        return handoff

    def _take_in(self, name: str, agent: Agent) -> None:
        if name == self._name:
            raise UsageError(
                f"An agent of the network {name!r} has the network's own name.",
                hint="Its events could not be told from the network's.",
            )
        if name in self.agents:
            raise UsageError(
                f"Two agents of the network {self._name!r} are named {name!r}.",
                hint='Give one another name: agent.as_tool("other_name").',
            )
        self.agents[name] = agent

    def _known(self, name: str) -> Agent:
        if not isinstance(name, str):
            raise UsageError(
                f"A mapping of handoffs names its agents, and {type(name).__name__} is no name.",
                hint='Write agents=[billing], handoffs={"desk": ["billing"]}.',
            )
        if name in self.agents:
            return self.agents[name]
        near = difflib.get_close_matches(name[:64], self.agents, n=1)
        guess = f"Did you mean {near[0]!r}? " if near else ""
        names = ", ".join(self.agents) or "none"
        raise UsageError(
            f"The network {self._name!r} has no agent named {name[:80]!r}.",
            hint=f"{guess}There are: {names}.",
        )

    def _check(self, routes: Mapping[str, list[str]]) -> None:
        """Every name is known, and every hand-off leads on to someone new and can be reached."""
        for source, targets in routes.items():
            if source != self._name:
                self._known(source)
            for target in targets:
                if target != self._name:
                    self._known(target)
        reached: set[str] = set()
        self._walk([self._name], routes, reached)
        if lost := [source for source in routes if source not in reached]:
            raise UsageError(
                f"{lost[0]!r} hands over, but no hand-off leads to it from {self._name!r}.",
                hint=f'Say who hands over to it: {{"{self._name}": ["{lost[0]}"], …}}.',
            )

    def _walk(self, way: list[str], routes: Mapping[str, list[str]], reached: set[str]) -> None:
        """Go every way once; what was reached on another one need not be gone again."""
        reached.add(way[-1])
        for target in routes.get(way[-1], ()):
            if target in way:
                raise UsageError(
                    f"The hand-offs of {self._name!r} go round: {' → '.join([*way, target])}.",
                    hint="Let one of them be asked as a tool in place of handing over.",
                )
            if target not in reached:
                self._walk([*way, target], routes, reached)

    def _from(
        self, source: str, routes: Mapping[str, list[str]], made: dict[str, Handoff]
    ) -> list[Handoff]:
        """The hand-offs of one agent; there is one to each agent, whoever hands over."""
        for target in routes.get(source, ()):
            if target not in made:
                further = self._from(target, routes, made)
                made[target] = Handoff(self._known(target), further=further)
        return [made[target] for target in routes.get(source, ())]


def _several(name: str, given: object) -> list[Any]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise UsageError(
            f"The handoffs of {name!r} are a list, not {given!r}.", hint='Write ["billing"].'
        )
    return list(given)
