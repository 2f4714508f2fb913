"""The laws of a store hold for the stores that Headrace brings along."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.runs.stores.store import Store
from headrace.testing import StoreLaws


class TestMemoryStore(StoreLaws):
    def make_store(self) -> Store:
        return MemoryStore()


class InAFile(StoreLaws):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path


class TestSQLiteStore(InAFile):
    def make_store(self) -> Store:
        return SQLiteStore(self.folder / "runs.db")


class TestSQLiteStoreThatWaitsForTheDisk(InAFile):
    def make_store(self) -> AbstractAsyncContextManager[Store]:
        return opened_fully(self.folder / "runs.db")


@asynccontextmanager
async def opened_fully(path: Path) -> AsyncIterator[Store]:
    store = SQLiteStore(path, full_sync=True)
    try:
        yield store
    finally:
        await store.close()
