"""What every measured program shares: it is started with a task, and prints what it measured.

A program is a module run as ``python -m bench.floor TASK``, TASK being a JSON object with
``mode``, ``base`` (the replay server) and the mode's own figures; the last line of its standard
output is a JSON object. Standard library only, and little of it: resident memory is measured too.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bench import bodies

Seen = Callable[[str], object]
MODEL = "gpt-4o-mini"
PROMPT = "Where does the water go?"
SAMPLE = 16  # in paced mode one chunk in so many is timed, so that timing costs next to nothing


class Program:
    """A client under test. `open` is given the base URL that a vendor's SDK would be given."""

    async def open(self, base_url: str) -> None:
        raise NotImplementedError

    async def watch(self, seen: Seen) -> None:
        """Read one whole answer, giving each piece of its text to `seen`."""
        raise NotImplementedError

    async def drain(self) -> int:
        """Read one whole answer; how many characters it had."""
        total = 0

        def add(text: str) -> None:
            nonlocal total
            total += len(text)

        await self.watch(add)
        return total

    async def close(self) -> None:
        """Close what `open` opened."""


def pin(index: int) -> None:
    """Stay on the machine's core number `index`, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[index % len(cores)]})


def quantile(values: list[float], share: float) -> float:
    """The value below which `share` of `values` lie; 0.0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def resident_mib() -> float:
    """This process's resident memory now (its peak, where the system does not say)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            pages = int(statm.read().split()[1])
    except OSError:
        return peak_mib()
    return pages * resource.getpagesize() / 2**20


def peak_mib() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


async def _drain_checked(program: Program, expected: int) -> None:
    got = await program.drain()
    if got != expected:
        raise SystemExit(f"the answer has {got} characters where {expected} were sent")


async def flat(program: Program, task: dict[str, Any]) -> dict[str, float]:
    """CPU per chunk over whole answers, one after another, for about `seconds` of CPU."""
    await program.open(f"{task['base']}/{task.get('path', 'flat/v1')}")
    expected = bodies.chars(bodies.FLAT_CHUNKS)
    for _ in range(task["warm_up"]):
        await _drain_checked(program, expected)
    streams = 0
    begin = time.process_time()
    while (cpu := time.process_time() - begin) < task["seconds"] or streams < 3:
        await _drain_checked(program, expected)
        streams += 1
    return {"us_per_chunk": cpu * 1e6 / (streams * bodies.FLAT_CHUNKS), "streams": streams}


async def _first_text_ms(program: Program) -> float:
    times: list[float] = []
    begin = time.perf_counter()
    await program.watch(lambda _: times.append(time.perf_counter()))
    return (times[0] - begin) * 1e3


async def ttft(program: Program, task: dict[str, Any]) -> dict[str, float]:
    """Milliseconds from the call to the first text, over requests one after another."""
    await program.open(f"{task['base']}/first/v1")
    for _ in range(10):
        await _first_text_ms(program)
    times = [await _first_text_ms(program) for _ in range(task["requests"])]
    return {"ms_p50": quantile(times, 0.5), "ms_p99": quantile(times, 0.99)}


async def rss(program: Program, task: dict[str, Any]) -> dict[str, float]:
    """Resident memory after one whole answer."""
    await program.open(f"{task['base']}/flat/v1")
    await _drain_checked(program, bodies.chars(bodies.FLAT_CHUNKS))
    return {"mib": resident_mib()}


class Lateness:
    """Counts the chunks of paced streams and times one in `SAMPLE` of them."""

    def __init__(self) -> None:
        self.chars = 0
        self.pieces = 0
        self.late_ms: list[float] = []

    def seen(self, text: str) -> None:
        self.chars += len(text)
        self.pieces += 1
        if self.pieces % SAMPLE == 0:
            # Of a merged piece the first stamp is the oldest: nothing is flattered.
            stamp = int(text[: bodies.STAMP_DIGITS])
            self.late_ms.append(time.monotonic() * 1e3 - stamp / 1e3)

    def chunks(self) -> int:
        return self.chars // bodies.STAMP_CHARS

    def quantiles(self) -> dict[str, float]:
        late = self.late_ms
        return {"late_ms_p50": quantile(late, 0.5), "late_ms_p99": quantile(late, 0.99)}


async def _window(lateness: Lateness, seconds: float) -> dict[str, float]:
    """CPU per chunk and lateness from now on, over `seconds`."""
    lateness.late_ms.clear()
    begin = time.monotonic()
    cpu, chunks = time.process_time(), lateness.chunks()
    await asyncio.sleep(seconds)
    cpu, chunks = time.process_time() - cpu, lateness.chunks() - chunks
    wall = time.monotonic() - begin
    return {
        "us_per_chunk": cpu * 1e6 / max(1, chunks),
        "core": cpu / wall,
        **lateness.quantiles(),
    }


async def paced(program: Program, task: dict[str, Any]) -> dict[str, float | str]:
    """`streams` answers at once at `rate` chunks a second each, measured over `seconds`.

    They are started over `ramp` seconds, and the measured window opens half a second later and
    closes when the first of them ends. Who falls behind in it is read on until `limit` seconds
    after the start, and its lateness is that of every chunk read since the window opened.
    """
    streams, rate, ramp, seconds = (task[k] for k in ("streams", "rate", "ramp", "seconds"))
    count = int(rate * (ramp + 0.5 + seconds))
    await program.open(f"{task['base']}/paced{rate}x{count}/v1")
    lateness = Lateness()

    async def one(delay: float) -> None:
        await asyncio.sleep(delay)
        await program.watch(lateness.seen)

    start = time.monotonic()
    tasks = [asyncio.create_task(one(ramp * n / streams)) for n in range(streams)]
    await asyncio.sleep(ramp + 0.5)
    measured = await _window(lateness, seconds)
    patience = start + task["limit"] - time.monotonic()
    done, unfinished = await asyncio.wait(tasks, timeout=max(0.1, patience))
    failures = [repr(error)[:200] for t in done if (error := t.exception())]
    for straggler in unfinished:
        straggler.cancel()
    if lateness.late_ms and (unfinished or lateness.quantiles()["late_ms_p50"] > 1e3 / rate):
        measured.update(lateness.quantiles())
    return {
        **measured,
        "read_share": lateness.chunks() / (streams * count),
        "failed": len(failures),
        "first_failure": failures[0] if failures else "",
        "peak_mib": peak_mib(),
    }


async def memory(program: Program, task: dict[str, Any]) -> dict[str, float]:
    """Resident memory in one long answer: when a tenth, nine tenths and all of it were read."""
    total = task["chunks"]
    await program.open(f"{task['base']}/long{total}/v1")
    marks = [bodies.chars(total * tenths // 10, bodies.PLAIN_WORDS) for tenths in (1, 9, 10)]
    found: list[float] = []
    chars = 0

    def seen(text: str) -> None:
        nonlocal chars
        chars += len(text)
        while len(found) < len(marks) and chars >= marks[len(found)]:
            found.append(resident_mib())

    await program.watch(seen)
    if chars != marks[-1]:
        raise SystemExit(f"the answer has {chars} characters where {marks[-1]} were sent")
    early, late, end = found
    return {"early_mib": early, "late_mib": late, "end_mib": end, "peak_mib": peak_mib()}


MODES: dict[str, Callable[[Program, dict[str, Any]], Awaitable[Mapping[str, float | str]]]] = {
    "flat": flat,
    "ttft": ttft,
    "rss": rss,
    "paced": paced,
    "memory": memory,
}


async def _measure(program: Program, task: dict[str, Any]) -> None:
    print(json.dumps(await MODES[task["mode"]](program, task)), flush=True)
    if task["mode"] == "paced":
        os._exit(0)  # a peer that fell behind would take long to cancel hundreds of streams
    await program.close()


def serve_task(program: Program) -> None:
    """Do the task that the command line names with `program`, and print what was measured."""
    pin(1)
    asyncio.run(_measure(program, json.loads(sys.argv[-1])))
