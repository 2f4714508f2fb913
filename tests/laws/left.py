"""What is still there when all should be gone: tasks, sockets, other open files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.support.loop import leftovers


def open_files() -> list[str]:
    """What each file descriptor of this process stands for."""
    held = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that lists the directory itself
            held.append(os.readlink(f"/proc/self/fd/{name}"))
    return held


def open_sockets() -> set[str]:
    """The sockets among them, by inode: ``socket:[123]``."""
    return {held for held in open_files() if held.startswith("socket:")}


def other_tasks() -> list[object]:
    """Tasks besides this one and the test runner's."""
    return [left for left in leftovers() if isinstance(left, asyncio.Task)]


@asynccontextmanager
async def leaves_nothing() -> AsyncIterator[None]:
    """Whatever is done inside leaves no task and no socket behind, a moment after."""
    before = open_sockets()
    yield
    for _ in range(100):  # a closed transport lets go of its socket in a later turn of the loop
        if not other_tasks() and open_sockets() <= before:
            return
        await asyncio.sleep(0.01)
    assert other_tasks() == []
    assert open_sockets() <= before
