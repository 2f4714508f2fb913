"""Messages streams, the ugly ones included, and what they mean by our rules."""

from __future__ import annotations

import json

from tests.differential.harness import Case, Seen
from tests.providers.anthropic.messages_events import (
    CALLED,
    END,
    PING,
    STOP,
    arguments,
    begin,
    call,
    call_start,
    ending,
    error,
    event,
    piece,
    start,
    stop,
    thought,
    words,
)

USAGE = (9, 5)
HELLO = Seen("Hello", (), "stop", USAGE)

SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
RESULT = {
    "type": "web_search_result",
    "url": "https://x.example",
    "title": "X",
    "encrypted_content": "E+/==",
    "page_age": None,
}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [RESULT]}
CITATION = {
    "type": "web_search_result_location",
    "cited_text": "x",
    "encrypted_index": "I==",
    "title": "X",
    "url": "https://x.example",
}
CACHED = {
    "input_tokens": 9,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 20,
    "output_tokens": 1,
}
REFUSAL = {"type": "refusal", "category": "bio", "explanation": "This could harm."}
TRUNCATED = "passes a stream that was cut before its end as complete"
NO_ARGUMENTS = "parses cut arguments as far as they go, so that a broken call looks whole"


def text(index: int, words: str) -> bytes:
    return piece(index, {"type": "text_delta", "text": words})


def f(**given: object) -> tuple[tuple[str, object], ...]:
    return (("f", given),)


def raw_text(words: str) -> bytes:
    """A piece of text whose JSON holds characters as they are, not escaped."""
    delta = {"type": "text_delta", "text": words}
    value = {"type": "content_block_delta", "index": 0, "delta": delta}
    return event(json.dumps(value, ensure_ascii=False), name="content_block_delta")


TEXT = begin(0, {"type": "text", "text": ""})

CASES = (
    Case("text", start() + words(0, "Hel", "lo") + END, HELLO),
    Case("pings anywhere", PING + start() + PING + words(0, "Hello") + PING + END, HELLO),
    Case(
        "CR LF and CR as line ends",
        (start() + words(0, "Hello")).replace(b"\n", b"\r\n") + END.replace(b"\n", b"\r"),
        HELLO,
    ),
    Case("a BOM and comments", b"\xef\xbb\xbf: hi\n\n" + start() + words(0, "Hello") + END, HELLO),
    Case(
        "text in the block's start",
        start() + begin(0, {"type": "text", "text": "Hel"}) + text(0, "lo") + stop(0) + END,
        HELLO,
    ),
    Case("two text blocks", start() + words(0, "Hel") + words(1, "lo") + END, HELLO),
    Case(
        "line separators within text",
        start() + TEXT + raw_text("a\u2028b\u2029c\x85d") + stop(0) + END,
        Seen("a\u2028b\u2029c\x85d", (), "stop", USAGE),
    ),
    Case(
        "emoji and combining marks",
        start() + words(0, "\U0001f9d1\u200d\U0001f680", "e\u0301") + END,
        Seen("\U0001f9d1\u200d\U0001f680e\u0301", (), "stop", USAGE),
    ),
    Case("thinking, then text", start() + thought(0, "h", "m") + words(1, "Hello") + END, HELLO),
    Case(
        "redacted thinking",
        start()
        + begin(0, {"type": "redacted_thinking", "data": "gA+/=="})
        + stop(0)
        + words(1, "Hello")
        + END,
        HELLO,
    ),
    Case(
        "a call in pieces",
        start() + call(0, "a", "f", "", '{"x"', ': "é\\u00e9"', "}") + CALLED,
        Seen("", f(x="éé"), "tool_calls", USAGE),
    ),
    Case(
        "parallel calls after text",
        start() + words(0, "So") + call(1, "a", "f", '{"x":1}') + call(2, "b", "g", "{}") + CALLED,
        Seen("So", (("f", {"x": 1}), ("g", {})), "tool_calls", USAGE),
    ),
    Case(
        "calls that interleave",
        start()
        + call_start(0, "a", "f")
        + call_start(1, "b", "g")
        + arguments(1, '{"y":')
        + arguments(0, '{"x":1}')
        + arguments(1, "2}")
        + stop(0)
        + stop(1)
        + CALLED,
        Seen("", (("f", {"x": 1}), ("g", {"y": 2})), "tool_calls", USAGE),
    ),
    Case(
        "a call without arguments",
        start() + call(0, "a", "f") + CALLED,
        Seen("", f(), "tool_calls", USAGE),
    ),
    Case(
        "input whole in the block's start",
        start() + call_start(0, "a", "f", input={"x": [1, {"y": None}]}) + stop(0) + CALLED,
        Seen("", f(x=[1, {"y": None}]), "tool_calls", USAGE),
    ),
    Case(
        "input in the start and in pieces",
        start()
        + call_start(0, "a", "f", input={"x": 0})
        + arguments(0, '{"x":1}')
        + stop(0)
        + CALLED,
        Seen("", f(x=1), "tool_calls", USAGE),
    ),
    Case(
        "a forced call that ends its turn",
        start() + call(0, "a", "f", "{}") + END,
        Seen("", f(), "tool_calls", USAGE),
    ),
    Case(
        "a call cut by max_tokens",
        start() + call(0, "a", "f", '{"x": 1, "y": "un') + ending("max_tokens") + STOP,
        Seen("", (("f", '{"x": 1, "y": "un'),), "length", USAGE),
        NO_ARGUMENTS,
        frozenset({"calls"}),
    ),
    Case(
        "server tools and citations",
        start()
        + begin(0, SEARCH)
        + arguments(0, '{"query":"x"}')
        + stop(0)
        + begin(1, FOUND)
        + stop(1)
        + begin(2, {"type": "text", "text": "", "citations": []})
        + piece(2, {"type": "citations_delta", "citation": CITATION})
        + text(2, "Hello")
        + stop(2)
        + END,
        HELLO,
    ),
    Case("a turn that pauses", start() + words(0, "Hello") + ending("pause_turn") + STOP, HELLO),
    Case(
        "a stop sequence",
        start() + words(0, "Hello") + ending("stop_sequence", stop_sequence="!") + STOP,
        HELLO,
    ),
    Case(
        "length",
        start() + words(0, "Hel") + ending("max_tokens") + STOP,
        Seen("Hel", (), "length", USAGE),
    ),
    Case(
        "a full context window",
        start() + words(0, "Hel") + ending("model_context_window_exceeded") + STOP,
        Seen("Hel", (), "length", USAGE),
    ),
    Case(
        "a refusal with words",
        start() + words(0, "No.") + ending("refusal", stop_details=REFUSAL) + STOP,
        Seen("No.", (), "content_filter", USAGE),
    ),
    Case(
        "a refusal that only explains",
        start() + ending("refusal", stop_details=REFUSAL) + STOP,
        Seen("This could harm.", (), "content_filter", USAGE),
        "keeps a refusal's explanation beside the content, where a reader of the text misses it",
        frozenset({"text"}),
    ),
    Case(
        "a stop reason of the future", start() + words(0, "Hello") + ending("tired") + STOP, HELLO
    ),
    Case(
        "usage with a cache",
        start(CACHED) + words(0, "Hello") + END,
        Seen("Hello", (), "stop", (129, 5)),
    ),
    Case(
        "usage told again and again",
        start()
        + words(0, "Hello")
        + ending(None, {"output_tokens": 3})
        + ending("end_turn", {"input_tokens": 12, "output_tokens": 8})
        + STOP,
        Seen("Hello", (), "stop", (12, 8)),
    ),
    Case(
        "events, blocks and deltas of the future",
        start()
        + event({"type": "weather", "sun": True})
        + begin(0, {"type": "hologram"})
        + piece(0, {"type": "hologram_delta", "text": "no"})
        + stop(0)
        + words(1, "Hello")
        + END,
        HELLO,
    ),
    Case("a stop reason without message_stop", start() + words(0, "Hello") + ending(), HELLO),
    Case(
        "message_stop without a stop reason",
        start() + words(0, "Hello") + STOP,
        Seen("Hello", (), "stop", (9, 1)),
    ),
    Case(
        "an overload in mid-stream",
        start() + words(0, "Hel") + error() + words(1, "lo") + END,
        Seen("Hel", (), "error", (9, 1)),
    ),
    Case("an error first", error("api_error", "Internal"), Seen("", (), "error")),
    Case(
        "an error that is plain text",
        start() + words(0, "Hel") + event("Too hot", name="error"),
        Seen("Hel", (), "error", (9, 1)),
    ),
    Case(
        "an error under another name",
        start() + words(0, "Hel") + event({"error": {"message": "Too hot"}}, name="message_delta"),
        Seen("Hel", (), "error", (9, 1)),
        "overlooks an error in an event that is not named so",
        frozenset({"finish_reason"}),
    ),
    Case(
        "cut after some text",
        start() + words(0, "Hel"),
        Seen("Hel", (), "error", (9, 1)),
        TRUNCATED,
        frozenset({"finish_reason"}),
    ),
    Case(
        "cut within an event",
        start() + TEXT + text(0, "Hel") + text(0, "lo")[:-20],
        Seen("Hel", (), "error", (9, 1)),
        TRUNCATED,
        frozenset({"finish_reason"}),
    ),
    Case(
        "cut within a call",
        start() + call_start(0, "a", "f") + arguments(0, '{"x": 1, "y": 2'),
        Seen("", (("f", '{"x": 1, "y": 2'),), "error", (9, 1)),
        f"{TRUNCATED}, and {NO_ARGUMENTS}",
        frozenset({"finish_reason", "calls"}),
    ),
    Case("nothing at all", b"", Seen("", (), "error")),
    Case(
        "garbage in mid-stream",
        start() + words(0, "Hel") + event("{garbage", name="content_block_delta") + END,
        Seen("Hel", (), "error", (9, 1)),
    ),
    Case(
        "an event without a name",
        start()
        + TEXT
        + event(
            json.dumps(
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "text_delta", "text": "Hello"},
                }
            )
        )
        + stop(0)
        + END,
        HELLO,
        "skips events that carry no name, and so the text within them",
        frozenset({"text"}),
    ),
    Case(
        "an end mark of OpenAI's behind",
        start() + words(0, "Hello") + END + event("[DONE]"),
        HELLO,
    ),
    Case(
        "half a surrogate pair",
        start()
        + TEXT
        + event(
            '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
            '"text":"Hel\\ud83dlo"}}',
            name="content_block_delta",
        )
        + stop(0)
        + END,
        Seen("Hel\ufffdlo", (), "stop", USAGE),
        "keeps lone surrogates, which UTF-8 cannot carry on",
        frozenset({"text"}),
    ),
)
