"""What a client asks for: the body of ``POST /v1/chat/completions``, pure.

Source: OpenAI API reference, "Create chat completion".

An agent on the server has its own instructions, tools and options. So options that only tune an
answer (``temperature``, ``max_tokens``, ``seed``, …) are passed over, and so is every unknown
field; those whose absence would change what the answer means are refused by name.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from headrace.errors import UsageError
from headrace.messages import Message
from headrace.protocols.openai_chat.conversation import AnyMessage, conversation

_SHOWN = 200
"""Characters of a long fault that are shown from its beginning and its end."""

_OWN_TOOLS = "The agent brings its own tools and runs them itself."
_AS_TEXT = "The agent answers with text. Ask for another form in your message."

# What each field may be, besides absent: only values that ask for nothing.
_REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "n": ((None, 1), "Send several requests."),
    "tools": ((None, []), _OWN_TOOLS),
    "tool_choice": ((None, "auto", "none"), _OWN_TOOLS),
    "functions": ((None, []), _OWN_TOOLS),
    "function_call": ((None, "auto", "none"), _OWN_TOOLS),
    "web_search_options": ((None,), _OWN_TOOLS),
    "response_format": ((None, {"type": "text"}), _AS_TEXT),
    "modalities": ((None, [], ["text"]), _AS_TEXT),
    "logprobs": ((None, False), "It is not known here."),
    "top_logprobs": ((None, 0), "It is not known here."),
    "logit_bias": ((None, {}), "It cannot be handed to the agent's model."),
    "stop": ((None, "", []), "Cut the answer yourself, or tell the agent where to end."),
    "moderation": ((None,), "This server moderates nothing."),
}


class CompletionRequest(Struct, frozen=True):
    """A request that was understood.

    Attributes:
        model: What the client names: here, an agent.
        history: The conversation before, oldest message first.
        input: Its last message.
        stream: Whether the answer is streamed.
        include_usage: Whether the stream ends with a chunk of usage.
    """

    model: str
    history: tuple[Message, ...]
    input: Message
    stream: bool = False
    include_usage: bool = False


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Body(Struct):
    model: str
    messages: list[AnyMessage]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: Any = None
    tools: Any = None
    tool_choice: Any = None
    functions: Any = None
    function_call: Any = None
    web_search_options: Any = None
    response_format: Any = None
    modalities: Any = None
    logprobs: Any = None
    top_logprobs: Any = None
    logit_bias: Any = None
    stop: Any = None
    moderation: Any = None


_decoder = msgspec.json.Decoder(_Body)


def parse_request(body: bytes) -> CompletionRequest:
    """Read a request's body, of which the server has bounded the size.

    Raises:
        UsageError: no JSON, a field of the wrong type, a message that cannot be taken, or an
            option that cannot be honoured. The message names the field, the hint says what to do.
    """
    given = _decode(body)
    for name, (harmless, hint) in _REFUSED.items():
        if getattr(given, name) not in harmless:
            raise UsageError(f"The option `{name}` cannot be honoured.", hint=hint)
    messages = conversation(given.messages)
    if not messages:
        raise UsageError("`messages` says nothing.", hint="Send at least one message of the user.")
    options = given.stream_options
    return CompletionRequest(
        given.model,
        tuple(messages[:-1]),
        messages[-1],
        bool(given.stream),
        bool(options and options.include_usage),
    )


def _decode(body: bytes) -> _Body:
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        fault = _short(str(error)).replace("`$.", "`")
        raise UsageError(
            f"The request is no chat completion: {fault}.",
            hint="The fields are those of OpenAI's Chat Completions.",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"The request's body cannot be read: {_short(str(error))}.",
            hint="Send one JSON object, in UTF-8.",
        ) from None


def _short(fault: str) -> str:
    """A fault may hold a value of any length between its words."""
    return fault if len(fault) <= 2 * _SHOWN else f"{fault[:_SHOWN]} … {fault[-_SHOWN:]}"
