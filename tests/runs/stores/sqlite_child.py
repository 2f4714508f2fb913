"""Programs that tests of the SQLite store run in processes of their own.

``python -m tests.runs.stores.sqlite_child WHAT PATH …``; what they print, a line each, is what
they were told by the store.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from headrace.errors import LogConflict, StoreUnavailable
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.testing.store_laws_samples import complete, run_record, tokens

RUN = "run_1"


@asynccontextmanager
async def child(what: str, *arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program in a process of its own, which is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.runs.stores.sqlite_child",
        what,
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: asyncio.subprocess.Process) -> str:
    """The next line that the program prints."""
    assert process.stdout
    return (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()


def tell(process: asyncio.subprocess.Process) -> None:
    """Let the program go on."""
    assert process.stdin
    process.stdin.write(b"\n")


async def append(store: SQLiteStore, first: str, count: str) -> None:
    """Append events one by one to a run that is there; say each that the store has taken."""
    for seq in range(int(first), int(first) + int(count)):
        await store.append(RUN, seq - 1, tokens(seq, seq, f"child {seq}"))
        say(seq)


async def finish(store: SQLiteStore, last: str) -> None:
    """End the run."""
    await store.end(RUN, int(last) - 1, [complete(int(last))])
    say("ended")


async def race(store: SQLiteStore, name: str, upto: str) -> None:
    """Append wherever the run is believed to stand, until it stands at `upto`; say what got in.

    After being refused, it tries once more where it was refused: a stale writer never gets in.
    """
    believed = 0
    while believed < int(upto):
        try:
            await store.append(RUN, believed, tokens(believed + 1, believed + 1, name))
        except LogConflict:
            try:
                await store.append(
                    RUN, believed, tokens(believed + 1, believed + 1, f"{name} stale")
                )
            except LogConflict:
                believed = (await store.run(RUN)).last_seq
            continue
        believed += 1
        say(believed)


async def fill(store: SQLiteStore) -> None:
    """Append until the disk is full; once told that there is room, go on."""
    await store.create(run_record(RUN))
    await store.read(RUN, 0)  # a reader that stays keeps the log from being tidied away meanwhile
    seq = 0
    try:
        while True:
            await store.append(RUN, seq, tokens(seq + 1, seq + 1, "x" * 2000))
            seq += 1
    except StoreUnavailable as error:
        say(f"{seq} {error}")
    for _ in range(3):
        try:
            await store.append(RUN, seq, tokens(seq + 1, seq + 50, "y" * 2000))
            say("got in")
        except StoreUnavailable:
            say("still full")
    kept = await store.read(RUN, 0, 1 << 30)
    say(kept == tokens(1, seq, "x" * 2000) and (await store.run(RUN)).last_seq == seq)
    await asyncio.to_thread(sys.stdin.readline)
    await store.append(RUN, seq, tokens(seq + 1, seq + 1, "z"))
    await store.end(RUN, seq + 1, [complete(seq + 2)])
    await store.create(run_record("run_2"))
    await store.append("run_2", 0, tokens(1, 100, "z" * 2000))
    kept = await store.read(RUN, seq)
    say(kept == [*tokens(seq + 1, seq + 1, "z"), complete(seq + 2)])


def say(what: object) -> None:
    print(what, flush=True)


async def main(what: str, path: str, *arguments: str) -> None:
    programs: dict[str, Callable[..., Awaitable[None]]] = {
        "append": append,
        "finish": finish,
        "race": race,
        "fill": fill,
    }
    async with SQLiteStore(path) as store:
        await programs[what](store, *arguments)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
