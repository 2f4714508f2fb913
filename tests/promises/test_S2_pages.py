"""What users of goagents know: examples that run, and pages to read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace import Agent, EventDispatcher, StreamChunk
from headrace.models.model import BaseModel
from headrace.runs.run import Run
from tests.docs.pages import ROOT, blocks
from tests.examples.test_examples import EXAMPLES, SAYS, run

WANTED = {
    "basic streaming": "basic_streaming.py",
    "ReAct with a calculator and progress": "react_calculator.py",
    "progress indicators": "progress_indicators.py",
    "a conversation": "conversation.py",
    "a research network": "research_network.py",
    "an approval": "approval.py",
    "structured output": "structured_output.py",
    "a guard": "guard.py",
}
MIGRATION = (ROOT / "docs" / "migration.md").read_text("utf-8")
SHORT = {"Agent": Agent, "Model": BaseModel, "Run": Run, "StreamChunk": StreamChunk}


@pytest.mark.parametrize("what", WANTED)
def test_S2_17_there_is_an_example_that_runs(what: str) -> None:
    assert WANTED[what] in SAYS  # so it runs in test_examples.py


def test_S2_17_progress_is_shown_while_a_tool_works_and_never_in_the_answer() -> None:
    shown = run(EXAMPLES / "progress_indicators.py")
    assert shown.stdout == "All five pages are about water.\n"
    told = [line.split("\x1b[K")[-1] for line in re.split(r"[\r\n]+", shown.stderr)]
    for wanted in ("thinking", "survey", "] 20 %", "] 100 %", "✓ survey (", "✓ done in "):
        assert any(wanted in line for line in told), (wanted, told)


def test_S2_20_the_readme_shows_how_to_stream() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    code = "".join(block.text for block in blocks(readme) if block.language == "python")
    assert "async for chunk in agent.run_stream(" in code
    for page in ("streaming", "agents", "quickstart"):
        assert f"(docs/{page}.md)" in readme


def test_S2_20_every_view_of_an_agent_and_a_model_is_described() -> None:
    views = ["run", "run_stream", "start", "execute_stream", "run_callback"]
    streaming = (ROOT / "docs" / "streaming.md").read_text("utf-8")
    for view in [*views, "run_sync", "stream_sync"]:
        assert f"`{view}" in streaming or f".{view}(" in streaming, view
        assert undocumented(Agent, view) == []
    for view in ("stream", "complete", "chat_stream", "complete_stream"):
        assert undocumented(BaseModel, view) == []
    for view in ("subscribe", "attach"):
        assert undocumented(EventDispatcher, view) == []


def test_S2_20_every_public_name_is_described() -> None:
    assert [name for name in headrace.__all__ if not getattr(headrace, name).__doc__] == []
    assert undocumented(Named, "plain") == ["plain"]


class Named:
    def plain(self) -> None: ...


def undocumented(owner: type, name: str) -> list[str]:
    return [] if getattr(owner, name).__doc__ else [name]


def test_S2_20_a_migration_guide_tells_what_to_write_instead() -> None:
    for system in ("goagents", "Oasis", "Cogent", "agents_sdk", "sage-adk"):
        assert f"\n### {system}" in MIGRATION
    named = names(MIGRATION)
    assert len(named) > 25
    assert [name for name in named if found(name) is None] == []


@pytest.mark.parametrize("name", ["headrace.Stream", "headrace.events.Word", "Agent.stream_all"])
def test_S2_20_a_name_that_there_is_not_is_found(name: str) -> None:
    assert names(f"| theirs | `{name}` |") == [name]
    assert found(name) is None


def names(page: str) -> list[str]:
    """What the right columns name, by module path or by one of the short names."""
    cells = [line.rsplit("|", 2)[1] for line in page.splitlines() if line.startswith("| ")]
    spans = [span for cell in cells for span in re.findall(r"`([A-Za-z_.]+)`", cell)]
    return [span for span in spans if span.split(".")[0] in {"headrace", *SHORT}]


def found(name: str) -> Any:
    """What is called so."""
    first, *rest = name.split(".")
    if first in SHORT:
        found = SHORT[first]
        return found.__dict__.get(rest[0]) or getattr(found, rest[0], None) if rest else found
    try:
        return import_module(name)
    except ModuleNotFoundError:
        module, _, last = name.rpartition(".")
    try:
        return getattr(import_module(module), last, None)
    except ModuleNotFoundError:
        return None


def test_S2_20_coverage_is_measured_and_the_pure_parts_are_covered(tmp_path: Path) -> None:
    pure = ["agents/next_step.py", "runs/fold.py", "wire/sse_decoder.py"]
    agents = ["tests/agents/test_next_step.py", "tests/agents/test_agent_loop.py"]
    cases = [*agents, "tests/runs/test_fold.py", "tests/wire"]
    data, report = tmp_path / "data", tmp_path / "report.json"
    measure = [sys.executable, "-m", "coverage", "run", f"--data-file={data}", "-m", "pytest"]
    subprocess.run(  # noqa: S603 - our own interpreter
        [*measure, "-q", "-p", "no:cacheprovider", *cases],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    tell = [sys.executable, "-m", "coverage", "json", f"--data-file={data}", "-o", str(report)]
    subprocess.run(tell, cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - as above
    told = json.loads(report.read_text())["files"]
    covered = {each: told[f"src/headrace/{each}"]["summary"]["percent_covered"] for each in pure}
    assert {each: share for each, share in covered.items() if share < 90} == {}
    assert "\ncoverage:" in (ROOT / "Makefile").read_text("utf-8")
