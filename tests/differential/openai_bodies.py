"""Bodies of the Chat Completions wire, and where OpenAI's own SDK sees something else.

Source: OpenAI API reference, "Chat completions streaming"; what compatible servers send, from
their documentation (see `headrace.providers.openai_chat.dialect`).
"""

from __future__ import annotations

from tests.differential.harness import Case, Seen
from tests.providers.chat_bodies import CALLED, DONE, STOP, call, calls, chunk, event, finish

SDK = "openai"
FINISH = frozenset({"finish_reason"})
TEXT = frozenset({"text"})
CALLS = frozenset({"calls"})

COUNTS = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
USAGE = event({"choices": [], "usage": COUNTS})
ADDED = (("add", {"x": 1}),)
BESIDE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 17}
BESIDE |= {"completion_tokens_details": {"reasoning_tokens": 5}}  # type: ignore[dict-item]
CHOICES = [
    {"index": 1, "delta": {"content": "no"}, "finish_reason": "length"},
    {"index": 0, "delta": {"content": "yes"}},
]
MISTRAL = {"content": [{"type": "text", "text": "a"}]}

_TEXTS = [
    Case(
        "text and usage",
        chunk("Hel") + chunk("lo") + finish() + USAGE + DONE,
        Seen("Hello", usage=(9, 3)),
    ),
    Case("no usage", chunk("a") + STOP, Seen("a")),
    Case("letters beyond ASCII", chunk("é") + chunk("\U0001f30a") + STOP, Seen("é\U0001f30a")),
    Case(
        "line separators within the text",
        'data: {"choices":[{"index":0,"delta":{"content":"a\u2028b\u0085c"}}]}\n\n'.encode() + STOP,
        Seen("a\u2028b\u0085c"),
    ),
    Case("lines that end in CR LF", (chunk("a") + STOP).replace(b"\n", b"\r\n"), Seen("a")),
    Case("lines that end in CR", (chunk("a") + STOP).replace(b"\n", b"\r"), Seen("a")),
    Case(
        "one event on several data lines",
        b'data: {"choices":[{"index":0,\ndata: "delta":{"content":"a"}}]}\n\n' + STOP,
        Seen("a"),
    ),
    Case(
        "comments to keep the connection",
        b": OPENROUTER PROCESSING\n\n" + chunk("a") + STOP,
        Seen("a"),
    ),
    Case("no blank after the colon", chunk("a").replace(b"data: ", b"data:") + STOP, Seen("a")),
    Case("an unknown field of the event", b"x: 1\nretry: 9\n" + chunk("a") + STOP, Seen("a")),
    Case(
        "a byte order mark",
        b"\xef\xbb\xbf" + chunk("a") + chunk("b") + STOP,
        Seen("ab"),
        "The SDK takes the mark for a part of the first field's name and loses the first event.",
        TEXT,
    ),
    Case(
        "a refusal",
        chunk({"refusal": "I can"}) + chunk({"refusal": "not."}) + STOP,
        Seen("I cannot."),
    ),
    Case(
        "reasoning beside the text",
        chunk({"reasoning_content": "hm"}) + chunk("a") + STOP,
        Seen("a"),
    ),
    Case("a second choice", event({"choices": CHOICES}) + STOP, Seen("yes")),
    Case(
        "what Azure tells of the prompt first",
        event({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}) + chunk("a") + STOP,
        Seen("a"),
    ),
    Case(
        "a choice without a delta",
        chunk("a") + event({"choices": [{"index": 0, "content_filter_results": {}}]}) + STOP,
        Seen("a"),
    ),
    Case(
        "content in parts",
        chunk(MISTRAL) + STOP,
        Seen("a"),
        "The SDK's types know text only and hand Mistral's list of parts through as it is.",
        TEXT | FINISH,
    ),
    Case(
        "half of a surrogate pair",
        b'data: {"choices":[{"index":0,"delta":{"content":"a\\ud83dz"}}]}\n\n' + STOP,
        Seen("a\ufffdz"),
        "The SDK hands the lone surrogate on, which no UTF-8 can carry; ours is replaced.",
        TEXT,
    ),
    Case(
        "bytes that are no UTF-8",
        b'data: {"choices":[{"index":0,"delta":{"content":"a\xffb"}}]}\n\n' + STOP,
        Seen("a\ufffdb"),
        "The SDK fails with a UnicodeDecodeError; SSE is decoded with replacement (WHATWG).",
        TEXT | FINISH,
    ),
]

_ENDS = [
    Case("length", chunk("a") + finish("length") + DONE, Seen("a", finish_reason="length")),
    Case(
        "a content filter",
        chunk("a") + finish("content_filter") + DONE,
        Seen("a", finish_reason="content_filter"),
    ),
    Case("an unknown finish reason", chunk("a") + finish("eos") + DONE, Seen("a")),
    Case(
        "a finish reason without [DONE]",
        chunk("a") + finish("length"),
        Seen("a", finish_reason="length"),
    ),
    Case("[DONE] without a finish reason", chunk("a") + DONE, Seen("a")),
    Case("text after [DONE]", chunk("a") + STOP + chunk("b"), Seen("a")),
    Case("[DONE] said by the model", chunk("[DONE]") + STOP, Seen("[DONE]")),
    Case(
        "usage in every chunk",
        chunk("a", usage=COUNTS) + chunk("b", usage=COUNTS) + STOP,
        Seen("ab", usage=(9, 3)),
    ),
    Case(
        "reasoning counted beside the output",
        chunk("a") + finish() + event({"choices": [], "usage": BESIDE}) + DONE,
        Seen("a", usage=(9, 8)),
        "xAI counts reasoning beside the completion; ours is all generated tokens, as its sum is.",
        frozenset({"usage"}),
    ),
    Case(
        "a stream that ends in the middle",
        chunk("a") + chunk("b"),
        Seen("ab", finish_reason="error"),
        "The SDK passes a truncated stream off as a whole one.",
        FINISH,
    ),
    Case(
        "a stream that ends within an event",
        chunk("a") + b'data: {"choices":[{"del',
        Seen("a", finish_reason="error"),
        "The SDK drops the half event and passes the answer off as whole.",
        FINISH,
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
    Case(
        "an error in the stream",
        chunk("a") + event({"error": {"message": "hot"}}),
        Seen("a", finish_reason="error"),
    ),
    Case(
        "an error that is a string",
        chunk("a") + event({"error": "hot"}),
        Seen("a", finish_reason="error"),
    ),
    Case(
        "an error beside the last words",
        chunk("a") + chunk("b", "error", error={"code": 502, "message": "hot"}),
        Seen("ab", finish_reason="error"),
        "The SDK raises and loses the words of the same chunk.",
        TEXT,
    ),
    Case(
        "an error event that is flat",
        chunk("a") + event({"message": "hot"}, name="error") + DONE,
        Seen("a", finish_reason="error"),
        "The SDK looks for the field `error` only and takes the event for an empty chunk.",
        FINISH,
    ),
    Case(
        "garbage in an event",
        chunk("a") + event("garbage") + STOP,
        Seen("a", finish_reason="error"),
    ),
    Case(
        "a finish reason that is an error",
        chunk("a") + finish("error") + DONE,
        Seen("a", finish_reason="error"),
    ),
    Case(
        "a ping that is no JSON",
        chunk("a") + event("keep me alive", name="ping") + STOP,
        Seen("a"),
        "The SDK reads every event as JSON; events of unknown names are skipped here.",
        FINISH,
    ),
]

_CALLS = [
    Case(
        "calls in pieces",
        calls(call(0, "a", "add", ""))
        + calls(call(0, None, None, '{"x":'))
        + calls(call(0, None, None, "1}"))
        + CALLED,
        Seen("", ADDED, "tool_calls"),
    ),
    Case(
        "parallel calls, interleaved",
        calls(call(0, "a", "add", '{"x":'), call(1, "b", "f", '{"y":'))
        + calls(call(1, None, None, "2}"), call(0, None, None, "1}"))
        + CALLED,
        Seen("", (*ADDED, ("f", {"y": 2})), "tool_calls"),
    ),
    Case(
        "an id and a name in every piece",
        calls(call(0, "a", "add", '{"x":')) + calls(call(0, "a", "add", "1}")) + CALLED,
        Seen("", ADDED, "tool_calls"),
    ),
    Case(
        "arguments that are no JSON",
        calls(call(0, "a", "f", "{x")) + CALLED,
        Seen("", (("f", "{x"),), "tool_calls"),
    ),
    Case(
        "the older function call",
        chunk({"function_call": {"name": "add", "arguments": '{"x"'}})
        + chunk({"function_call": {"arguments": ":1}"}})
        + finish("function_call")
        + DONE,
        Seen("", ADDED, "tool_calls"),
    ),
    Case(
        "a call without arguments",
        calls(call(0, "a", "f")) + CALLED,
        Seen("", (("f", {}),), "tool_calls"),
        "The SDK gives the empty text, which is no JSON; ours are `{}`.",
        CALLS,
    ),
    Case(
        "a call, and the finish reason “stop”",
        calls(call(0, "a", "add", '{"x":1}')) + STOP,
        Seen("", ADDED, "tool_calls"),
        "The SDK repeats the server's word; with a call, ours is `tool_calls`.",
        FINISH,
    ),
    Case(
        "two calls under one index",
        calls(call(0, "a", "add", '{"x":1}')) + calls(call(0, "b", "f", '{"y":2}')) + CALLED,
        Seen("", (*ADDED, ("f", {"y": 2})), "tool_calls"),
        "Joined by the index, as the SDK's types suggest, two calls become a broken one.",
        CALLS,
    ),
    Case(
        "two calls without an index",
        calls(call(None, "a", "add", '{"x":1}')) + calls(call(None, "b", "f", '{"y":2}')) + CALLED,
        Seen("", (*ADDED, ("f", {"y": 2})), "tool_calls"),
        "The SDK gives no index either, so that the two calls cannot be told apart by it.",
        CALLS,
    ),
    Case(
        "arguments that are an object",
        calls(call(0, "a", "add", {"x": 1})) + CALLED,
        Seen("", ADDED, "tool_calls"),
        "The SDK hands the object through where its types promise text, and adding it up fails.",
        CALLS | FINISH,
    ),
    Case(
        "a call that is cut",
        calls(call(0, "a", "add", '{"x":')),
        Seen("", (("add", '{"x":'),), "error"),
        "The SDK passes a truncated stream off as a whole one.",
        FINISH,
    ),
]

CASES = [*_TEXTS, *_ENDS, *_ERRORS, *_CALLS]
