"""What compatible servers do differently: data, not copies of the client."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace


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
        named_choice: Whether a tool choice may name the tool. Where not, that tool alone is sent
            and some call required, which comes to the same.
        continues: Whether a conversation that ends in an assistant's message is an answer begun,
            with which the server goes on.
        begun: What that message must say of itself for it.
        begun_body: What the request must say besides.
        echoes: Whether the server then begins with the text that it was given.
        lacks: Features (`features.FEATURES`) that no model of the server has on this wire.
        schema_and_tools: Whether one request may have a JSON Schema as `response_format` and tools.
            Most servers then force the schema on whatever the model writes, so that it can call
            nothing (vLLM's bug tracker, issue 39929), or refuse it.
    """

    max_tokens: str = "max_tokens"
    stream_options: bool = True
    seed: str = "seed"
    required: str = "required"
    system_role: str = "system"
    reasoning_back: str = ""
    file_urls: bool = False
    named_choice: bool = True
    continues: bool = False
    begun: dict[str, Any] = {}
    begun_body: dict[str, Any] = {}
    echoes: bool = False
    lacks: frozenset[str] = frozenset()
    schema_and_tools: bool = False


COMPATIBLE = Dialect()
"""What most servers understand."""

OPENAI = Dialect(
    max_tokens="max_completion_tokens", lacks=frozenset({"reasoning"}), schema_and_tools=True
)
"""OpenAI refuses `max_tokens` for its reasoning models (API reference, chat/create), and shows
their reasoning by the Responses API only ("Reasoning models")."""

WITHOUT_FILES = Dialect(lacks=frozenset({"files"}))
"""A message holds text, images and maybe sounds: Groq (the types of its Python client), xAI (files
go by its Responses API), Together, vLLM ("Multimodal inputs")."""

DEEPSEEK = Dialect(reasoning_back="reasoning_content", lacks=frozenset({"files", "schema", "seed"}))
"""api-docs.deepseek.com, "Thinking Mode", tool calls: refused with 400 when it is missing. The
reference of chat/completions knows ``json_object`` and no schema, and no seed."""

DEEPSEEK_BETA = replace(DEEPSEEK, continues=True, begun={"prefix": True})
"""api-docs.deepseek.com, "Chat Prefix Completion (Beta)": at ``https://api.deepseek.com/beta``."""

LLAMACPP = Dialect(named_choice=False, continues=True, echoes=True, lacks=frozenset({"files"}))
"""llama.cpp's server reads a tool choice as a word, and takes an object for ``auto``. It goes on
with an answer begun unless started with ``--no-prefill-assistant``, and sends it again first (both
measured on build 0c1e570)."""

VLLM = replace(
    WITHOUT_FILES,
    continues=True,
    begun_body={"continue_final_message": True, "add_generation_prompt": False},
)
"""docs.vllm.ai, "OpenAI-Compatible Server", extra parameters of the Chat API."""

LMSTUDIO = Dialect(named_choice=False, lacks=frozenset({"files", "json"}))
"""LM Studio refuses a response format other than ``json_schema`` and ``text`` (bug tracker,
issue 189); a tool choice is a word (lmstudio.ai/docs, "Tool Use")."""

MISTRAL = Dialect(
    stream_options=False,
    seed="random_seed",
    required="any",
    continues=True,
    begun={"prefix": True},
    echoes=True,
    lacks=frozenset({"files"}),
)
"""docs.mistral.ai/api: unknown fields are refused with 422; usage comes without being asked for.
Documents go as ``document_url``, not as OpenAI's ``file``.
The answer to a prefix may have the prefix in it ("Prefix")."""

OPENROUTER = Dialect(file_urls=True)
"""openrouter.ai/docs, "PDF inputs": `file_data` takes a URL too."""
