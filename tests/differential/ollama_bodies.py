"""Bodies of Ollama's wire, and where Ollama's own SDK sees something else.

Source: ollama/docs/api.md, "Generate a chat completion", and the types of the Python client.
"""

from __future__ import annotations

from tests.differential.harness import Case, Seen
from tests.providers.ollama.ollama_lines import STOP, call, calls, done, line, say

SDK = "ollama"
FINISH = frozenset({"finish_reason"})
TEXT = frozenset({"text"})
CALLS = frozenset({"calls"})

ADDED = (("add", {"x": 1}),)
END = done()

_LINES = "The SDK takes U+2028 and U+0085 for line ends and fails at the half line."

_TEXTS = [
    Case("text and counts", say("Hel") + say("lo") + STOP, Seen("Hello", usage=(9, 3))),
    Case("no counts", say("a") + END, Seen("a")),
    Case("letters beyond ASCII", say("é") + say("\U0001f30a") + END, Seen("é\U0001f30a")),
    Case(
        "letters as they are",
        '{"message":{"role":"assistant","content":"é\U0001f30a"},"done":false}\n'.encode() + END,
        Seen("é\U0001f30a"),
    ),
    Case(
        "a line separator within the text",
        '{"message":{"role":"assistant","content":"a\u2028b"},"done":false}\n'.encode() + END,
        Seen("a\u2028b"),
        _LINES,
        TEXT | FINISH,
    ),
    Case(
        "a next-line control within the text",
        '{"message":{"role":"assistant","content":"a\u0085b"},"done":false}\n'.encode() + END,
        Seen("a\u0085b"),
        _LINES,
        TEXT | FINISH,
    ),
    Case("thinking beside the text", say("", thinking="hm") + say("a") + END, Seen("a")),
    Case("lines that end in CR LF", (say("a") + END).replace(b"\n", b"\r\n"), Seen("a")),
    Case("a last line without LF", say("a") + END.rstrip(b"\n"), Seen("a")),
    Case(
        "words on the last line",
        line(message={"role": "assistant", "content": "a"}, done=True),
        Seen("a"),
    ),
    Case("no content", line(message={"role": "assistant"}, done=False) + say("a") + END, Seen("a")),
    Case("content that is null", say(None) + say("a") + END, Seen("a")),
    Case(
        "unknown fields",
        line(message={"role": "assistant", "content": "a", "new": [1]}, done=False, x=1) + END,
        Seen("a"),
    ),
    Case("an empty answer", END, Seen("")),
    Case(
        "an empty line",
        say("a") + b"\n" + say("b") + END,
        Seen("ab"),
        "The SDK reads the empty line as JSON and fails.",
        TEXT | FINISH,
    ),
    Case(
        "a byte order mark",
        b"\xef\xbb\xbf" + say("a") + END,
        Seen("a"),
        "The SDK does not know the mark and fails at the first line.",
        TEXT | FINISH,
    ),
    Case(
        "a message without a role",
        line(message={"content": "a"}, done=False) + END,
        Seen("a"),
        "The SDK refuses a message without a role.",
        TEXT | FINISH,
    ),
    Case(
        "content that is a number",
        say(7) + say("a") + END,
        Seen("a"),
        "The SDK's types refuse the line, and with it the answer.",
        TEXT | FINISH,
    ),
    Case(
        "half of a surrogate pair",
        b'{"message":{"role":"assistant","content":"a\\ud83dz"},"done":false}\n' + END,
        Seen("a\ufffdz"),
        "The SDK hands the lone surrogate on, which no UTF-8 can carry; ours is replaced.",
        TEXT,
    ),
    Case(
        "bytes that are no UTF-8",
        b'{"message":{"role":"assistant","content":"a\xffb"},"done":false}\n' + END,
        Seen("a\ufffdb"),
    ),
]

_ENDS = [
    Case("length", say("a") + done("length"), Seen("a", finish_reason="length")),
    Case("load", done("load"), Seen("")),
    Case("unload", done("unload"), Seen("")),
    Case("an unknown reason", say("a") + done("eos"), Seen("a")),
    Case(
        "done without a reason",
        say("a") + line(message={"role": "assistant"}, done=True),
        Seen("a"),
    ),
    Case(
        "the output's count alone", say("a") + done("stop", eval_count=3), Seen("a", usage=(0, 3))
    ),
    Case(
        "lines after the last",
        say("a") + END + say("b"),
        Seen("a"),
        "The SDK reads on after `done`.",
        TEXT,
    ),
    Case(
        "a stream that ends in the middle",
        say("a") + say("b"),
        Seen("ab", finish_reason="error"),
        "The SDK passes a truncated stream off as a whole one.",
        FINISH,
    ),
    Case(
        "a stream that ends within a line",
        say("a") + b'{"message":{"ro',
        Seen("a", finish_reason="error"),
    ),
    Case(
        "nothing at all",
        b"",
        Seen("", finish_reason="error"),
        "The SDK takes an empty body for an empty answer.",
        FINISH,
    ),
]

_ERRORS = [
    Case("an error in the stream", say("a") + line(error="hot"), Seen("a", finish_reason="error")),
    Case(
        "an error that is an object",
        say("a") + line(error={"message": "hot"}),
        Seen("a", finish_reason="error"),
    ),
    Case("an error at once", line(error="hot"), Seen("", finish_reason="error")),
    Case(
        "an error without LF",
        say("a") + line(error="hot").rstrip(b"\n"),
        Seen("a", finish_reason="error"),
    ),
    Case(
        "an error beside the last words",
        line(message={"role": "assistant", "content": "a"}, error="hot"),
        Seen("a", finish_reason="error"),
        "The SDK raises and loses the words of the same line.",
        TEXT,
    ),
    Case(
        "an error that is null",
        line(message={"role": "assistant", "content": "a"}, error=None) + END,
        Seen("a"),
    ),
    Case("garbage", say("a") + b"garbage\n" + END, Seen("a", finish_reason="error")),
    Case("a number for a line", say("a") + b"7\n" + END, Seen("a", finish_reason="error")),
]

_CALLS = [
    Case(
        "a call",
        calls(call("add", {"x": 1})) + STOP,
        Seen("", ADDED, "tool_calls", (9, 3)),
        "",
        frozenset(),
    ),
    Case(
        "parallel calls on one line",
        calls(call("add", {"x": 1}), call("add", {"x": 1})) + END,
        Seen("", ADDED * 2, "tool_calls"),
    ),
    Case(
        "calls on several lines",
        say("Look.")
        + calls(call("add", {"x": 1}))
        + calls(call("f", {"y": [2]}, id="call_9"))
        + END,
        Seen("Look.", (*ADDED, ("f", {"y": [2]})), "tool_calls"),
    ),
    Case(
        "a call without arguments", calls(call("f", {})) + END, Seen("", (("f", {}),), "tool_calls")
    ),
    Case(
        "arguments that are null",
        calls(call("f", None)) + END,
        Seen("", (("f", {}),), "tool_calls"),
        "The SDK's types refuse the line, and with it the answer.",
        CALLS | FINISH,
    ),
    Case(
        "arguments that are text",
        calls(call("add", '{"x":1}')) + END,
        Seen("", ADDED, "tool_calls"),
        "The SDK's types refuse the line, and with it the answer.",
        CALLS | FINISH,
    ),
    Case(
        "a call that is cut",
        calls(call("add", {"x": 1})),
        Seen("", ADDED, "error"),
        "The SDK passes a truncated stream off as a whole one.",
        FINISH,
    ),
]

CASES = [*_TEXTS, *_ENDS, *_ERRORS, *_CALLS]
