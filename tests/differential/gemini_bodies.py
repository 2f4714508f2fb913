"""Bodies of Gemini's wire for the differential tests, after the API's reference."""

from __future__ import annotations

import json

from tests.differential.harness import Case, Seen
from tests.providers.gemini.gemini_bodies import (
    STOP,
    call,
    chunk,
    counts,
    event,
    finish,
    thought,
)

_ERROR = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
_LIMIT = {
    "error": {
        "code": 429,
        "message": "Quota exceeded.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "9s"}],
    }
}
_SIGNATURE = "CiQB0fVvnZ+/8w=="

_CUT = "The SDK passes a truncated stream as an answer without a finish reason."
_MALFORMED = "The SDK passes a turn that broke off as any other; the finish reason alone tells."
_UNTYPED = "The SDK's types refuse a field of the wrong type, and with it the whole answer."
_LAST = "The SDK leaves it to the caller to join chunks; the last finish reason hides the filter's."
_LINES = "The SDK does not know CR alone as a line end."
_PREFIX = "The SDK knows only lines that begin with `data: `, blank included; others must be JSON."
_TEXT = frozenset({"text"})
_END = frozenset({"finish_reason"})
_ALL = _TEXT | _END

CASES = [
    Case("text", chunk("Hel") + chunk("lo") + STOP, Seen("Hello")),
    Case("one chunk", chunk("Hello", finish="STOP", **counts(3, 1)), Seen("Hello", usage=(3, 1))),
    Case(
        "several parts in a chunk",
        chunk("a", "b", thought("hm"), "c") + STOP,
        Seen("abc"),
    ),
    Case(
        "thoughts and their count",
        chunk(thought("hm"), **counts(8, thoughtsTokenCount=20))
        + chunk("Hi", finish="STOP", **counts(8, 2, thoughtsTokenCount=25)),
        Seen("Hi", usage=(8, 27)),
    ),
    Case(
        "cumulative usage",
        chunk("a", **counts(5, 1)) + chunk("b", **counts(5, 2)) + finish(**counts(5, 3)),
        Seen("ab", usage=(5, 3)),
    ),
    Case(
        "cached and tool-use tokens",
        chunk("a") + finish(**counts(50, 3, cachedContentTokenCount=40, toolUsePromptTokenCount=7)),
        Seen("a", usage=(57, 3)),
    ),
    Case(
        "usage after the finish reason",
        chunk("a") + STOP + event({**counts(5, 3), "modelVersion": "m"}),
        Seen("a", usage=(5, 3)),
    ),
    Case(
        "a call, ended with STOP",
        chunk(call("add", {"x": 1, "y": [2.5, None]}, id="a1"), finish="STOP"),
        Seen(calls=(("add", {"x": 1, "y": [2.5, None]}),), finish_reason="tool_calls"),
    ),
    Case(
        "parallel calls with a signature on the first",
        chunk(call("f", {"a": 1}, thoughtSignature=_SIGNATURE), call("g", {"b": 2})) + STOP,
        Seen(calls=(("f", {"a": 1}), ("g", {"b": 2})), finish_reason="tool_calls"),
    ),
    Case(
        "calls over several chunks, one twice the same",
        chunk(call("f", {"a": 1})) + chunk(call("f", {"a": 1})) + STOP,
        Seen(calls=(("f", {"a": 1}), ("f", {"a": 1})), finish_reason="tool_calls"),
    ),
    Case(
        "a call without arguments",
        chunk(call("now")) + chunk(call("then", {})) + STOP,
        Seen(calls=(("now", {}), ("then", {})), finish_reason="tool_calls"),
    ),
    Case(
        "text before a call",
        chunk("Let me see.") + chunk(call("f", {"é": "\U0001f30a"})) + STOP,
        Seen("Let me see.", (("f", {"é": "\U0001f30a"}),), "tool_calls"),
    ),
    Case(
        "signatures on text and on an empty part",
        chunk({"text": "Hi", "thoughtSignature": _SIGNATURE})
        + chunk({"text": "", "thoughtSignature": _SIGNATURE}, finish="STOP"),
        Seen("Hi"),
    ),
    Case("length", chunk("Once") + finish("MAX_TOKENS"), Seen("Once", finish_reason="length")),
    Case(
        "length within the thoughts, no content",
        event(
            {
                "candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}],
                **counts(5, thoughtsTokenCount=90),
            }
        ),
        Seen(finish_reason="length", usage=(5, 90)),
    ),
    *(
        Case(
            f"filtered: {reason}",
            chunk("a") + event({"candidates": [{"finishReason": reason, "index": 0}]}),
            Seen("a", finish_reason="content_filter"),
        )
        for reason in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")
    ),
    Case(
        "a prompt that was blocked",
        event({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **counts(9)}),
        Seen(finish_reason="content_filter", usage=(9, 0)),
    ),
    Case(
        "feedback that blocks nothing",
        chunk("a", promptFeedback={"safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT"}]})
        + STOP,
        Seen("a"),
    ),
    Case("a reason that is new", chunk("a") + finish("OTHER"), Seen("a")),
    Case(
        "STOP in every chunk",
        chunk("a", finish="STOP") + chunk("b", finish="STOP") + chunk("c", finish="MAX_TOKENS"),
        Seen("abc", finish_reason="length"),
    ),
    Case(
        "a filter's reason before a plain one",
        chunk("a", finish="SAFETY") + finish("STOP"),
        Seen("a", finish_reason="content_filter"),
        _LAST,
        _END,
    ),
    *(
        Case(
            f"broken off: {reason}",
            chunk("a") + finish(reason),
            Seen("a", finish_reason="error"),
            _MALFORMED,
            _END,
        )
        for reason in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL")
    ),
    Case(
        "cut after text",
        chunk("a") + chunk("b"),
        Seen("ab", finish_reason="error"),
        _CUT,
        _END,
    ),
    Case(
        "cut after a call",
        chunk(call("f", {"a": 1})),
        Seen(calls=(("f", {"a": 1}),), finish_reason="error"),
        _CUT,
        _END,
    ),
    Case(
        "cut within an event",
        chunk("a") + b'data: {"candidates": [{"content": {"par',
        Seen("a", finish_reason="error"),
    ),
    Case(
        "an error as an event",
        chunk("a") + event(_ERROR),
        Seen("a", finish_reason="error"),
    ),
    Case(
        "an error as bare JSON in mid-stream",
        chunk("a") + json.dumps(_ERROR, indent=2).encode(),
        Seen("a", finish_reason="error"),
    ),
    Case("an error that tells a wait", event(_LIMIT), Seen(finish_reason="error")),
    Case(
        "an error in a list",
        chunk("a") + json.dumps([_ERROR], indent=2).encode(),
        Seen("a", finish_reason="error"),
    ),
    Case("garbage in an event", chunk("a") + event("{not JSON"), Seen("a", finish_reason="error")),
    Case(
        "code that ran on the server",
        chunk(
            {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
            "It is 1.",
        )
        + STOP,
        Seen("It is 1."),
    ),
    Case(
        "grounding",
        chunk("a")
        + event(
            {
                "candidates": [
                    {
                        "content": {"parts": [{"text": "b"}]},
                        "finishReason": "STOP",
                        "groundingMetadata": {"webSearchQueries": ["q"]},
                    }
                ]
            }
        ),
        Seen("ab"),
    ),
    Case(
        "an image",
        chunk({"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}, "There.") + STOP,
        Seen("There."),
    ),
    Case(
        "unknown fields",
        chunk("a", avgLogprobs=-0.1, whatIsThis={"deep": [1]}) + STOP,
        Seen("a"),
    ),
    Case("LF line ends", (chunk("a") + STOP).replace(b"\r\n", b"\n"), Seen("a")),
    Case("a comment", b": hello\n\n" + chunk("a") + STOP, Seen("a"), _PREFIX, _ALL),
    Case("a name", b"event: chunk\n" + chunk("a") + STOP, Seen("a"), _PREFIX, _ALL),
    Case("CR line ends", (chunk("a") + STOP).replace(b"\r\n", b"\r"), Seen("a"), _LINES, _ALL),
    Case("a BOM", b"\xef\xbb\xbf" + chunk("a") + STOP, Seen("a"), _PREFIX, _ALL),
    Case(
        "a lone surrogate",
        event('{"candidates":[{"content":{"parts":[{"text":"a\\ud83d"}]}}]}') + STOP,
        Seen("a\ufffd"),
        "The SDK gives text that UTF-8 cannot encode.",
        _TEXT,
    ),
    Case(
        "bytes that are no UTF-8",
        chunk("aXb").replace(b"X", b"\xff") + STOP,
        Seen("a\ufffdb"),
        "The SDK raises UnicodeDecodeError for a bad byte, and the answer is lost.",
        _ALL,
    ),
    Case(
        "a DONE that a gateway added",
        chunk("a") + STOP + event("[DONE]"),
        Seen("a"),
        "The SDK takes a gateway's `[DONE]` for a chunk, and raises at the end of a whole answer.",
        _END,
    ),
    Case(
        "arguments that are text",
        chunk(call("f", '{"x": 1')) + STOP,
        Seen(calls=(("f", '{"x": 1'),), finish_reason="tool_calls"),
        _UNTYPED,
        frozenset({"calls", "finish_reason"}),
    ),
    Case(
        "a second candidate",
        event(
            {
                "candidates": [
                    {"content": {"parts": [{"text": "no"}]}, "index": 1, "finishReason": "SAFETY"},
                    {"content": {"parts": [{"text": "yes"}]}, "index": 0},
                ]
            }
        )
        + STOP,
        Seen("yes"),
        "The SDK gives candidates as they are listed, and its `text` is the first one's.",
        _TEXT,
    ),
    Case(
        "an event over several lines",
        b'data: {"candidates": [{"content":\ndata: {"parts": [{"text": "a"}]},\n'
        b'data: "finishReason": "STOP"}]}\n\n',
        Seen("a"),
    ),
    Case(
        "no blank after the colon",
        chunk("a").replace(b"data: ", b"data:") + STOP,
        Seen("a"),
        _PREFIX,
        _ALL,
    ),
    Case(
        "line separators within the text",
        event('{"candidates":[{"content":{"parts":[{"text":"a\u2028b\u0085c"}]}}]}') + STOP,
        Seen("a\u2028b\u0085c"),
    ),
    Case(
        "a null for text",
        chunk({"text": None}, "a") + STOP,
        Seen("a"),
    ),
    Case(
        "a number for text",
        chunk({"text": 7}, "a") + STOP,
        Seen("a"),
        _UNTYPED,
        _ALL,
    ),
    Case(
        "usage and no answer",
        event(counts(5)),
        Seen(finish_reason="error", usage=(5, 0)),
        _CUT,
        _END,
    ),
]
