"""Runs a page's Python blocks, in order, in one namespace: what a reader who types them sees.

Called as ``python snippet_runner.py PAGE`` in a process of its own. Blocks are JSON on standard
input: a list of ``[first line, text]``. `await` may stand at the top of a block.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import sys
from typing import Any


def run(page: str, line: int, text: str, names: dict[str, Any]) -> None:
    """Run one block; a traceback shows the page and its line."""
    source = "\n" * (line - 1) + text
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(source, page, "exec", flags=flags, dont_inherit=True)
    result = eval(code, names)  # noqa: S307 - the documentation is ours
    if inspect.iscoroutine(result):
        asyncio.run(result)


def main() -> None:
    """Run all blocks of the page."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for line, text in json.load(sys.stdin):
        run(sys.argv[1], line, text, names)


if __name__ == "__main__":
    main()
