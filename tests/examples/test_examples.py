"""Every example runs as it is, on the embedded model and without any key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SAYS = {
    # example: what its output shows (standard output, standard error)
    "approval.py": ("→ paid 80 to smith\nBoth are dealt with.\n[stop]", ""),
    "basic_streaming.py": ("[stop, ", ""),
    "collect.py": ("--- collected ", ""),
    "complete_cli.py": ("Completed in ", ""),
    "conversation.py": ("💡 Your name is Ada. \n[", ""),
    "custom_processing.py": ("Reply: ", "[Progress: 1"),
    "detached.py": ("back again", ""),
    "guard.py": ("The key is [redacted], kept by [email], I think.\n[stop, ", ""),
    "progress.py": ("Headrace", "Complete: "),
    "progress_indicators.py": ("All five pages are about water.\n", "[########------------] 40 %"),
    "react_calculator.py": ("💡 123 * 456 is 56088.\n[stop, ", ""),
    "research_network.py": ("→ writer: Two sentences for a plaque.\nSince the Romans, ", ""),
    "structured_output.py": ("✓ 3 days in Rome: long walks", ""),
    "tools.py": ("✓ order → ordered 1 of wheel for K-17", ""),
}
ELSEWHERE = {
    *("fastapi_app.py", "plain_text_endpoint.py", "sse_event_source.py", "websocket_chat.py"),
}
"""These need a server or a client beside them: see test_server_examples.py."""

LIMIT = 60


LIVE = os.environ.get("HEADRACE_LIVE") == "1"
"""Whether to ask the model that the environment offers, which costs money."""


def run_live(path: Path) -> subprocess.CompletedProcess[str]:
    """Run an example on the model that the environment offers."""
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "error", str(path)],
        env=os.environ | {"PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def run(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_MODEL"))}
    env = kept | {"LLM_PROVIDER": "demo", "HEADRACE_SPEED": "0", "PYTHONUTF8": "1"}
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "error", str(path), *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )


@pytest.mark.parametrize("example", sorted(SAYS))
def test_an_example_runs(example: str) -> None:
    done = run(EXAMPLES / example)
    out, err = SAYS[example]
    assert done.returncode == 0, done.stderr
    assert out in done.stdout
    assert err in done.stderr
    assert "Traceback" not in done.stderr
    assert "never awaited" not in done.stderr


@pytest.mark.skipif(not LIVE, reason="not on CI: HEADRACE_LIVE=1 asks a real model, by your key")
@pytest.mark.parametrize("example", sorted(SAYS))
def test_an_example_runs_on_a_real_model(example: str) -> None:
    done = run_live(EXAMPLES / example)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "Traceback" not in done.stderr


def test_an_example_takes_a_question() -> None:
    assert "56088" in run(EXAMPLES / "basic_streaming.py", "What is 123*456?").stdout


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS) | ELSEWHERE


def test_examples_fit_on_a_page() -> None:
    lengths = {p.name: len(p.read_text("utf-8").splitlines()) for p in EXAMPLES.glob("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines > 80} == {}


def test_an_example_that_fails_is_found(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import headrace\nheadrace.nothing\n")
    assert run(tmp_path / "bad.py").returncode == 1
