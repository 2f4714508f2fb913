"""`headrace models`, `headrace schema`, `--version`, and what the command costs to start."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

import jsonschema

from headrace.events import schema
from tests.cli.shell import environment, headrace


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
    assert all(f"  {name} " in shown for name in ("chat", "run", "models", "schema"))


def test_starting_loads_nothing_heavy() -> None:
    code = (
        "import sys, headrace.cli.main; "
        "print({'aiohttp', 'pydantic', 'rich', 'markdown_it'} & set(sys.modules))"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
