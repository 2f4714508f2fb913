"""Which model a name, or an environment, means."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.errors import ConfigurationError
from headrace.models.deadlines import Deadlines
from headrace.models.model import Model
from headrace.providers.ollama_probe import ollama_models, ollama_url
from headrace.providers.openai_chat.dialect import COMPATIBLE, MISTRAL, OPENAI
from headrace.providers.secret import Secret
from headrace.providers.table import ROWS, choose_model, find_row, resolve_model

KEY = "canary-0123456789abcdef"
NOWHERE = "127.0.0.1:1"


def choose(name: str | None = None, /, **env: str) -> tuple[Any, str]:
    choice = choose_model(name, env={"OLLAMA_HOST": NOWHERE, **env})
    return choice.model, choice.why


def refused(name: str | None = None, /, **env: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        choose(name, **env)
    assert KEY not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("openai:gpt-5-mini", "openai:gpt-5-mini"),
        ("OpenAI:gpt-5-mini", "openai:gpt-5-mini"),
        (" openai : gpt-4o ", "openai:gpt-4o"),
        ("gpt-4o", "openai:gpt-4o"),
        ("o3", "openai:o3"),
        ("claude-sonnet-4-5", "anthropic:claude-sonnet-4-5"),
        ("google:gemini-2.5-pro", "gemini:gemini-2.5-pro"),
        ("o4-mini", "openai:o4-mini"),
        ("chatgpt-4o-latest", "openai:chatgpt-4o-latest"),
        ("ft:gpt-4o:org::id", "openai:ft:gpt-4o:org::id"),
        ("groq:llama-3.3-70b-versatile", "groq:llama-3.3-70b-versatile"),
        ("grok-4", "xai:grok-4"),
        ("mistral-small-latest", "mistral:mistral-small-latest"),
        ("ollama:llama3.2:1b", "ollama:llama3.2:1b"),
        ("vllm:org/model", "vllm:org/model"),
        ("llama.cpp", "llamacpp"),
        ("lmstudio", "lmstudio"),
    ],
)
def test_names(name: str, full: str) -> None:
    env = {key: KEY for row in ROWS for key in row.keys}
    model, why = choose(name, **env)
    assert model.name == full
    assert why == "it was named"


def test_a_bare_provider_takes_its_default_model() -> None:
    for row in ROWS:
        if row.base_url and not row.needs_model:
            assert choose(row.name, **{row.keys[0]: KEY})[0].model == row.model


def test_a_bare_provider_takes_the_model_of_the_environment() -> None:
    assert choose("groq", GROQ_API_KEY=KEY, GROQ_MODEL="x/y")[0].name == "groq:x/y"
    assert choose("groq:z", GROQ_API_KEY=KEY, GROQ_MODEL="x/y")[0].name == "groq:z"


def test_a_model_is_given_back_as_it_is() -> None:
    model, _ = choose("ollama")
    assert resolve_model(model, env={}) is model


def test_llm_provider_decides_when_nothing_is_named() -> None:
    model, why = choose(LLM_PROVIDER="groq", GROQ_API_KEY=KEY, GROQ_MODEL="m", OPENAI_API_KEY=KEY)
    assert (model.name, why) == ("groq:m", "LLM_PROVIDER is groq")


def test_the_first_key_in_the_tables_order_decides_next() -> None:
    model, why = choose(MISTRAL_API_KEY=KEY, GROQ_API_KEY=KEY, GROQ_MODEL="m")
    assert (model.name, why) == ("groq:m", "GROQ_API_KEY is set")
    model, why = choose(OPENAI_API_KEY=KEY, OPENAI_MODEL="gpt-4o", GROQ_API_KEY=KEY)
    assert (model.name, why) == ("openai:gpt-4o", "OPENAI_API_KEY is set")


def test_an_empty_key_is_no_key() -> None:
    assert choose(OPENAI_API_KEY="  ", GROQ_API_KEY=KEY)[0].provider == "groq"


def test_keys_of_local_servers_choose_nothing() -> None:
    assert choose(VLLM_API_KEY=KEY)[0].provider == "demo"


def test_without_anything_it_is_the_embedded_model() -> None:
    model, why = choose()
    assert model.provider == "demo"
    assert why == "no API key is set and no Ollama answers"


def test_a_base_url_alone_means_an_openai_compatible_server() -> None:
    model = resolve_model(base_url="http://127.0.0.1:9/v1", env={"OPENAI_MODEL": "m"})
    assert model.name == "openai:m"


@pytest.mark.parametrize(
    ("name", "near"),
    [("opnai:gpt-4o", "openai"), ("grok5", "grok"), ("olama:x", "ollama"), ("mistrl", "mistral")],
)
def test_an_unknown_provider_names_the_nearest(name: str, near: str) -> None:
    message = refused(name)
    assert f"Did you mean {near}" in message
    assert "provider:model" in message


def test_an_unknown_model_says_how_to_name_one() -> None:
    assert "Unknown model or provider 'llama3.2'" in refused("llama3.2")


def test_a_missing_key_names_its_variable() -> None:
    assert "Set GROQ_API_KEY" in refused("groq")
    assert "Set GROQ_API_KEY" in refused(LLM_PROVIDER="groq")


def test_vllm_alone_does_not_know_its_model() -> None:
    assert "VLLM_MODEL" in refused("vllm")
    assert choose("vllm", VLLM_MODEL="m")[0].name == "vllm:m"


def test_another_address_needs_no_key() -> None:
    assert choose("openai:m", OPENAI_BASE_URL="http://127.0.0.1:9/v1")[0].name == "openai:m"
    assert resolve_model("openai:m", base_url="http://10.0.0.7/v1", env={}).name == "openai:m"


@pytest.mark.parametrize(
    "url",
    ["", " ", "localhost:8000/v1", "ftp://x/", "http://", "http://u:canary-0123456789abcdef@h/v1"],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve_model("openai:m", base_url=url or "/", api_key="k" * 9, env={})
    assert "base_url" in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("key", [f"{KEY}\nx", f"{KEY} x", f"{KEY}é"])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(key: str) -> None:
    assert "API key" in refused("openai:m", OPENAI_API_KEY=key)


def test_blanks_around_a_key_are_dropped() -> None:
    assert choose("openai:m", OPENAI_API_KEY=f" {KEY}\r\n")[0].provider == "openai"


def test_a_model_shows_no_key() -> None:
    model, _ = choose("openai:m", OPENAI_API_KEY=KEY)
    assert KEY not in f"{model!r} {vars(model)}"
    assert resolve_model("openai:m", api_key=Secret(KEY), env={}).name == "openai:m"


def test_settings_reach_the_model() -> None:
    deadlines = Deadlines(connect=1.0)
    model: Any = resolve_model("ollama", env={}, deadlines=deadlines)
    assert model.deadlines is deadlines


def test_a_server_that_stands_in_for_openai_gets_the_common_fields() -> None:
    def dialect(name: str, url: str) -> object:
        model: Any = resolve_model(name, base_url=url, api_key=KEY, env={})
        return model.dialect

    assert dialect("openai:tiny", "http://127.0.0.1:9/v1") is COMPATIBLE
    assert dialect("openai:gpt-5-mini", "https://gateway.example/v1") is OPENAI
    assert dialect("openai:tiny", "https://api.openai.com/v1") is OPENAI
    assert dialect("mistral:x", "https://gateway.example/v1") is MISTRAL


def test_all_rows_can_be_found_and_are_models() -> None:
    for row in ROWS:
        assert find_row(row.name) == (row, "")
        if row.keys or row.name == "demo":
            env = {"AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com"}
            model = resolve_model(f"{row.name}:m", api_key=KEY, env=env)
            assert isinstance(model, Model)
            assert model.provider == row.name


def test_the_table_imports_no_providers_modules() -> None:
    code = (
        "import sys, headrace.providers.table as t\n"
        "t.find_row('gpt-4o')\n"
        "heavy = {'aiohttp', 'pydantic', 'rich', 'typer', 'yarl'} & set(sys.modules)\n"
        "heavy |= {m for m in sys.modules if m.endswith('.client')}\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own words


# --- Ollama -------------------------------------------------------------------------------------


class Answering:
    """A plain server in a thread that gives one answer to each connection."""

    def __init__(self, answer: bytes, *, hold: bool = False) -> None:
        self.answer = answer
        self.hold = hold
        self.asked = b""
        self.over = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                self.asked += peer.recv(65536)
                peer.sendall(self.answer)
                if self.hold:
                    self.over.wait()

    def close(self) -> None:
        self.over.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


def tags(*names: str) -> bytes:
    models = ",".join(f'{{"name":"{name}","size":1}}' for name in names)
    return f'HTTP/1.0 200 OK\r\n\r\n{{"models":[{models}]}}'.encode()


@pytest.fixture
def ollama(request: pytest.FixtureRequest) -> Iterator[Answering]:
    server = Answering(request.param)
    yield server
    server.close()


@pytest.mark.parametrize("ollama", [tags("qwen3:4b", "llama3.2:latest")], indirect=True)
def test_an_ollama_that_answers_is_chosen_with_its_default_model(ollama: Answering) -> None:
    model, why = choose(OLLAMA_HOST=f"127.0.0.1:{ollama.port}")
    assert model.name == "ollama:llama3.2"
    assert why == f"Ollama answers at http://127.0.0.1:{ollama.port}"
    assert ollama.asked.startswith(b"GET /api/tags HTTP/1.0\r\n")


@pytest.mark.parametrize("ollama", [tags("qwen3:4b")], indirect=True)
def test_a_model_that_it_holds_is_taken_where_the_default_is_missing(ollama: Answering) -> None:
    host = f"127.0.0.1:{ollama.port}"
    assert choose(OLLAMA_HOST=host)[0].name == "ollama:qwen3:4b"
    assert choose(OLLAMA_HOST=host, OLLAMA_MODEL="mine")[0].name == "ollama:mine"


@pytest.mark.parametrize("ollama", [tags()], indirect=True)
def test_an_ollama_without_models_is_of_no_use(ollama: Answering) -> None:
    model, why = choose(OLLAMA_HOST=f"127.0.0.1:{ollama.port}")
    assert model.provider == "demo"
    assert "Ollama holds no model" in why


@pytest.mark.parametrize(
    "ollama",
    [b"", b"garbage", b"HTTP/1.0 404 Not Found\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n[1]"],
    indirect=True,
)
def test_another_server_on_its_port_is_no_ollama(ollama: Answering) -> None:
    assert ollama_models(f"http://127.0.0.1:{ollama.port}") is None


def test_a_server_that_never_ends_its_answer_is_not_waited_for() -> None:
    server = Answering(b"HTTP/1.0 200 OK\r\n", hold=True)
    try:
        assert ollama_models(f"http://127.0.0.1:{server.port}", seconds=0.05) is None
    finally:
        server.close()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104 - a value to be read
        ("box", "http://box:11434"),
        ("box:80", "http://box:80"),
        (":5000", "http://127.0.0.1:5000"),
        ("http://box", "http://box:80"),
        ("https://box/", "https://box:443"),
        ("http://box:11434/ollama/", "http://box:11434/ollama"),
        ("[::1]:7", "http://[::1]:7"),
        ('"box"', "http://box:11434"),
    ],
)
def test_ollama_host_as_ollama_reads_it(host: str, url: str) -> None:
    assert ollama_url(host) == url


def test_an_ollama_host_that_is_no_address_is_refused() -> None:
    assert "OLLAMA_HOST" in refused(OLLAMA_HOST="box:port")


def test_ollama_host_is_the_providers_address() -> None:
    model: Any = choose("ollama:m", OLLAMA_HOST="127.0.0.1:5")[0]
    assert model._endpoint.where == "127.0.0.1:5"


def test_another_clients_address_of_an_ollama_is_taken_too() -> None:
    model: Any = choose("ollama:m", OLLAMA_BASE_URL="http://127.0.0.1:5/v1")[0]
    assert model._endpoint._url.path == "/"


# --- Azure --------------------------------------------------------------------------------------

AZURE = {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com/"}


@pytest.mark.parametrize("name", ["AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"])
def test_azure_asks_a_deployment(name: str) -> None:
    model, why = choose(**AZURE, AZURE_OPENAI_DEPLOYMENT="mine", **{name: "2024-10-21"})
    assert (model.name, why) == ("azure:mine", "AZURE_OPENAI_API_KEY is set")
    address = "https://me.openai.azure.com/openai/deployments/mine?api-version=2024-10-21"
    assert str(model._endpoint._url) == address


@pytest.mark.parametrize("end", ["", "/", "/openai", "/openai/v1", "/openai/v1/"])
def test_azure_without_an_api_version_is_asked_by_its_v1_api(end: str) -> None:
    env = {**AZURE, "AZURE_OPENAI_ENDPOINT": f"https://me.openai.azure.com{end}"}
    assert str(choose("azure:mine", **env)[0]._endpoint._url) == (
        "https://me.openai.azure.com/openai/v1"
    )


def test_what_azure_needs_is_named() -> None:
    assert "AZURE_OPENAI_DEPLOYMENT" in refused(**AZURE)
    assert "AZURE_OPENAI_ENDPOINT" in refused("azure:mine", AZURE_OPENAI_API_KEY=KEY)
    assert "AZURE_OPENAI_API_KEY" in refused(
        "azure:mine", AZURE_OPENAI_ENDPOINT="https://me.openai.azure.com"
    )


def test_a_token_stands_in_for_azures_key() -> None:
    for env in (AZURE, {"AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com"}):
        assert resolve_model("azure:mine", env=env, token=lambda: "t").name == "azure:mine"
    with pytest.raises(ConfigurationError, match="both a key and a token"):
        resolve_model("azure:mine", env=AZURE, api_key=KEY, token=lambda: "t")
