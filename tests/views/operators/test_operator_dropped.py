"""An operator and its source dropped together, in a reference cycle."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator
from typing import Any

from headrace.views.operators import by_chars


async def test_a_stream_dropped_in_a_cycle_is_closed_without_a_complaint() -> None:
    closed = asyncio.Event()
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))

    async def source() -> AsyncGenerator[str]:
        try:
            while True:
                yield "four"
        finally:
            for _ in range(3):
                await asyncio.sleep(0)  # as a run that is cancelled: closing takes a while
            closed.set()

    class Holder:
        pass

    holder: Any = Holder()
    holder.itself = holder
    holder.source = source()
    holder.stream = by_chars(holder.source, 4)
    assert await anext(holder.stream) == "four"
    del holder
    gc.collect()
    async with asyncio.timeout(5):
        await closed.wait()
    for _ in range(5):
        await asyncio.sleep(0)  # let the hook's tasks come to their end
    assert complaints == []
