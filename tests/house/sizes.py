"""Limits on the size of files and functions, as pure functions over one file's text."""

from __future__ import annotations

import ast

FILE = 700
FILE_THINK = 400
FUNCTION = 100
FUNCTION_DEFEND = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef


def length(function: Function) -> int:
    """Lines from `def` to the end; a docstring is not counted, it may be as long as it helps."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def faults(path: str, text: str) -> list[str]:
    """The file that is too long, functions that are, and long ones that nobody defends."""
    lines = text.splitlines()
    found = []
    if len(lines) > FILE:
        found.append(f"{path}: {len(lines)} lines, at most {FILE}: split it")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, Function) and (why := _too_long(node, lines)):
            found.append(f"{path}:{node.lineno}: {node.name} has {length(node)} lines, {why}")
    return found


def _too_long(function: Function, lines: list[str]) -> str:
    if length(function) > FUNCTION:
        return f"at most {FUNCTION}: split it"
    if length(function) <= FUNCTION_DEFEND:
        return ""
    top = min([function.lineno, *(d.lineno for d in function.decorator_list)])
    near = lines[max(0, top - 2) : function.body[0].lineno]
    defended = any("# long: " in line for line in near)
    return "" if defended else f"over {FUNCTION_DEFEND}: say why in a comment `# long: …` above it"


def to_think_of(path: str, text: str) -> str:
    """A word on a file that should perhaps be split, or ``""``."""
    count = len(text.splitlines())
    return f"{path}: {count} lines, think of splitting it" if count > FILE_THINK else ""
