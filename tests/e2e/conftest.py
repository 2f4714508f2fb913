"""A real llama.cpp server with tiny random-weight models, for end-to-end tests."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.llama_server import LlamaServer

HOW = (
    "HEADRACE_LLAMA_SERVER is not set: build llama.cpp's server (llama-server) and point the "
    "variable at it, with tiny.gguf, tiny-tools.gguf and tools.jinja in the same directory"
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _serve(model: str, *arguments: str) -> Iterator[LlamaServer]:
    binary = os.environ.get("HEADRACE_LLAMA_SERVER")
    if not binary:
        pytest.skip(HOW)
    home = Path(binary).parent
    server = LlamaServer(port := _free_port())
    command = [binary, "-m", str(home / model), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(  # noqa: S603
        [*command, "-c", "32768", "-np", "4", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_health(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(10)


def _await_health(server: LlamaServer, process: subprocess.Popen[bytes]) -> None:
    """Ask for its health until it answers; the server tells in no other way that it is up."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "llama-server ended at once: is libgomp1 installed?"
        try:
            server.get("/health")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
        else:
            return
    raise AssertionError("llama-server did not come up within 60 s")


@pytest.fixture(scope="session")
def llama() -> Iterator[LlamaServer]:
    """Streams random English words."""
    yield from _serve("tiny.gguf")


@pytest.fixture(scope="session")
def llama_tools() -> Iterator[LlamaServer]:
    """Knows tools; ``tool_choice: "required"`` forces valid calls by grammar."""
    home = Path(os.environ.get("HEADRACE_LLAMA_SERVER", "")).parent
    template = str(home / "tools.jinja")
    yield from _serve("tiny-tools.gguf", "--jinja", "--chat-template-file", template)
