"""Before a command has begun: Ctrl-C while it loads, and standard streams that are closed."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.shell import COMMAND, environment

WAITING = """
import signal, sys
print(getattr(signal.getsignal(signal.SIGINT), "name", ""), flush=True)
sys.stdin.readline()
sys.exit("loaded")
"""


@pytest.fixture
def slow_to_load(tmp_path: Path) -> dict[str, str]:
    """An environment in which the library that the commands stand on waits for a line."""
    (tmp_path / "typer.py").write_text(WAITING)
    return environment(PYTHONPATH=str(tmp_path))


def started(env: dict[str, str], *before: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603
        [*before, *COMMAND, "--version"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        text=True,
    )


def test_ctrl_c_while_the_commands_load_leaves_without_a_word(
    slow_to_load: dict[str, str],
) -> None:
    with started(slow_to_load) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "SIG_DFL\n"
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=20)
    assert (process.returncode, complaint) == (-signal.SIGINT, "")


def test_where_ctrl_c_is_ignored_it_stays_so(slow_to_load: dict[str, str]) -> None:
    with started(slow_to_load, "sh", "-c", 'trap "" INT; exec "$@"', "sh") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "SIG_IGN\n"
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate("\n", timeout=20)
    assert (process.returncode, complaint) == (1, "loaded\n")


def closed(which: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run with one of the standard streams closed."""
    return subprocess.run(  # noqa: S603
        ["sh", "-c", f'exec "$@" {which}', "sh", *COMMAND, *arguments],  # noqa: S607
        capture_output=True,
        env=environment(),
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_without_a_standard_input_there_is_no_question() -> None:
    done = closed("<&-", "run")
    assert done.returncode == 2
    assert done.stderr.startswith("headrace: The question is empty.")


@pytest.mark.parametrize("which", [">&-", "2>&-"])
def test_without_an_output_a_run_comes_to_its_end(which: str) -> None:
    done = closed(which, "run", "What is 2+2?")
    assert (done.returncode, done.stderr) == (0, "")
    assert ("4" in done.stdout) == (which == "2>&-")


def test_the_number_of_a_closed_stream_is_given_to_nothing_else(tmp_path: Path) -> None:
    # SQLite would get the first number that is free, and what is printed would go into its file.
    kept = tmp_path / "runs.db"
    done = closed(">&-", "run", "What is 2+2?", "--store", f"sqlite:///{kept}")
    assert done.returncode == 0
    assert kept.read_bytes().startswith(b"SQLite format 3\0")
    runs = closed("<&-", "runs", "--store", f"sqlite:///{kept}")
    assert "What is 2+2?" in runs.stdout


def test_the_version_on_a_full_disk_is_one_clear_line() -> None:
    with open(os.devnull.replace("null", "full"), "w") as full:
        done = subprocess.run(  # noqa: S603
            [*COMMAND, "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "headrace: No space left on device.\n")
