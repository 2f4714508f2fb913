"""Without the extra: the import says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = """
import sys
sys.modules["{name}"] = None
try:
    import headrace.tools.mcp
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("name", ["mcp", "mcp_types", "httpx2"])
def test_the_import_names_the_command(name: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", WITHOUT.format(name=name)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"MissingExtra headrace.tools.mcp needs {name}")
    assert done.stdout.endswith('pip install "headrace[mcp]"\n')
