"""The wheel, installed alone into a fresh environment, works without any extra."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv") or "uv"
BASE = {"headrace", "aiohttp", "msgspec", "pydantic", "rich", "typer"}


def run(*command: str | Path, home: Path) -> str:
    # uv keeps its cache, so that nothing is downloaded twice; our own program sees no key.
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    kept.pop("VIRTUAL_ENV", None)
    env = kept | {"PYTHONPATH": "", "LLM_PROVIDER": "demo", "NO_COLOR": "1"}
    done = subprocess.run(  # noqa: S603 - our own commands
        [str(part) for part in command],
        cwd=home,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("wheel")
    run(UV, "build", "--quiet", "--wheel", "--out-dir", home / "dist", ROOT, home=home)
    (wheel,) = (home / "dist").glob("*.whl")
    run(UV, "venv", "--quiet", "--python", sys.executable, home / "env", home=home)
    run(UV, "pip", "install", "--quiet", "--python", home / "env/bin/python", wheel, home=home)
    return home


@pytest.mark.slow
def test_it_brings_only_the_base(installed: Path) -> None:
    listed = run(
        UV,
        "pip",
        "list",
        "--python",
        installed / "env/bin/python",
        "--format",
        "json",
        home=installed,
    )
    names = {package["name"] for package in json.loads(listed)}
    assert names >= BASE
    assert not names & {"pytest", "hypothesis", "mypy", "starlette", "uvicorn", "openai"}


@pytest.mark.slow
def test_it_carries_its_types_its_licence_and_its_documentation(installed: Path) -> None:
    inside = {path.name for path in (installed / "env").rglob("*") if "headrace" in str(path)}
    assert {"py.typed", "LICENSE", "events.md", "README.md", "headrace.js", "index.html"} <= inside


@pytest.mark.slow
def test_its_command_works(installed: Path) -> None:
    headrace = installed / "env/bin/headrace"
    assert "chat" in run(headrace, "--help", home=installed)
    assert json.loads(run(headrace, "schema", home=installed))["title"] == "Headrace event"
    assert "4" in run(headrace, "run", "2+2", home=installed)


def test_a_command_that_fails_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no such thing"):
        run(sys.executable, "-c", "import sys; sys.exit('no such thing')", home=tmp_path)
