"""What compatible servers do differently: data, not copies of the client."""

from __future__ import annotations

from msgspec import Struct


class Dialect(Struct, frozen=True):
    """One server's departures from the common ground of Chat Completions.

    Attributes:
        max_tokens: The field that bounds the answer's tokens.
        stream_options: Whether ``stream_options: {include_usage: true}`` is understood.
        seed: The field of the seed.
        required: The word for a tool choice that must call some tool.
        system_role: The role of instructions.
        reasoning_back: The field in which an assistant message that calls tools must bring its
            reasoning back; empty where reasoning is not sent back.
        file_urls: Whether a file may be given by its URL.
    """

    max_tokens: str = "max_tokens"
    stream_options: bool = True
    seed: str = "seed"
    required: str = "required"
    system_role: str = "system"
    reasoning_back: str = ""
    file_urls: bool = False


COMPATIBLE = Dialect()
"""What most servers understand."""

OPENAI = Dialect(max_tokens="max_completion_tokens")
"""OpenAI refuses `max_tokens` for its reasoning models (API reference, chat/create)."""

DEEPSEEK = Dialect(reasoning_back="reasoning_content")
"""api-docs.deepseek.com, "Thinking Mode", tool calls: refused with 400 when it is missing."""

MISTRAL = Dialect(stream_options=False, seed="random_seed", required="any")
"""docs.mistral.ai/api: unknown fields are refused with 422; usage comes without being asked for."""

OPENROUTER = Dialect(file_urls=True)
"""openrouter.ai/docs, "PDF inputs": `file_data` takes a URL too."""
