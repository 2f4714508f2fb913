"""`ConversationalAgent`: an agent that remembers what was said before, as far as it shall."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from headrace.agents.agent import Agent
from headrace.agents.conversation import Conversation, Kept
from headrace.agents.memory import LAST, Memory, last_messages
from headrace.agents.memory.model import MemoryModel
from headrace.agents.past import Past
from headrace.errors import UsageError
from headrace.messages import Message, as_messages
from headrace.models.model import Model
from headrace.runs.log import RunLog
from headrace.runs.response import Out
from headrace.runs.run import Driver, Run

if TYPE_CHECKING:
    from headrace.tools.tool import AnyTool

CONVERSATIONS = 1000
"""Conversations that an agent keeps by name; then the one that was used longest ago goes."""


class ConversationalAgent(Agent[Out]):
    """An agent for conversations: its model is shown what `memory` recalls of them.

    `conversation` gives a conversation that this object keeps. In a `Runtime` or a server, sessions
    keep them, and the memory is the same. What is kept is always whole; the memory only decides
    what goes to the model, before each of its calls. `run` and the other views of the agent itself
    are single turns, as of any agent: they know the `history` that they are given.

    Args:
        name: What people call it.
        model: As for `Agent`.
        instructions: The system message; always shown.
        tools: As for `Agent`.
        memory: `last_messages`, `token_budget` or `summary` of `headrace.agents.memory`, or one of
            your own; by default the newest 50 messages.
        conversations: How many it keeps by name.
        **rest: As for `Agent`.

    Raises:
        UsageError: a memory that is none, fewer than one conversation; and as `Agent`.
    """

    def __init__(
        self,
        name: str = "assistant",
        model: str | Model | None = None,
        instructions: str = "",
        tools: Iterable[Callable[..., Any] | AnyTool] = (),
        *,
        memory: Memory | None = None,
        conversations: int = CONVERSATIONS,
        **rest: Any,
    ) -> None:
        self.memory = last_messages(LAST) if memory is None else memory
        if isinstance(self.memory, type) or not isinstance(self.memory, Memory):
            raise UsageError(
                f"A memory has a method recall, and {self.memory!r} has none.",
                hint="Write memory=last_messages(20), from headrace.agents.memory.",
            )
        if conversations < 1:
            raise UsageError("An agent keeps at least 1 conversation.")
        self._conversations = conversations
        self._by_name: OrderedDict[str, Kept] = OrderedDict()
        self._kept: Kept | None = None
        super().__init__(name, model, instructions, tools, **rest)

    def conversation(self, name: str = "", *, history: Iterable[Message] = ()) -> Conversation:
        """A conversation: a new one, or the one of that name.

        Args:
            name: Whose or which it is, such as a user's id; it is kept until so many others were
                used since. Without one it lives as long as what this returns.
            history: What was said before, for one that is new.

        Raises:
            UsageError: `history` that is no messages.
        """
        kept = self._by_name.get(name) if name else None
        if kept is None:
            kept = Kept(name, as_messages(history))
        if name:
            self._by_name[name] = kept
            self._by_name.move_to_end(name)
            self._forget_oldest()
        bound = copy.copy(self)
        bound._kept = kept
        return Conversation(bound, kept)

    def forget(self, name: str) -> None:
        """Forget a conversation, if there is one of that name."""
        self._by_name.pop(name, None)

    def with_model(self, model: str | Model, name: str | None = None) -> Self:
        """The same agent on another model, with conversations of its own."""
        other = super().with_model(model, name)
        other._by_name = OrderedDict()
        return other

    def make_run(
        self,
        messages: Sequence[Message],
        *,
        context: Mapping[str, Any] | None = None,
        retract: bool = True,
        private: bool = False,
        session: str | None = None,
        log: RunLog | None = None,
        id: str | None = None,
        past: Callable[[], Awaitable[Past]] | None = None,
        deadline: float | None = None,
        around: Callable[[Driver], Driver] | None = None,
    ) -> Run:
        """As `Agent.make_run`; in a conversation `messages` is what is said now."""
        kept = self._kept
        if kept is not None:
            input = list(messages)
            session = kept.name or None

            async def past() -> Past:
                begun = kept.before(input)
                run.asked = begun.state.messages
                return begun

            def around(driver: Driver) -> Driver:
                return kept.turn_of(input, driver)

        run = super().make_run(
            messages,
            context=context,
            retract=retract,
            private=private,
            session=session,
            log=log,
            id=id,
            past=past,
            deadline=deadline,
            around=around,
        )
        return run

    def _read_by(self, model: Model) -> Model:
        return MemoryModel(super()._read_by(model), self.memory)

    def _forget_oldest(self) -> None:
        """Those with a turn under way stay."""
        over = len(self._by_name) - self._conversations
        idle = [name for name, kept in self._by_name.items() if not kept.busy]
        for name in idle[: max(0, over)]:
            del self._by_name[name]
