"""What no file of the repository says: where someone worked, a key, a conflict left behind."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "a path of someone's machine": re.compile(
        r"(?<![\w.~:/-])(/(home|root|Users|work|workspace)/[\w.]|[A-Z]:\\Users\\)"
    ),
    "what looks like a real key": re.compile(
        r"\b(sk-(ant-|proj-)?[A-Za-z0-9_-]{32,}|AIza[\w-]{30,}|gh[pousr]_[A-Za-z0-9]{30,}"
        r"|AKIA[A-Z0-9]{16})"
    ),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    "a merge conflict": re.compile(r"^(<{7}|>{7}) ", re.MULTILINE),
}


def faults(path: str, text: str) -> list[str]:
    return [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match.group()!r}"
        for what, pattern in FORBIDDEN.items()
        for match in pattern.finditer(text)
    ]


def repository() -> list[Path]:
    """What git knows or would take; without git, the folders that are published."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        command = [git, "-c", f"safe.directory={ROOT}", "ls-files", "-co", "--exclude-standard"]
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, "-z"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return [ROOT / name for name in done.stdout.split("\0") if name]
    tops = ("src", "tests", "docs", "examples")
    return [file for top in tops for file in (ROOT / top).rglob("*") if file.is_file()]


def test_no_file_says_what_it_must_not() -> None:
    files = [file for file in repository() if file.is_file() and "__pycache__" not in file.parts]
    assert len(files) > 20
    found = [
        fault
        for file in files
        for fault in faults(
            file.relative_to(ROOT).as_posix(), file.read_text("utf-8", errors="replace")
        )
    ]
    assert not found, "\n" + "\n".join(found)


# Written in halves, so that this file does not say them.
@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("see /ho" + "me/someone/notes", "machine"),
        ("open('/wo" + "rk/x')", "machine"),
        ("C:\\Us" + "ers\\someone", "machine"),
        ("key = 'sk-" + "a1B2" * 12 + "'", "real key"),
        ("key = 'AI" + "za" + "x" * 35 + "'", "real key"),
        ("-----BEGIN RSA " + "PRIVATE KEY-----", "private key"),
        ("a\n<<<<" + "<<< HEAD\nb", "merge conflict"),
    ],
)
def test_a_forbidden_word_is_found(text: str, what: str) -> None:
    assert what in "\n".join(faults("a.md", text))


@pytest.mark.parametrize(
    "text", ["https://example.org/home/page", "sk-test", "~/work/x", "a/work/b", "<<< one"]
)
def test_harmless_words_pass(text: str) -> None:
    assert faults("a.md", text) == []
