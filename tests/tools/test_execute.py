"""One call: whatever the tool does, there is an outcome, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from headrace.errors import ToolError
from headrace.messages import ToolCall
from headrace.tools.context import RunContext
from headrace.tools.execute import GRACE, MAX_PROGRESS, ToolOutcome, execute, unknown_tool
from headrace.tools.threads import MAX_ABANDONED, PENDING
from headrace.tools.tool import AnyTool, as_tool, tool

LANGUAGE: contextvars.ContextVar[str] = contextvars.ContextVar("LANGUAGE", default="en")


async def call(
    fn: Callable[..., Any] | AnyTool,
    arguments: str = "{}",
    *,
    context: RunContext | None = None,
    timeout: float | None = 30.0,
    **options: Any,
) -> tuple[ToolOutcome, list[str]]:
    """Run one call; its outcome, and the progress heard until then."""
    progress: list[str] = []
    used = as_tool(fn)
    outcome = await execute(
        used,
        ToolCall("c1", used.name, arguments),
        context or RunContext({"user": "u1"}, run_id="r1"),
        timeout=timeout,
        on_progress=progress.append,
        **options,
    )
    return outcome, progress


async def test_every_kind_of_tool_gives_its_result() -> None:
    def function(x: int) -> int:
        return x + 1

    async def coroutine(x: int) -> int:
        return x + 1

    def promise(x: int) -> Awaitable[int]:
        return asyncio.sleep(0, x + 1)

    for each in (function, coroutine, promise):
        outcome, progress = await call(each, '{"x": 1}')
        assert (outcome.output, outcome.error, progress) == ("2", None, [])
        assert outcome.duration_ms >= 0


async def test_generators_tell_of_progress_and_end_with_the_last_value() -> None:
    def steps(n: int) -> Iterator[str]:
        for i in range(n):
            yield f"{i}"

    async def asteps(n: int) -> AsyncIterator[str]:
        for i in range(n):
            yield f"{i}"

    for each in (steps, asteps):
        outcome, progress = await call(each, '{"n": 3}')
        assert (outcome.output, progress) == ("2", ["0", "1", "2"])
        assert (await call(each, '{"n": 0}'))[0].output == ""


async def test_what_a_generator_returns_is_its_result() -> None:
    def count() -> Iterator[str]:
        yield "half"
        return {"all": 1}  # type: ignore[return-value]

    assert (await call(count))[0].output == '{"all": 1}'


async def test_functions_run_in_a_daemon_thread_of_their_own_with_the_context_variables() -> None:
    seen: list[threading.Thread] = []

    def look() -> str:
        seen.append(threading.current_thread())
        return LANGUAGE.get()

    LANGUAGE.set("nb")
    outcome, _ = await call(look)
    assert outcome.output == "nb"
    assert seen[0] is not threading.current_thread()
    assert seen[0].daemon


async def test_functions_do_not_block_the_loop_or_each_other() -> None:
    barrier = threading.Barrier(40, timeout=30)  # more than the default executor has threads

    def meet() -> str:
        barrier.wait()
        return "met"

    outcomes = await asyncio.gather(*(call(meet) for _ in range(40)))
    assert {outcome.output for outcome, _ in outcomes} == {"met"}


async def test_the_tool_gets_the_runs_context() -> None:
    async def who(context: RunContext) -> str:
        context.progress("asking")
        user = context.context["user"]
        return f"{user} {context.run_id} {context.call_id} {context.tool_name}"

    outcome, progress = await call(who)
    assert outcome.output == "u1 r1 c1 who"
    assert progress == ["asking"]


async def test_progress_from_a_thread_arrives_in_order_before_the_end() -> None:
    def work(context: RunContext) -> str:
        for i in range(3 * PENDING):
            context.progress(str(i))
        return "done"

    outcome, progress = await call(work)
    assert outcome.output == "done"
    assert progress == [str(i) for i in range(3 * PENDING)]


async def test_progress_is_bounded_and_text() -> None:
    async def loud(context: RunContext) -> str:
        context.progress("ä" * MAX_PROGRESS)
        context.progress(3)  # type: ignore[arg-type]
        return "never"

    outcome, progress = await call(loud)
    assert len(progress[0].encode()) <= MAX_PROGRESS
    assert outcome.error == "Progress is told as text, not as int."


async def test_bad_arguments_do_not_run_the_tool() -> None:
    ran: list[int] = []

    async def note(x: int) -> None:
        ran.append(x)

    for arguments in ("{", '{"x": "three"}', "{}", '{"x": 1, "y": 2}'):
        outcome, _ = await call(note, arguments)
        assert outcome.error is not None
        assert "note" in outcome.error
        assert outcome.output == outcome.error
    assert ran == []


def _value_error() -> None:
    raise ValueError("no such city")


async def _tool_error() -> None:
    raise ToolError("Ask for a city.")


async def _exit() -> None:
    sys.exit(3)


def _stop_iteration() -> None:
    raise StopIteration("x")


async def _cancels_itself() -> None:
    raise asyncio.CancelledError


def _bytes() -> bytes:
    return b"x"


async def _half_way() -> AsyncIterator[str]:
    yield "half"
    raise OSError("disk gone")


@pytest.mark.parametrize(
    ("fn", "error"),
    [
        (_value_error, "ValueError: no such city"),
        (_tool_error, "Ask for a city."),
        (_exit, "SystemExit: 3"),
        (_stop_iteration, "RuntimeError: coroutine raised StopIteration"),
        (_cancels_itself, "The tool _cancels_itself was cancelled from within."),
        (_bytes, "The tool gave back bytes; a tool gives back text."),
        (_half_way, "OSError: disk gone"),
    ],
)
async def test_what_a_tool_raises_is_told_to_the_model(fn: Callable[..., Any], error: str) -> None:
    outcome, _ = await call(fn)
    assert outcome.error == error
    assert outcome.output == error


async def test_a_long_result_is_cut_and_says_so() -> None:
    async def long() -> str:
        return "ä" * 500_000

    outcome, _ = await call(long)
    assert len(outcome.output.encode()) <= 256 * 1024
    assert outcome.output.endswith("[cut: the first part of 1000000 bytes]")
    assert len((await call(long, max_result=100))[0].output.encode()) <= 100


async def test_a_late_coroutine_is_cancelled() -> None:
    ended = asyncio.Event()

    async def slow() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    outcome, _ = await call(slow, timeout=0.02)
    assert outcome.error == "The tool slow took more than 0.02 s and was stopped."
    assert ended.is_set()
    assert outcome.duration_ms >= 19


async def test_the_tools_own_limit_wins() -> None:
    @tool(timeout=0.02)
    async def slow() -> str:
        await asyncio.Event().wait()
        return "never"

    assert "0.02 s" in str((await call(slow, timeout=None))[0].error)


async def test_a_late_result_is_dropped_even_when_the_tool_answers_its_cancel() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "after all"
        return "never"

    outcome, _ = await call(stubborn, timeout=0.01)
    assert "took more than 0.01 s" in outcome.output


async def test_a_coroutine_that_ignores_its_cancel_is_left_behind() -> None:
    let_go = asyncio.Event()

    async def deaf() -> str:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    outcome, _ = await call(deaf, timeout=0.01)
    assert "took more than" in str(outcome.error)
    assert outcome.duration_ms < (GRACE + 5) * 1e3
    let_go.set()


async def test_a_generator_that_never_waits_does_not_starve_its_deadline() -> None:
    closed = asyncio.Event()

    async def busy() -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
        finally:
            closed.set()

    outcome, progress = await call(busy, timeout=0.02)
    assert "took more than" in str(outcome.error)
    assert progress
    assert closed.is_set()


async def test_a_stuck_thread_is_abandoned_and_what_it_says_later_is_ignored() -> None:
    release, over = threading.Event(), threading.Event()
    told: list[bool] = []

    def stuck(context: RunContext) -> str:
        release.wait(30)
        told.append(context.cancelled)
        context.progress("too late")
        over.set()
        return "too late"

    outcome, progress = await call(stuck, timeout=0.02)
    assert "took more than" in str(outcome.error)
    release.set()
    await asyncio.to_thread(over.wait, 30)
    await asyncio.sleep(0)
    assert (told, progress) == ([True], [])


async def test_stuck_threads_are_bounded() -> None:
    release = threading.Event()

    def stuck() -> None:
        release.wait(30)

    late = await asyncio.gather(*(call(stuck, timeout=0.5) for _ in range(MAX_ABANDONED)))
    assert all("took more than" in str(outcome.error) for outcome, _ in late)
    refused, _ = await call(stuck, timeout=0.5)
    assert f"{MAX_ABANDONED} earlier calls are stuck" in str(refused.error)
    before = {t for t in threading.enumerate() if t.name == "headrace-tool-stuck"}
    release.set()
    for thread in before:
        await asyncio.to_thread(thread.join, 30)
    assert (await call(stuck))[0].error is None


async def _cancelled(fn: Callable[..., Any], running: asyncio.Event) -> None:
    task = asyncio.create_task(call(fn))
    await asyncio.wait_for(running.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 30)


async def test_a_cancel_reaches_threads_generators_and_coroutines() -> None:
    running, loop = asyncio.Event(), asyncio.get_running_loop()
    ends: list[str] = []
    heard = threading.Semaphore(0)

    def begun() -> None:
        loop.call_soon_threadsafe(running.set)

    def thread(context: RunContext) -> None:
        begun()
        ends.append(f"thread {context.wait_cancelled_sync(30)}")
        heard.release()

    def generator(context: RunContext) -> Iterator[str]:
        try:
            begun()
            context.wait_cancelled_sync(30)
            yield "seen by nobody"
            ends.append("went on")
        finally:
            ends.append("generator closed")
            heard.release()

    async def agenerator() -> AsyncIterator[str]:
        try:
            yield "one"
            running.set()
            await asyncio.Event().wait()
        finally:
            ends.append("async generator closed")
            heard.release()

    async def coroutine(context: RunContext) -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            ends.append(f"coroutine {context.cancelled}")
            heard.release()

    for fn in (thread, generator, agenerator, coroutine):
        running.clear()
        await _cancelled(fn, running)
        assert await asyncio.to_thread(heard.acquire, timeout=30)
    assert ends == [
        "thread True",
        "generator closed",
        "async generator closed",
        "coroutine True",
    ]


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("serch", ["search", "clock"], ["'serch'", "Did you mean 'search'?", "clock, search"]),
        ("zzz", ["search"], ["There are: search."]),
        ("x" * 10**6, [], ["There are no tools."]),
        ("\ud800", ["a"], ["There is no tool"]),
    ],
)
def test_an_unknown_tool_names_the_nearest(name: str, known: list[str], words: list[str]) -> None:
    outcome = unknown_tool(name, known)
    assert outcome.error == outcome.output
    assert len(outcome.output.encode()) <= 4096
    for word in words:
        assert word in outcome.output


def test_a_stuck_tool_does_not_block_the_exit() -> None:
    program = (
        "import asyncio, threading\n"
        "from headrace.messages import ToolCall\n"
        "from headrace.tools.context import RunContext\n"
        "from headrace.tools.execute import execute\n"
        "from headrace.tools.tool import as_tool\n"
        "def stuck() -> None: threading.Event().wait()\n"
        "async def main():\n"
        "    o = await execute(as_tool(stuck), ToolCall('c', 'stuck'), RunContext(),\n"
        "                      timeout=0.01, on_progress=print)\n"
        "    print(o.error)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", program], timeout=60, capture_output=True, text=True, check=True
    )
    assert "took more than 0.01 s" in done.stdout
    assert done.stderr == ""
