"""What goes into a model: messages, tools and options."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from headrace.errors import UnknownOption, UsageError
from headrace.messages import Message, MessageInput, as_messages


class ToolSpec(Struct, frozen=True):
    """A tool as a model sees it.

    Attributes:
        name: 1 to 64 of ``a-z A-Z 0-9 _ -``.
        description: What it does, for the model.
        parameters: JSON Schema of its arguments: an object.
    """

    name: str
    description: str
    parameters: dict[str, Any]


class Options(Struct, frozen=True, omit_defaults=True):
    """How a model shall answer; None leaves a thing to the provider.

    Attributes:
        temperature: 0 to 2.
        max_tokens: Most tokens to generate, from 1.
        top_p: 0 to 1.
        stop: Texts that end the answer.
        seed: For providers that can repeat an answer.
        tool_choice: ``auto``, ``none``, ``required`` or a tool's name.
        response_format: ``json_object``, or a JSON Schema (an object with ``name`` and ``schema``).
        reasoning_effort: The provider's word, such as ``low``, ``medium``, ``high``.
        extra: Passed through into the request's body as it is; it wins over everything else.
    """

    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    tool_choice: str | None = None
    response_format: str | dict[str, Any] | None = None
    reasoning_effort: str | None = None
    extra: dict[str, Any] = {}

    @classmethod
    def of(cls, **given: Any) -> Options:
        """Make options from keyword arguments.

        Raises:
            UnknownOption: for a name that is no option; the message lists the known ones.
            UsageError: for a value of the wrong type or out of range.
        """
        for name in given:
            if name not in cls.__struct_fields__:
                raise _unknown(name, cls.__struct_fields__)
        given = {name: value for name, value in given.items() if value is not None}
        if isinstance(given.get("stop"), str):
            given["stop"] = (given["stop"],)
        try:
            options = msgspec.convert(given, cls, strict=True)
        except msgspec.ValidationError as error:
            raise UsageError(f"A model option has a wrong value: {error}.") from None
        _check_range("temperature", options.temperature, 0, 2)
        _check_range("top_p", options.top_p, 0, 1)
        _check_range("max_tokens", options.max_tokens, 1, None)
        return options

    def over(self, base: Options) -> Options:
        """These options where they say something, `base` elsewhere; `extra` is merged."""
        merged = {
            name: getattr(self, name) if getattr(self, name) is not None else getattr(base, name)
            for name in self.__struct_fields__
        }
        merged["stop"] = self.stop or base.stop
        merged["extra"] = {**base.extra, **self.extra}
        return Options(**merged)


class ModelRequest(Struct, frozen=True):
    """One call of a model.

    Attributes:
        messages: The conversation, oldest first.
        tools: The tools that the model may call.
        options: How it shall answer.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    options: Options = Options()

    @classmethod
    def of(
        cls, input: MessageInput, *, tools: Iterable[ToolSpec] = (), **options: Any
    ) -> ModelRequest:
        """Make a request from text, a message or a conversation, and option names.

        Raises:
            UnknownOption: for a name that is no option.
            UsageError: for input or a value of the wrong shape.
        """
        return cls(tuple(as_messages(input)), tuple(tools), Options.of(**options))


def _check_range(name: str, value: float | None, low: float, high: float | None) -> None:
    if value is None or (low <= value and (high is None or value <= high)):
        return
    limit = f"from {low} to {high}" if high is not None else f"at least {low}"
    raise UsageError(f"The option {name} is {limit}, not {value}.")


def _unknown(name: str, known: Iterable[str]) -> UnknownOption:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return UnknownOption(
        f"Unknown model option {name!r}.",
        hint=f"{hint}Known options: {', '.join(names)}. "
        "A provider's own parameter goes into extra={...}.",
    )


def options_from(given: Mapping[str, Any]) -> Options:
    """`Options.of(**given)`, for callers that hold a mapping."""
    return Options.of(**given)
