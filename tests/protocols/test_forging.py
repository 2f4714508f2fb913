"""No text, name or id that a model or a tool gives makes a frame of its own: 10,000 strings.

Read back by an independent parser: eventsource-parser, in Node.
"""

from __future__ import annotations

import json
import random
from typing import Any

from headrace import events as e
from headrace.events import Event
from headrace.messages import Message, Text, ToolCall
from headrace.protocols.table import FORMATS
from headrace.usage import Metrics, Timing, Usage
from tests.strategies import Scribe
from tests.support.node import run_node

STRINGS = 10_000
EACH = 10  # strings of one run
PIECES = [
    *("\n", "\r", "\r\n", "\n\n", "\r\r", "\0", "\u2028", "\u2029", "\u0085", "\v", "\f", "\ufeff"),
    *(
        "data: ",
        "event: done",
        "id: 1",
        ": ",
        "retry: 0",
        "[DONE]",
        '"}',
        "{",
        "\\",
        "a",
        "無",
        "😀",
    ),
]
SSE = [name for name, format in FORMATS.items() if format.media_type == "text/event-stream"]


def strings() -> list[str]:
    rng = random.Random(5)  # noqa: S311 - repeatable, not secret
    made: list[str] = []
    for nth in range(STRINGS):
        body = "".join(rng.choices(PIECES, k=rng.randint(1, 12)))
        made.append(f"{body}#{nth}")
    return made


def run_of(texts: list[str]) -> list[Event]:
    """A run that has them everywhere a model, a tool or a person can put one."""
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", texts[0], texts[1], texts[2])
    scribe.put(e.StepStart, 1, texts[1])
    scribe.put(e.Thought, texts[3])
    for index, text in enumerate(texts):
        scribe.put(e.Token, text, index)
    call_id, name = texts[4], texts[5]
    scribe.put(e.ToolArgs, call_id, name, json.dumps({"q": texts[6]}))
    message = Message.assistant(Text("".join(texts)), ToolCall(call_id, name))
    scribe.put(e.StepEnd, 1, "tool_calls", Usage(1, 1), Timing(1.0), message)
    scribe.put(e.ToolStart, call_id, name, {"q": texts[6]})
    scribe.put(e.ToolProgress, call_id, texts[7])
    scribe.put(e.ToolEnd, call_id, name, texts[8], 1.0, texts[9])
    scribe.put(e.Warn, texts[0], texts[9])
    scribe.put(e.Answer, "".join(texts))
    scribe.put(e.Complete, "stop", Usage(1, 1), Metrics())
    return scribe.events


async def test_no_string_forges_a_frame() -> None:
    made = strings()
    runs = [run_of(made[at : at + EACH]) for at in range(0, STRINGS, EACH)]
    for name in SSE:
        encoders = [FORMATS[name].make() for _ in runs]
        # A frame ends at its blank line: encoded one by one, each event's frames can be counted.
        parts = [
            [encoder.encode([event]) for event in run]
            for encoder, run in zip(encoders, runs, strict=True)
        ]
        streams = [b"".join(part).decode() for part in parts]
        told = json.loads(await run_node("parse_frames.mjs", stdin=json.dumps(streams).encode()))
        for part, run, frames in zip(parts, runs, told, strict=True):
            check(name, part, run, frames)


def check(name: str, parts: list[bytes], run: list[Event], frames: list[Any]) -> None:
    """As many frames as were written, no types but the protocol's, no id but the run's."""
    written = sum(part.count(b"\n\n") for part in parts)
    kinds = {kind for kind, _, _ in frames}
    ids = {id for _, _, id in frames}
    if name == "native":
        assert [json.loads(data)["seq"] for _, data, _ in frames] == [event.seq for event in run]
        assert kinds == {"message"}
        assert ids == {str(event.seq) for event in run}
    elif name == "simple":
        assert kinds == {"token", "tool_start", "tool_complete", "done"}
        assert written == len(frames) + 1  # the first has an id and no data
        assert ids <= {str(event.seq) for event in run}
        assert [kind for kind, _, _ in frames].count("done") == 1
    else:
        done = [data for _, data, _ in frames if data == "[DONE]"]
        assert len(done) == (0 if name == "ag-ui" else 1)
        assert all(isinstance(json.loads(d), dict) for _, d, _ in frames if d != "[DONE]")
        assert written == len(frames)
        assert (kinds, ids) == ({"message"}, {None})
