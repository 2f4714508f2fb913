"""The laws of a store, for any store: what `headrace.runs.stores.store.Store` promises, tried.

A store's own tests take them over by a class (here with pytest and anyio's plugin, but nothing in
the laws needs either):

    @pytest.mark.anyio
    class TestMyStore(StoreLaws):
        def make_store(self) -> Store:
            return MyStore(...)

Each law is one method, named as a sentence, and gets a store of its own. What only a store's own
tests can show is not here: that what was committed survives a killed process.
"""

from __future__ import annotations

from headrace.testing.store_laws_log import LogLaws
from headrace.testing.store_laws_ownership import OwnershipLaws
from headrace.testing.store_laws_reading import ReadingLaws
from headrace.testing.store_laws_runs import RunLaws
from headrace.testing.store_laws_sessions import SessionLaws


class StoreLaws(LogLaws, ReadingLaws, RunLaws, OwnershipLaws, SessionLaws):
    """All laws of a store; `make_store` says which store is tried.

    `make_store` gives a new and empty store each time, or an async context manager that gives
    one. The store is closed at the end of each law. The laws raise AssertionError, and take a few
    seconds together; `patience` bounds each.
    """
