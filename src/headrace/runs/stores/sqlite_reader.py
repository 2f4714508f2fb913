"""The one thread of a store that reads: reading goes on while the file is full or locked."""

from __future__ import annotations

import sqlite3

from headrace.runs.stores.sqlite_bell import Waiter
from headrace.runs.stores.sqlite_file import Handle, StoreFile
from headrace.runs.stores.sqlite_thread import Job, Worker


class Reader(Worker[sqlite3.Connection]):
    """Runs queries one after another, on a connection of its own.

    Args:
        file: The store's.
    """

    def __init__(self, file: StoreFile) -> None:
        super().__init__("headrace-store-reader", f"The store {file.path}")
        self._handle = Handle(file)

    def carry_out(self, jobs: list[Job[sqlite3.Connection]]) -> list[Waiter]:
        """Answer every job."""
        for job in jobs:
            try:
                job.result = job.call(self._handle.connection())
            except Exception as error:
                self._handle.let_go_after(error)
                job.error = self._handle.told(error)
        return []

    def leave(self) -> None:
        """Let go of the file."""
        self._handle.drop()
