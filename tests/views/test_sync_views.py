"""Runs and streams without an event loop of one's own; with real threads."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncGenerator

import pytest

from headrace.errors import RunFailed, UsageError
from headrace.views.sync import AHEAD, run_sync, stream_sync
from headrace.views.text import text
from tests.views.runs_of import Endless, cut_after, saying


def stream_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "headrace-stream"]


def test_run_sync_gives_the_result_and_unchanged_errors() -> None:
    assert run_sync(lambda: saying("Hello").result()).content == "Hello"
    error = ValueError("mine")

    async def fails() -> None:
        raise error

    with pytest.raises(ValueError, match="mine") as raised:
        run_sync(fails)
    assert raised.value is error


async def test_inside_an_event_loop_both_say_what_to_use_instead() -> None:
    with pytest.raises(UsageError, match=r"Await .*agent\.run\(\)"):
        run_sync(lambda: saying("a").result())
    with pytest.raises(UsageError, match=r"Iterate .*agent\.run_stream\(\)"):
        stream_sync(lambda: text(saying("a")))


@pytest.mark.parametrize("count", [0, 1, AHEAD, 1000])
def test_stream_sync_gives_every_item_in_order(count: int) -> None:
    pieces = [f"{i} " for i in range(count)]
    assert list(stream_sync(lambda: text(saying(*pieces)))) == pieces
    assert stream_threads() == []


def test_an_error_comes_out_unchanged_after_what_came_before_it() -> None:
    got = []
    stream = stream_sync(lambda: text(cut_after("so ", "far")))
    got += [next(stream), next(stream)]
    with pytest.raises(RunFailed) as failed:
        next(stream)
    assert got == ["so ", "far"]
    assert failed.value.code == "stream_truncated"
    assert stream_threads() == []


def test_what_making_the_stream_raises_comes_out_too() -> None:
    def make() -> AsyncGenerator[str]:
        raise UsageError("no such thing")

    with pytest.raises(UsageError, match="no such thing"):
        next(stream_sync(make))


class Watched:
    """An endless stream that notes what became of it."""

    def __init__(self) -> None:
        self.given = 0
        self.end: BaseException | None = None

    async def stream(self) -> AsyncGenerator[int]:
        try:
            while True:
                yield self.given
                self.given += 1
                await asyncio.sleep(0)
        except BaseException as error:
            self.end = error
            raise


def test_closing_the_generator_ends_the_stream_and_its_thread() -> None:
    watched = Watched()
    stream = stream_sync(watched.stream)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    assert len(stream_threads()) == 1
    stream.close()
    assert isinstance(watched.end, GeneratorExit | asyncio.CancelledError)
    assert stream_threads() == []


def test_abandoning_the_generator_cancels_the_run() -> None:
    runs = []

    def make() -> AsyncGenerator[str]:
        runs.append(Endless())
        return text(runs[0].run)

    for piece in stream_sync(make):
        assert piece == "0 "
        break
    gc.collect()
    assert runs[0].run.snapshot().status == "cancelled"
    assert stream_threads() == []


def test_the_stream_is_never_far_ahead_of_its_reader() -> None:
    far_ahead = threading.Event()

    async def count() -> AsyncGenerator[int]:
        for i in range(1000):
            if i > AHEAD + 2:
                far_ahead.set()
            yield i

    stream = stream_sync(count)
    assert next(stream) == 0
    assert not far_ahead.wait(0.2)
    assert list(stream) == list(range(1, 1000))


def test_a_generator_that_is_never_asked_starts_nothing() -> None:
    stream = stream_sync(lambda: text(saying("a")))
    stream.close()
    assert stream_threads() == []


def test_the_callers_context_reaches_the_stream() -> None:
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
    who.set("me")

    async def tell() -> AsyncGenerator[str]:
        yield who.get()

    assert list(stream_sync(tell)) == ["me"]


SCRIPT = """
import asyncio, sys
from headrace.views.sync import run_sync, stream_sync

async def stream():
    try:
        yield "ready"
        await asyncio.sleep(60)
    finally:
        print("closed", flush=True)

async def whole():
    async for item in stream():
        print(item, flush=True)

try:
    if sys.argv[1] == "stream":
        for item in stream_sync(stream):
            print(item, flush=True)
    else:
        run_sync(whole)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("form", ["stream", "run"])
def test_ctrl_c_closes_the_stream_and_comes_out(form: str) -> None:
    program = [sys.executable, "-c", textwrap.dedent(SCRIPT), form]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        os.kill(child.pid, signal.SIGINT)
        out, _ = child.communicate(timeout=20)
    assert out.split() == ["closed", "interrupted"]
    assert child.returncode == 0
