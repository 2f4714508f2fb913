"""Bodies as Groq sends them, and where Groq's own SDK sees something else.

Groq speaks OpenAI's wire: its SDK reads OpenAI's bodies too. What is Groq's own stands in
``x_groq`` (the types of its Python client).
"""

from __future__ import annotations

from tests.differential import openai_bodies
from tests.differential.harness import Case, Seen
from tests.differential.openai_bodies import ADDED, COUNTS, FINISH
from tests.providers.chat_bodies import DONE, STOP, call, calls, chunk, event

SDK = "groq"

ID = {"id": "req_1"}
USAGE = {**ID, "usage": {**COUNTS, "queue_time": 0.1, "total_time": 0.2}}
EXECUTED = {"index": 0, "type": "browser_search", "arguments": "{}", "output": "found"}

_OWN = [
    Case(
        "usage in x_groq",
        chunk({"role": "assistant", "content": ""}, x_groq=ID)
        + chunk("a")
        + chunk({}, "stop", x_groq=USAGE)
        + DONE,
        Seen("a", usage=(9, 3)),
    ),
    Case(
        "usage in x_groq and beside it",
        chunk("a")
        + chunk({}, "stop", x_groq=USAGE)
        + event({"choices": [], "usage": COUNTS})
        + DONE,
        Seen("a", usage=(9, 3)),
    ),
    Case(
        "parsed reasoning",
        chunk({"reasoning": "h", "channel": "analysis"})
        + chunk({"reasoning": "m"})
        + chunk("a")
        + STOP,
        Seen("a"),
    ),
    Case(
        "raw reasoning within the text",
        chunk("<think>hm</think>a") + STOP,
        Seen("<think>hm</think>a"),
    ),
    Case(
        "a tool that Groq ran",
        chunk({"executed_tools": [EXECUTED]}) + chunk("a") + STOP,
        Seen("a"),
    ),
    Case(
        "a whole call in one chunk",
        calls({**call(0, "x7", "add", '{"x":1}'), "type": "function"})
        + chunk({}, "tool_calls", x_groq=USAGE)
        + DONE,
        Seen("", ADDED, "tool_calls", (9, 3)),
    ),
    Case(
        "an error in x_groq",
        chunk("a") + event({"choices": [], "x_groq": {**ID, "error": "over capacity"}}) + DONE,
        Seen("a", finish_reason="error"),
        "The SDK knows `x_groq.error` as a field and raises nothing.",
        FINISH,
    ),
    Case(
        "a call that failed to parse",
        chunk("a")
        + event(
            {"error": {"message": "Failed to call a function.", "code": "tool_use_failed"}},
            name="error",
        ),
        Seen("a", finish_reason="error"),
    ),
]

CASES = [*_OWN, *openai_bodies.CASES]
