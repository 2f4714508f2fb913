"""A run whose program ends under it: its log has an end all the same, without complaints."""

from __future__ import annotations

import asyncio
import gc

import pytest

from headrace.events import Cancelled
from headrace.runs.writer import Writer
from headrace.testing.laws import check_events
from tests.support.drivers import for_ever, hello, open_ended, run_of


@pytest.mark.parametrize("steps", [0, 1, 5], ids=["at once", "when it has begun", "later"])
def test_the_end_of_the_loop_is_the_end_of_the_run(
    steps: int, caplog: pytest.LogCaptureFixture
) -> None:
    run = run_of(open_ended(for_ever))

    async def main() -> None:
        run.begin()
        for _ in range(steps):
            await asyncio.sleep(0)

    asyncio.run(main())
    gc.collect()
    assert run.ended
    events = run._log.read(0)
    check_events(events)
    end = events[-1]
    assert isinstance(end, Cancelled)
    assert (end.reason, end.receipt.upstream_closed_ms) == ("interrupted", None)
    assert caplog.records == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_signal_in_its_driver_is_not_kept_from_the_program(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async def act(_: Writer) -> None:
        raise error

    run = run_of(open_ended(act))
    with pytest.raises(error):
        asyncio.run(run.result())
    gc.collect()
    check_events(run._log.read(0))
    assert isinstance(run._log.read(0)[-1], Cancelled)
    assert caplog.records == []


def test_a_run_that_is_never_begun_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    run_of(hello)
    gc.collect()
    assert caplog.records == []
