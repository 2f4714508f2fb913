"""One conversation that has everything, as a server plays it, and what every view must say of it.

The model thinks, speaks, asks for two tools at once and for one that fails, hears of it, and
speaks again. The tools are those of `headrace run --tools`, so that the command can play it too.
"""

from __future__ import annotations

from headrace.messages import ToolCall
from headrace.usage import Usage
from tests.providers.chat_bodies import CALLED, DONE, call, calls, chunk, event, finish
from tests.support.loopback import Script, stream

FIRST = ("Let me ", "work that ", "out. ")
SECOND = ("It is 42", " and 1,024;\n", "the third 無理 fails.")
TEXT = "".join(FIRST + SECOND)
THOUGHT = "Two sums, then one that cannot be."
CALLS = (
    ToolCall("a", "calculator", '{"expression": "6 * 7"}'),
    ToolCall("b", "calculator", '{"expression": "2 ^ 10"}'),
    ToolCall("c", "calculator", '{"expression": "1 / 0"}'),
)
FIRST_USAGE = Usage(input=100, output=30, cached=20, reasoning=10)
USAGE = Usage(input=250, output=50, cached=140, reasoning=10)


def tokens(given: int, output: int, cached: int, reasoning: int) -> bytes:
    """The event that tells usage."""
    counts = {
        "prompt_tokens": given,
        "completion_tokens": output,
        "total_tokens": given + output,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    return event({"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": counts})


def pieces(asked: ToolCall, index: int) -> list[bytes]:
    """A call as it is streamed: its head, then its arguments in two pieces."""
    half = len(asked.arguments) // 2
    return [
        calls(call(index, asked.id, asked.name, "")),
        calls(call(index, arguments=asked.arguments[:half])),
        calls(call(index, arguments=asked.arguments[half:])),
    ]


ASKS: Script = stream(
    chunk({"role": "assistant", "reasoning_content": THOUGHT[:12]}),
    chunk({"reasoning_content": THOUGHT[12:]}),
    *map(chunk, FIRST),
    *pieces(CALLS[0], 0),
    *pieces(CALLS[1], 1),
    *pieces(CALLS[2], 2),
    finish("tool_calls"),
    tokens(100, 30, 20, 10) + DONE,
)
"""The first step, which ends in calls."""

ANSWERS: Script = stream(*map(chunk, SECOND), finish("stop"), tokens(150, 20, 120, 0) + DONE)
"""The second step, which ends the run."""

CALLED_FOR_EVER: Script = stream(chunk("Hm. "), *pieces(CALLS[0], 0), CALLED)
