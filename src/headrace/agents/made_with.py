"""What an agent is made with, checked where it is made: what cannot be says so in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.errors import UnknownOption, UsageError
from headrace.messages import Message, MessageInput, as_messages
from headrace.models.model import Model
from headrace.models.request import Options


def listed(name: str, given: Any) -> list[Any]:
    """Several things, as a list.

    Args:
        name: The argument's.
        given: What was given for it.

    Raises:
        UsageError: it is one thing, or a text.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise UsageError(f"`{name}` is a list, not {_kind(given)}.", hint=f"Write {name}=[…].")
    return list(given)


def counted(name: str, given: Any) -> int:
    """A number of at least 1.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(given, int) or given < 1:
        raise UsageError(f"`{name}` is a whole number of at least 1, not {str(given)[:80]!r}.")
    return given


def called(name: str, given: Any) -> Any:
    """A function.

    Raises:
        UsageError: it is none.
    """
    if callable(given):
        return given
    raise UsageError(f"`{name}` is a function, not {_kind(given)}.")


def instance(name: str, given: Any, of: type[Any]) -> None:
    """Check that a setting is one of its kind.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(given, of):
        raise UsageError(
            f"`{name}` is a {of.__name__}, not {_kind(given)}.",
            hint=f"Write {name}={of.__name__}(…), from {of.__module__}.",
        )


def conversation(history: Iterable[Message], input: MessageInput) -> list[Message]:
    """What a model is asked.

    Raises:
        UsageError: one of them holds something else than messages.
    """
    if not history:
        return as_messages(input)
    return [*as_messages(listed("history", history)), *as_messages(input)]


def options_of(given: Mapping[str, Any], own: Iterable[str]) -> Options:
    """The model's options among an agent's arguments.

    Args:
        given: What is none of the agent's own.
        own: The names of these, one of which may have been meant.

    Raises:
        UnknownOption: there is none of this name.
        UsageError: one has a wrong value.
    """
    for name in given:
        near = difflib.get_close_matches(name, own, n=1)
        if near and name not in Options.__struct_fields__:
            raise UnknownOption(f"Unknown option {name!r}.", hint=f"Did you mean {near[0]}?")
    return Options.of(**given)


def model_or_name(given: Any) -> str | Model | None:
    """A model, the name of one, or None; nothing is looked up.

    Raises:
        UsageError: it is none of these.
    """
    named = given is None or isinstance(given, str)
    if named or (hasattr(given, "stream") and not isinstance(given, type)):
        return given  # type: ignore[no-any-return]  # whether it is one shows when it is asked
    raise UsageError(
        f"`model` is a model or the name of one, not {_kind(given)}.",
        hint='Write model="openai:gpt-5-mini", or give an object that was made.',
    )


def _kind(given: Any) -> str:
    """``the class Budget``, ``5``, ``an Agent`` - short, and nothing of what is in it."""
    if isinstance(given, type):
        return f"the class {given.__name__}"
    if isinstance(given, int | float | str | None):
        return repr(given)[:80]
    return f"one {type(given).__name__}"
