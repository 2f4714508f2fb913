"""The peers' environments under ``.bench/``: one each, made the first time it is asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".bench"

# What to install for a peer; the versions that came are read back and reported.
REQUIREMENTS = {
    "openai": ["openai"],
    "pydantic-ai": ["pydantic-ai-slim[openai]"],
    "openai-agents": ["openai-agents"],
    "litellm": ["litellm"],
    "langchain": ["langchain-openai"],
    "sse-starlette": ["sse-starlette", "uvicorn", "httptools"],
    "fastapi": ["fastapi", "uvicorn", "httptools"],
}
_VERSIONS = """
import importlib.metadata as m, sys
for name in sys.argv[1:]:
    try:
        print(name, m.version(name))
    except m.PackageNotFoundError:
        pass
"""


def variables() -> dict[str, str]:
    """The environment for a measured program: nobody reports home or reads a key from it."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_BASE_URL"))}
    return kept | {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LANGSMITH_TRACING": "false",
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
        "PYTHONPATH": "",
    }


def _uv() -> str | None:
    beside = Path(sys.executable).parent / "uv"
    return shutil.which("uv") or (str(beside) if beside.exists() else None)


def python(peer: str) -> Path:
    """The interpreter of the peer's environment, which is installed if it is not there.

    Raises:
        subprocess.CalledProcessError: The installer failed; its own output says why.
    """
    home = HOME / peer
    interpreter = home / "bin" / "python"
    installed = home / "installed"
    if not installed.exists():
        print(f"  installing {peer} into {home.relative_to(ROOT)} …", flush=True)
        _install(home, interpreter, REQUIREMENTS[peer])
        installed.write_text(" ".join(REQUIREMENTS[peer]) + "\n", encoding="utf-8")
    return interpreter


def _install(home: Path, interpreter: Path, requirements: list[str]) -> None:
    shutil.rmtree(home, ignore_errors=True)
    if uv := _uv():
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(home)], check=True)
        pip = [uv, "pip", "install", "-q", "--python", str(interpreter)]
    else:
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        pip = [str(interpreter), "-m", "pip", "install", "-q"]
    subprocess.run([*pip, *requirements], check=True)


def versions(interpreter: Path, packages: list[str]) -> dict[str, str]:
    """The installed versions of `packages`, leaving out those that are not there."""
    command = [str(interpreter), "-c", _VERSIONS, *packages]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(line.split(" ", 1) for line in lines)
