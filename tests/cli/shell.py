"""Runs the command as a person would: as a process, through pipes or in a pseudo-terminal."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

import pexpect

from tests.support.loopback import Loopback, Request, Script

COMMAND = [sys.executable, "-W", "error::ResourceWarning", "-m", "headrace"]
T = TypeVar("T")

_STYLING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")


def environment(**more: str) -> dict[str, str]:
    """Nothing of the machine's own keys and settings; no Ollama answers on port 9."""
    names = ("PATH", "HOME", "LANG", "XDG_DATA_HOME")  # the last is the tests' own
    kept = {name: os.environ[name] for name in names if name in os.environ}
    base = {"TERM": "xterm-256color", "OLLAMA_HOST": "127.0.0.1:9", "HEADRACE_SPEED": "0"}
    return {**kept, **base, "PYTHONUTF8": "1", **more}


def headrace(
    *arguments: str, stdin: str = "", code: int = 0, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run to the end through pipes; checks the exit code."""
    env = env or {}
    done = subprocess.run(  # noqa: S603
        [*COMMAND, *arguments],
        input=stdin,
        env=environment(**env),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr or "HEADRACE_DEBUG" in env
    assert done.returncode == code, done
    return done


class Started(subprocess.Popen[str]):
    """A command that does not outlive a test which has failed."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for its end; after an error, there is nothing to wait for."""
        if error is not None:
            self.kill()
        super().__exit__(kind, error, trace)


def start(*arguments: str, **env: str) -> Started:
    """Start with pipes, to be read and signalled while it runs."""
    return Started(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**env),
        text=True,
        encoding="utf-8",
    )


@contextmanager
def terminal(*arguments: str, **env: str) -> Iterator[pexpect.spawn[str]]:
    """Start in a pseudo-terminal of 80 by 24."""
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], *arguments],
        env=environment(**env),
        encoding="utf-8",
        timeout=20,
        dimensions=(24, 80),
    )
    try:
        yield child
    finally:
        child.close(force=True)


def ended(child: pexpect.spawn[str]) -> int | None:
    """Wait for the end; gives the exit code."""
    child.expect(pexpect.EOF)
    child.wait()
    return child.exitstatus


def before(child: pexpect.spawn[str]) -> str:
    """What came before what was last expected."""
    return str(child.before)


def unstyled(text: str) -> str:
    """Without styles and cursor movements."""
    return _STYLING.sub("", text)


class Served:
    """A `Loopback` in a thread, for tests that block."""

    def __init__(self, *scripts: Script) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server = Loopback(*scripts)

    @property
    def at(self) -> list[str]:
        """The options that make a command ask this server."""
        return ["--model", "openai:tiny", "--base-url", self._server.url]

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def requests(self) -> list[Request]:
        return self._server.requests

    def closed(self, connection: int = 0) -> None:
        """Wait until the command has closed this connection."""
        self._do(self._server.closed(connection))

    def set(self, event: asyncio.Event) -> None:
        """Let a script that waits for this event go on."""
        self._loop.call_soon_threadsafe(event.set)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def __enter__(self) -> Served:
        self._thread.start()
        self._do(self._server.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._server.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
