"""The providers there are: data.

A provider whose wire is another's is a row here and no code; what it does differently is its
dialect. Default models are the small general ones that each provider's documentation names.
"""

from __future__ import annotations

from msgspec import Struct

from headrace.providers.features import FEATURES
from headrace.providers.openai_chat.dialect import (
    COMPATIBLE,
    DEEPSEEK,
    LLAMACPP,
    LMSTUDIO,
    MISTRAL,
    OPENAI,
    OPENROUTER,
    VLLM,
    WITHOUT_FILES,
    Dialect,
)


class Row(Struct, frozen=True):
    """One provider.

    Attributes:
        name: As in ``name:model``; in capitals, what its environment variables begin with.
        module: Where its model class is.
        factory: The class.
        keys: Variables that may hold the key; the first is named in errors.
        base_url: Where it is; empty for a provider without an address.
        model: The default model; empty where the server alone knows.
        dialect: What it does differently.
        prefixes: What the names of its models begin with, to be known without the provider's.
        local: Whether it runs on one's own machine and needs no key.
        needs_model: Whether a model must be named.
        env: Arguments of the class, each with the variables that may hold it, besides
            ``<PROVIDER>_BASE_URL`` and ``<PROVIDER>_MODEL`` for the arguments of these names.
        lacks: Features that none of its models has on this wire, where no dialect tells them.
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
    env: dict[str, tuple[str, ...]] = {}
    lacks: frozenset[str] = frozenset()

    @property
    def supports(self) -> tuple[str, ...]:
        """The features that it has, at least for some of its models."""
        return tuple(f for f in FEATURES if f not in self.lacks | self.dialect.lacks)


ROWS: tuple[Row, ...] = (
    Row(
        "openai",
        keys=("OPENAI_API_KEY",),
        base_url="https://api.openai.com/v1",
        model="gpt-5.4-mini",
        dialect=OPENAI,
        prefixes=("gpt-", "chatgpt-", "o1", "o3", "o4", "ft:"),
    ),
    Row(
        "openai-responses",
        module="headrace.providers.openai_responses.client",
        factory="OpenAIResponses",
        keys=("OPENAI_API_KEY",),
        base_url="https://api.openai.com/v1",
        model="gpt-5.4-mini",
        env={"base_url": ("OPENAI_BASE_URL",), "model": ("OPENAI_MODEL",)},
        lacks=frozenset({"stop", "seed"}),
    ),
    Row(
        "anthropic",
        module="headrace.providers.anthropic.client",
        factory="Anthropic",
        keys=("ANTHROPIC_API_KEY",),
        base_url="https://api.anthropic.com",
        model="claude-haiku-5-5",
        prefixes=("claude-",),
        lacks=frozenset({"json", "seed"}),
    ),
    Row(
        "gemini",
        module="headrace.providers.gemini.client",
        factory="Gemini",
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        base_url="https://generativelanguage.googleapis.com/v1beta",
        model="gemini-3.8-flash",
        prefixes=("gemini-",),
    ),
    Row(
        "groq",
        keys=("GROQ_API_KEY",),
        base_url="https://api.groq.com/openai/v1",
        model="openai/gpt-oss-20b",
        dialect=WITHOUT_FILES,
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
        model="grok-4.3",
        dialect=WITHOUT_FILES,
        prefixes=("grok-",),
    ),
    Row(
        "together",
        keys=("TOGETHER_API_KEY",),
        base_url="https://api.together.xyz/v1",
        model="openai/gpt-oss-20b",
        dialect=WITHOUT_FILES,
    ),
    Row(
        "azure",
        module="headrace.providers.openai_chat.azure",
        factory="AzureOpenAI",
        keys=("AZURE_OPENAI_API_KEY",),
        dialect=OPENAI,
        needs_model=True,
        env={
            "base_url": ("AZURE_OPENAI_ENDPOINT",),
            "model": ("AZURE_OPENAI_DEPLOYMENT",),
            "api_version": ("AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"),
        },
    ),
    Row(
        "ollama",
        module="headrace.providers.ollama.client",
        factory="Ollama",
        keys=("OLLAMA_API_KEY",),
        base_url="http://127.0.0.1:11434",
        model="llama3.2",
        local=True,
        lacks=frozenset({"tool_choice", "files"}),
    ),
    Row(
        "vllm",
        keys=("VLLM_API_KEY",),
        base_url="http://127.0.0.1:8000/v1",
        dialect=VLLM,
        local=True,
        needs_model=True,
    ),
    Row(
        "llamacpp",
        keys=("LLAMACPP_API_KEY",),
        base_url="http://127.0.0.1:8080/v1",
        dialect=LLAMACPP,
        local=True,
    ),
    Row(
        "lmstudio",
        keys=("LMSTUDIO_API_KEY",),
        base_url="http://127.0.0.1:1234/v1",
        dialect=LMSTUDIO,
        local=True,
    ),
    Row(
        "cassette",
        module="headrace.providers.cassette.playing",
        factory="Cassette",
        local=True,
        needs_model=True,
    ),
    Row(
        "demo",
        module="headrace.providers.demo.model",
        factory="DemoModel",
        model="demo",
        local=True,
        lacks=frozenset(FEATURES) - {"tools", "tool_choice", "reasoning"},
    ),
)
