from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = """
import pytest

def test_plain(): pytest.skip("no server here")
def test_allowed(): pytest.skip("not on CI: needs a screen")
@pytest.mark.xfail(reason="known")
def test_known(): raise ValueError
"""
MODULE = "import pytest; pytest.skip('no such library', allow_module_level=True)"


def outcome(folder: Path, no_skips: str) -> str:
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_cases.py").write_text(CASES)
    (folder / "test_whole_file.py").write_text(MODULE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.house.no_skips", str(folder)]
    env = os.environ | {"HEADRACE_NO_SKIPS": no_skips, "PYTHONPATH": str(ROOT)}
    # No shared cache directory, no options of ours: only the plugin is under test.
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "-p", "no:cacheprovider", "--continue-on-collection-errors"],
        env=env,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    return done.stdout


@pytest.mark.parametrize("off", ["", "0"])
def test_skips_are_skips_where_nobody_asked(tmp_path: Path, off: str) -> None:
    assert "3 skipped, 1 xfailed" in outcome(tmp_path, off)


def test_a_skip_fails_where_nothing_may_be_skipped(tmp_path: Path) -> None:
    text = outcome(tmp_path, "1")
    assert "1 failed, 1 skipped, 1 xfailed, 1 error" in text
    assert "Skipped where nothing may be skipped: no server here" in text
    assert "Skipped where nothing may be skipped: no such library" in text
