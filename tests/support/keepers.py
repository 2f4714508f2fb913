"""A store as far as a log needs one, with gates: a commit returns when the test lets it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from headrace.events import Event
from headrace.messages import Message


class GatedKeeper:
    """Keeps one run's log in a list.

    Args:
        gated: Whether each commit waits for `let_one` or `let_all`.

    Attributes:
        events: What is committed.
        batches: The seqs of each commit, first and last.
        ends: What was said, of each `end`.
        under_way: Commits that wait at the gate.
        failure: What the next commit raises instead.
        reads: The `after` of each read.
        piece: How many events one read gives.
    """

    def __init__(self, *, gated: bool = False) -> None:
        self.events: list[Event] = []
        self.batches: list[tuple[int, int]] = []
        self.ends: list[list[Message]] = []
        self.under_way: list[asyncio.Future[None]] = []
        self.failure: Exception | None = None
        self.reads: list[int] = []
        self.piece = 1000
        self._gated = gated

    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        """Commit, when the gate is opened."""
        if self._gated:
            gate = asyncio.get_running_loop().create_future()
            self.under_way.append(gate)
            await gate
        if self.failure is not None:
            raise self.failure
        assert run_id == "run_1"
        assert [event.seq for event in events] == [
            *range(expected_last_seq + 1, expected_last_seq + 1 + len(events))
        ]
        assert expected_last_seq == len(self.events)
        self.events += events
        self.batches.append((events[0].seq, events[-1].seq))

    async def end(
        self,
        run_id: str,
        expected_last_seq: int,
        events: Sequence[Event],
        said: Sequence[Message] = (),
        *,
        instead: bool = False,
    ) -> None:
        """Commit the last ones."""
        await self.append(run_id, expected_last_seq, events)
        self.ends.append(list(said))

    async def read(self, run_id: str, after: int) -> list[Event]:
        """The next ones that are committed, shown or not."""
        assert run_id == "run_1"
        self.reads.append(after)
        await asyncio.sleep(0)
        return self.events[after : after + self.piece]

    def let_one(self) -> None:
        """The commit under way may go on."""
        self.under_way.pop(0).set_result(None)

    def let_all(self) -> None:
        """No commit waits any more."""
        self._gated = False
        while self.under_way:
            self.let_one()
