"""Those who wait for one thing: parked one by one, woken all at once."""

from __future__ import annotations

import asyncio

Waiters = list[asyncio.Future[None]]
"""One future for each that waits."""


async def park(waiters: Waiters) -> None:
    """Return when `wake` is called; a wait that is cancelled leaves nothing behind."""
    waiter = asyncio.get_running_loop().create_future()
    waiters.append(waiter)
    try:
        await waiter
    except asyncio.CancelledError:
        if waiter in waiters:
            waiters.remove(waiter)
        raise


def wake(waiters: Waiters) -> None:
    """Let all of them go on."""
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()
