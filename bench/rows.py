"""The programs that are measured: what each is called, and how it is started."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from bench import environments


@dataclass(frozen=True)
class Row:
    """A measured program. `peer` names its environment; empty means this one."""

    name: str
    module: str
    argument: str = ""
    peer: str = ""
    imports: str = ""  # the statement whose cost is measured
    packages: tuple[str, ...] = ()

    def python(self) -> Path:
        return environments.python(self.peer) if self.peer else Path(sys.executable)


FLOOR = Row("floor", "bench.floor", imports="import asyncio, msgspec", packages=("msgspec",))
AIOHTTP = Row("aiohttp", "bench.aiohttp_floor", imports="import aiohttp", packages=("aiohttp",))
ADAPTER = Row("headrace adapter", "bench.ours", "adapter")
RUN_STREAM = Row(
    "headrace run_stream",
    "bench.ours",
    "run_stream",
    imports="import headrace",
    packages=("headrace",),
)
EVENTS = Row("headrace events", "bench.ours", "events", imports="from headrace import Agent")
OURS = (FLOOR, AIOHTTP, ADAPTER, EVENTS, RUN_STREAM)
WIRES = tuple(
    (
        Row(f"{wire} floor", "bench.wire_floor", wire),
        Row(f"{wire} adapter", "bench.wire_adapter", wire),
    )
    for wire in ("anthropic", "responses", "gemini", "ollama")
)
"""The floor and Headrace's provider for each other wire."""
PEERS = (
    Row("openai", "bench.peers.openai", "", "openai", "import openai", ("openai",)),
    Row(
        "openai-agents", "bench.peers.openai_agents", "", "openai-agents", "import agents",
        ("openai-agents", "openai"),
    ),
    Row(
        "langchain", "bench.peers.langchain", "", "langchain", "import langchain_openai",
        ("langchain-openai", "langchain-core", "openai"),
    ),
    Row(
        "pydantic-ai", "bench.peers.pydantic_ai", "", "pydantic-ai", "import pydantic_ai",
        ("pydantic-ai-slim", "openai"),
    ),
    Row("litellm", "bench.peers.litellm", "", "litellm", "import litellm", ("litellm", "openai")),
)  # fmt: skip
