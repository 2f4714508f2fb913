"""Every command that the documentation names exists, with the options that it names."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache

import pytest

from tests.docs.pages import ROOT, blocks, name, pages

START = "import sys; from headrace.cli.main import main; sys.argv[0] = 'headrace'; main()"
SHELLS = ("console", "bash", "sh")


@cache
def help_of(*command: str) -> str:
    """What ``headrace … --help`` prints, or ``""`` if there is no such command."""
    env = os.environ | {"NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", START, *command, "--help"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout if done.returncode == 0 else ""


def commands(text: str) -> list[list[str]]:
    """The words of each command in a page's shell blocks; pipes and redirects end a command."""
    lines = [
        line.removeprefix("$ ")
        for block in blocks(text)
        if block.language in SHELLS
        for line in block.text.splitlines()
    ]
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        ends = [i for i, word in enumerate(words) if word in ("|", ">", "&&", ";")]
        found.append(words[: ends[0]] if ends else words)
    return [words for words in found if words]


def fault(words: list[str]) -> str:
    """What is wrong with a command, or ``""``."""
    if words[0] == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        return "" if words[1] in targets else f"make has no {words[1]}"
    if words[0] != "headrace":
        return ""
    options = [word.split("=")[0] for word in words if word.startswith("-") and word != "--help"]
    most = 2 if words[1:2] == ["sessions"] else 1  # it has commands of its own
    sub = [word for word in words[1 : 1 + most] if not word.startswith("-")]
    text = help_of(*sub)
    if not text:
        return f"headrace has no {' '.join(sub) or '--help'}"
    return ", ".join(
        f"{' '.join(['headrace', *sub])} has no {option}"
        for option in options
        if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text)
    )


def test_the_commands_of_the_documentation_exist() -> None:
    every = [(name(page), words) for page in pages() for words in commands(page.read_text("utf-8"))]
    assert sum(words[0] == "headrace" for _, words in every) > 5
    assert sum(words[0] == "make" for _, words in every) > 3
    found = [f"{page}: {why}" for page, words in every if (why := fault(words))]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("headrace fly", "headrace has no fly"),
        ("headrace run --upside-down x", "headrace run has no --upside-down"),
        ("headrace run --js x", "headrace run has no --js"),
        ("make coffee", "make has no coffee"),
        ("headrace sessions fold x", "headrace has no sessions fold"),
        ("headrace sessions export x --wet", "headrace sessions export has no --wet"),
        ("headrace sessions export x --format md", ""),
        ("headrace run --json x | head", ""),
        ("make run  # this", ""),
        ("export A=1", ""),
    ],
)
def test_a_command_that_is_not_there_is_found(line: str, why: str) -> None:
    (words,) = commands(f"```console\n{line}\n```\n")
    assert fault(words) == why
