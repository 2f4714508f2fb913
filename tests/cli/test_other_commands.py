"""`headrace models`, `headrace schema`, `--version`, and what the command costs to start."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from importlib.metadata import version

import jsonschema

from headrace.events import schema
from tests.cli.shell import environment, headrace
from tests.support.loopback import FIN, Loopback, reply

NAMES = (
    *("chat", "run", "runs", "watch", "cancel", "approve", "deny", "explain", "sessions"),
    *("record", "replay", "models", "schema", "serve", "send", "doctor"),
)


def test_models_tells_what_there_is_and_what_would_be_taken() -> None:
    lines = headrace("models").stdout.splitlines()
    openai = next(line for line in lines if line.startswith("openai "))
    assert "OPENAI_API_KEY is not set" in openai
    assert "https://api.openai.com/v1" in openai
    assert lines[-1].startswith("Now it would be demo")
    assert "no API key is set" in lines[-1]


def test_models_never_shows_a_key() -> None:
    secrets = {
        "OPENAI_API_KEY": "sk-secret-1",
        "OPENAI_BASE_URL": "https://me:secret-2@example.org/v1?key=secret-3",
    }
    for arguments in (["models"], ["models", "--json"]):
        done = headrace(*arguments, env=secrets)
        assert "secret" not in done.stdout + done.stderr
        assert "https://example.org/v1" in done.stdout


def test_models_as_json() -> None:
    groq_is_set = {"GROQ_API_KEY": "x", "GROQ_MODEL": "mine"}
    told = json.loads(headrace("models", "--json", env=groq_is_set).stdout)
    groq = next(row for row in told["providers"] if row["provider"] == "groq")
    assert groq["key_set"] == "GROQ_API_KEY"
    assert groq["model"] == "mine"
    assert told["chosen"] == {"model": "groq:mine", "why": "GROQ_API_KEY is set"}


def test_models_tells_what_each_supports() -> None:
    told = json.loads(headrace("models", "--json").stdout)
    rows = {row["provider"]: row for row in told["providers"]}
    assert "schema" in rows["openai"]["supports"]
    assert "tool_choice" not in rows["ollama"]["supports"]
    lines = headrace("models").stdout.splitlines()
    ollama = next(line for line in lines if line.startswith("ollama "))
    assert "does not answer" in ollama
    assert ollama.endswith("all but tool_choice, files")


async def test_models_tells_which_local_servers_answer() -> None:
    served = {"object": "list", "data": [{"id": "tiny"}, {"id": "small"}]}
    held = {"models": [{"name": "qwen3:4b"}]}
    async with (
        Loopback([*reply(200, served), FIN]) as llama,
        Loopback([*reply(200, held), FIN]) as ollama,
        Loopback([*reply(404, {}), FIN]) as other,
    ):
        env = {
            "LLAMACPP_BASE_URL": llama.url,
            "OLLAMA_HOST": f"127.0.0.1:{ollama.port}",
            "VLLM_BASE_URL": other.url,
            "LMSTUDIO_BASE_URL": "http://far.example:1/v1",
        }
        shown = await asyncio.to_thread(lambda: headrace("models", env=env).stdout)
        told = await asyncio.to_thread(lambda: headrace("models", "--json", env=env).stdout)
    lines = {line.split()[0]: line for line in shown.splitlines() if line}
    assert "answers with tiny and 1 more" in lines["llamacpp"]
    assert "answers with qwen3:4b" in lines["ollama"]
    assert "does not answer" in lines["vllm"]
    assert "needs no key" in lines["lmstudio"]
    found = {row["provider"]: row["models_here"] for row in json.loads(told)["providers"]}
    assert found["llamacpp"] == ["tiny", "small"]
    assert found["vllm"] is None
    assert found["lmstudio"] is None
    assert {request.target for request in llama.requests} == {"/v1/models"}


def test_models_says_why_none_would_be_taken() -> None:
    assert "None would be taken now" in headrace("models", env={"LLM_PROVIDER": "nobody"}).stdout


def test_schema_is_the_events_and_is_a_schema() -> None:
    told = json.loads(headrace("schema").stdout)
    assert told == json.loads(json.dumps(schema()))
    jsonschema.Draft202012Validator.check_schema(told)


def test_version() -> None:
    assert headrace("--version").stdout == f"headrace {version('headrace')}\n"


def test_help_names_every_command() -> None:
    shown = headrace("--help").stdout
    assert all(f"  {name} " in shown for name in NAMES)
    assert "..." not in shown.partition("Commands:")[2]  # what typer cuts off


def test_starting_loads_nothing_heavy() -> None:
    code = (
        "import sys, headrace.cli.commands; "
        "print({'aiohttp', 'pydantic', 'rich', 'markdown_it'} & set(sys.modules))"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
