"""The floor for each other wire: a raw socket and a typed decode of only the needed fields."""

from __future__ import annotations

import sys

import msgspec

from bench import client, floor


class Delta(msgspec.Struct):
    text: str | None = None


class AnthropicEvent(msgspec.Struct):
    type: str
    delta: Delta | None = None


class ResponsesEvent(msgspec.Struct):
    type: str
    delta: str | None = None


class Part(msgspec.Struct):
    text: str | None = None


class Content(msgspec.Struct):
    parts: list[Part] = []


class Candidate(msgspec.Struct):
    content: Content | None = None
    finishReason: str | None = None


class Counts(msgspec.Struct):
    """Told in every chunk, and any may be the last."""

    promptTokenCount: int = 0
    candidatesTokenCount: int = 0


class GeminiChunk(msgspec.Struct):
    candidates: list[Candidate] = []
    usageMetadata: Counts | None = None


class Message(msgspec.Struct):
    content: str


class OllamaLine(msgspec.Struct):
    message: Message
    done: bool


class Anthropic(floor.Decoder):
    event = msgspec.json.Decoder(AnthropicEvent).decode

    def feed(self, data: bytes) -> list[str]:
        *events, self.rest = (self.rest + data).split(b"\n\n")
        decode = Anthropic.event
        texts = []
        for event in events:
            brace = event.find(b"{")
            if brace < 0:
                continue
            value = decode(event[brace:])
            if value.type == "content_block_delta":
                if value.delta is not None and value.delta.text:
                    texts.append(value.delta.text)
            elif value.type == "message_stop":
                self.done = True
        return texts


class Responses(floor.Decoder):
    event = msgspec.json.Decoder(ResponsesEvent).decode

    def feed(self, data: bytes) -> list[str]:
        *events, self.rest = (self.rest + data).split(b"\n\n")
        decode = Responses.event
        texts = []
        for event in events:
            brace = event.find(b"{")
            if brace < 0:
                continue
            value = decode(event[brace:])
            if value.type == "response.output_text.delta":
                if value.delta:
                    texts.append(value.delta)
            elif value.type == "response.completed":
                self.done = True
        return texts


class Gemini(floor.Decoder):
    event = msgspec.json.Decoder(GeminiChunk).decode

    def feed(self, data: bytes) -> list[str]:
        *events, self.rest = (self.rest + data).split(b"\r\n\r\n")
        decode = Gemini.event
        texts = []
        for event in events:
            brace = event.find(b"{")
            if brace < 0:
                continue
            for candidate in decode(event[brace:]).candidates:
                if candidate.content is not None:
                    texts += [part.text for part in candidate.content.parts if part.text]
                if candidate.finishReason:
                    self.done = True
        return texts


class Ollama(floor.Decoder):
    line = msgspec.json.Decoder(OllamaLine).decode

    def feed(self, data: bytes) -> list[str]:
        *lines, self.rest = (self.rest + data).split(b"\n")
        decode = Ollama.line
        texts = []
        for line in lines:
            if line[:1] != b"{":  # HTTP framing
                continue
            value = decode(line)
            if value.message.content:
                texts.append(value.message.content)
            if value.done:
                self.done = True
        return texts


DECODERS: dict[str, type[floor.Decoder]] = {
    "anthropic": Anthropic,
    "responses": Responses,
    "gemini": Gemini,
    "ollama": Ollama,
}


class WireFloor(floor.Floor):
    """Sends the chat floor's request to the wire's path, which the server does not look into."""

    def __init__(self, wire: str) -> None:
        self.wire = wire

    async def open(self, base_url: str) -> None:
        await super().open(f"{base_url}/{self.wire}")

    async def connection(self) -> floor.Connection:
        fresh = not self.idle
        connection = await super().connection()
        if fresh:
            connection.decoder = DECODERS[self.wire]()
        return connection


if __name__ == "__main__":
    client.serve_task(WireFloor(sys.argv[1]))
