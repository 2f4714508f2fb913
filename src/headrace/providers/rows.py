"""The providers there are: data.

A provider whose wire is another's is a row here and no code; what it does differently is its
dialect. Default models are the small general ones that each provider's documentation names.
"""

from __future__ import annotations

from msgspec import Struct

from headrace.providers.openai_chat.dialect import (
    COMPATIBLE,
    DEEPSEEK,
    MISTRAL,
    OPENAI,
    OPENROUTER,
    Dialect,
)


class Row(Struct, frozen=True):
    """One provider.

    Attributes:
        name: As in ``name:model``; in capitals, what its environment variables begin with.
        module: Where its model class is; empty while this version has none.
        factory: The class.
        keys: Variables that may hold the key; the first is named in errors.
        base_url: Where it is; empty for a provider without an address.
        model: The default model; empty where the server alone knows.
        dialect: What it does differently.
        prefixes: What the names of its models begin with, to be known without the provider's.
        local: Whether it runs on one's own machine and needs no key.
        needs_model: Whether a model must be named.
    """

    name: str
    module: str = "headrace.providers.openai_chat.client"
    factory: str = "OpenAIChat"
    keys: tuple[str, ...] = ()
    base_url: str = ""
    model: str = ""
    dialect: Dialect = COMPATIBLE
    prefixes: tuple[str, ...] = ()
    local: bool = False
    needs_model: bool = False


ROWS: tuple[Row, ...] = (
    Row(
        "openai",
        keys=("OPENAI_API_KEY",),
        base_url="https://api.openai.com/v1",
        model="gpt-5-mini",
        dialect=OPENAI,
        prefixes=("gpt-", "chatgpt-", "o1", "o3", "o4", "ft:"),
    ),
    Row("anthropic", module="", keys=("ANTHROPIC_API_KEY",), prefixes=("claude-",)),
    Row("gemini", module="", keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"), prefixes=("gemini-",)),
    Row(
        "groq",
        keys=("GROQ_API_KEY",),
        base_url="https://api.groq.com/openai/v1",
        model="openai/gpt-oss-20b",
    ),
    Row(
        "openrouter",
        keys=("OPENROUTER_API_KEY",),
        base_url="https://openrouter.ai/api/v1",
        model="openrouter/auto",
        dialect=OPENROUTER,
    ),
    Row(
        "deepseek",
        keys=("DEEPSEEK_API_KEY",),
        base_url="https://api.deepseek.com/v1",
        model="deepseek-flash",
        dialect=DEEPSEEK,
        prefixes=("deepseek-",),
    ),
    Row(
        "mistral",
        keys=("MISTRAL_API_KEY",),
        base_url="https://api.mistral.ai/v1",
        model="mistral-small-latest",
        dialect=MISTRAL,
        prefixes=("mistral-", "magistral-", "codestral-", "ministral-"),
    ),
    Row(
        "xai",
        keys=("XAI_API_KEY",),
        base_url="https://api.x.ai/v1",
        model="grok-4",
        prefixes=("grok-",),
    ),
    Row(
        "together",
        keys=("TOGETHER_API_KEY",),
        base_url="https://api.together.xyz/v1",
        model="openai/gpt-oss-20b",
    ),
    Row(
        "ollama",
        keys=("OLLAMA_API_KEY",),
        base_url="http://127.0.0.1:11434/v1",
        model="llama3.2",
        local=True,
    ),
    Row(
        "vllm",
        keys=("VLLM_API_KEY",),
        base_url="http://127.0.0.1:8000/v1",
        local=True,
        needs_model=True,
    ),
    Row("llamacpp", keys=("LLAMACPP_API_KEY",), base_url="http://127.0.0.1:8080/v1", local=True),
    Row("lmstudio", keys=("LMSTUDIO_API_KEY",), base_url="http://127.0.0.1:1234/v1", local=True),
    Row(
        "demo",
        module="headrace.providers.demo.model",
        factory="DemoModel",
        model="demo",
        local=True,
    ),
)
