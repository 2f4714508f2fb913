"""What an agent remembers of a conversation when its model is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from headrace.agents.memory.summaries import Summary, summary
from headrace.agents.memory.window import newest, tokens_of
from headrace.errors import UsageError
from headrace.messages import Message

__all__ = [
    "LastMessages",
    "Memory",
    "Summary",
    "TokenBudget",
    "last_messages",
    "summary",
    "token_budget",
]

LAST = 50
"""Messages that a `ConversationalAgent` remembers where nothing else is said."""


@runtime_checkable
class Memory(Protocol):
    """A strategy: what of a conversation goes to the model."""

    def recall(self, messages: Sequence[Message], scale: float = 1.0) -> Sequence[Message]:
        """What the model is shown; pure, and asked before each model call.

        It keeps each tool call together with its result, and begins with a user's message:
        `headrace.agents.memory.window.newest` does.

        Args:
            messages: The whole conversation, oldest first; instructions as a system message.
            scale: What the provider counted for the run's last request, over the estimate
                (`tokens_of`) of it; 1.0 before that is known.
        """
        ...


class LastMessages(Struct, frozen=True):
    """The newest messages; see `last_messages`."""

    count: int

    def recall(self, messages: Sequence[Message], scale: float = 1.0) -> Sequence[Message]:
        """The newest `count`, system messages beside them."""
        return newest(messages, self.count, lambda message: message.role != "system")


class TokenBudget(Struct, frozen=True):
    """As much of the newest as fits; see `token_budget`."""

    tokens: int

    def recall(self, messages: Sequence[Message], scale: float = 1.0) -> Sequence[Message]:
        """The newest messages that have `tokens` in all, system messages included."""
        return newest(messages, self.tokens / scale, tokens_of)


def last_messages(count: int) -> LastMessages:
    """Remember the newest `count` messages; instructions do not count.

    What a person said last and the step after it are always shown, and a call of tools counts with
    its results, so a request may have a few more.

    Raises:
        UsageError: `count` is below 1.
    """
    if count < 1:
        raise UsageError(f"An agent remembers at least 1 message, not {count}.")
    return LastMessages(count)


def token_budget(tokens: int) -> TokenBudget:
    """Remember as many of the newest messages as have `tokens` tokens in all.

    Instructions count, the tools' schemas do not. Tokens are estimated: four bytes of text are one,
    an image or a file is 1000. Once the provider has said how many a request of the run really
    had, estimates are scaled by that. What a person said last and the step after it are always
    shown, however long they are.

    Raises:
        UsageError: `tokens` is below 1.
    """
    if tokens < 1:
        raise UsageError(f"A budget has at least 1 token, not {tokens}.")
    return TokenBudget(tokens)
