"""The protocols by name: data, no ladder. A protocol's module is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from msgspec import Struct

from headrace.errors import UsageError
from headrace.protocols.encoder import Encoder
from headrace.wire.sse_encoder import encode_comment

_SSE = "text/event-stream"
_COMMENT = encode_comment()


class Format(Struct, frozen=True):
    """A protocol, as far as the server needs to know it.

    Attributes:
        name: As in ``?format=``.
        media_type: Of the body.
        module: Where its encoder is.
        encoder: The encoder's class; made with `arguments` it encodes a run as it is.
        beat: What says that the stream is still there and no reader sees; empty where the
            protocol has nothing of the kind.
        resumes: Whether its readers connect again by themselves, with the last ``id:``.
        headers: More headers of the answer.
        arguments: Of the encoder's class.
    """

    name: str
    media_type: str
    module: str
    encoder: str
    beat: bytes = _COMMENT
    resumes: bool = False
    headers: dict[str, str] = {}
    arguments: dict[str, Any] = {}

    def make(self) -> Encoder:
        """A new encoder, for a run as it is."""
        made: Encoder = getattr(import_module(self.module), self.encoder)(**self.arguments)
        return made


FORMATS = {
    row.name: row
    for row in (
        Format("native", _SSE, "headrace.protocols.native", "NativeEncoder", resumes=True),
        Format("simple", _SSE, "headrace.protocols.simple", "SimpleEncoder", resumes=True),
        Format(
            "ndjson",
            "application/x-ndjson",
            "headrace.protocols.native",
            "NDJSONEncoder",
            beat=b"\n",
        ),
        Format(
            "plain",
            "text/plain; charset=utf-8",
            "headrace.protocols.plain",
            "PlainEncoder",
            beat=b"",
        ),
        Format(
            "ai-sdk",
            _SSE,
            "headrace.protocols.ai_sdk.encode",
            "AISDKEncoder",
            headers={"x-vercel-ai-ui-message-stream": "v1"},
        ),
        Format("ag-ui", _SSE, "headrace.protocols.ag_ui.encode", "AGUIEncoder"),
        Format(
            "openai",
            _SSE,
            "headrace.protocols.openai_chat.encode",
            "OpenAIChatEncoder",
            arguments={"include_usage": True},  # a GET has no other way to ask for it
        ),
    )
}
"""The protocols there are."""


def format_of(name: str) -> Format:
    """The protocol of this name.

    Raises:
        UsageError: there is none.
    """
    if (found := FORMATS.get(name)) is None:
        raise UsageError(f"There is no format {name[:80]!r}.", hint=f"Known: {', '.join(FORMATS)}.")
    return found
