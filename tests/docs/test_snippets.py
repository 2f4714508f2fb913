"""Every Python block of the documentation runs, on the embedded model and without any key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import Block, blocks, name, pages

RUNNER = Path(__file__).with_name("snippet_runner.py")
LIMIT = 120


def python_blocks(page: Path) -> list[Block]:
    return [block for block in blocks(page.read_text("utf-8")) if block.language == "python"]


def run(page: Path, wanted: list[Block], folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_MODEL"))}
    env = kept | {"LLM_PROVIDER": "demo", "HEADRACE_SPEED": "0", "NO_COLOR": "1"}
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "error", str(RUNNER), str(page)],
        input=json.dumps([(block.line, block.text) for block in wanted]),
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )


@pytest.mark.parametrize("page", [page for page in pages() if python_blocks(page)], ids=name)
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    wanted = [block for block in python_blocks(page) if not block.no_run]
    done = run(page, wanted, tmp_path)
    assert done.returncode == 0, done.stderr
    # A forgotten await or a lost task is only printed.
    assert not done.stderr


@pytest.mark.parametrize("page", pages(), ids=name)
def test_a_block_that_does_not_run_is_still_python(page: Path) -> None:
    for block in python_blocks(page):
        compile(block.text, f"{name(page)}:{block.line}", "exec", flags=0x2000)


def test_there_are_blocks_and_most_of_them_run() -> None:
    every = [block for page in pages() for block in python_blocks(page)]
    assert len(every) > 20
    assert sum(block.no_run for block in every) <= 3


def test_a_block_that_fails_is_found_and_its_line_named(tmp_path: Path) -> None:
    text = (
        "# A\n\n```python\nx = 1\n```\n\n```python\nimport asyncio\nawait asyncio.sleep(0)\n"
        "print(x + y)\n```\n"
    )
    page = tmp_path / "a.md"
    page.write_text(text)
    done = run(page, list(blocks(text)), tmp_path)
    assert done.returncode == 1
    assert "line 10" in done.stderr
    assert "print(x + y)" in done.stderr
    assert "name 'y' is not defined" in done.stderr


def test_a_forgotten_await_is_found(tmp_path: Path) -> None:
    text = "```python\nimport asyncio\nasyncio.sleep(0)\n```\n"
    done = run(tmp_path / "a.md", list(blocks(text)), tmp_path)
    assert "never awaited" in done.stderr


def test_only_a_reason_switches_a_block_off() -> None:
    fence = "```python\nx\n```\n"
    assert [b.no_run for b in blocks(f"<!-- no-run: needs a key -->\n{fence}")] == [True]
    assert [b.no_run for b in blocks(f"<!-- no-run -->\n{fence}")] == [False]
    assert [b.no_run for b in blocks(f"<!-- no-run: -->\n{fence}")] == [False]
    assert [b.no_run for b in blocks(f"<!-- no-run: x -->\n\n{fence}")] == [False]
