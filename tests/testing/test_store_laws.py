"""The laws of a store as a suite: their names, their samples, and the store that they are given."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from headrace.errors import StoreUnavailable
from headrace.events import decode, encode
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.store import Store
from headrace.testing import StoreLaws
from headrace.testing.store_laws_base import poll, refused, same, same_events
from headrace.testing.store_laws_samples import EVERY_MESSAGE, every_event, full_record, tokens
from tests.strategies import KINDS


def test_every_law_has_a_name_that_is_a_sentence_and_says_more() -> None:
    laws = [name for name in dir(StoreLaws) if name.startswith("test_")]
    assert len(laws) > 70
    for law in laws:
        assert len(law.split("_")) >= 4, law
        assert getattr(StoreLaws, law).__doc__, law


def test_the_samples_leave_no_kind_out() -> None:
    assert tuple(type(event) for event in every_event()) == KINDS
    parts = {type(part).__name__ for message in EVERY_MESSAGE for part in message.content}
    assert parts == {
        "File",
        "Image",
        "Opaque",
        "Reasoning",
        "Text",
        "ToolCall",
        "ToolResult",
    }
    assert [decode(encode(event)) for event in every_event()] == every_event()


def test_the_full_record_differs_from_every_default_that_a_caller_may_give() -> None:
    record = full_record()
    defaults = dict(zip(record.__struct_fields__[4:], record.__struct_defaults__, strict=True))
    equal = {name for name, default in defaults.items() if getattr(record, name) == default}
    assert equal == {"last_seq", "cut", "status", "reason", "ended_at", "usage"}


def test_the_laws_need_no_test_library() -> None:
    probe = (
        "import sys, headrace.testing; print({'pytest', 'anyio', 'hypothesis'} & {*sys.modules})"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


async def test_who_names_no_store_is_told_to() -> None:
    with pytest.raises(NotImplementedError, match="make_store"):
        await StoreLaws().test_the_store_has_every_method()


async def test_the_store_of_a_law_is_closed_at_its_end() -> None:
    made: list[Store] = []

    class Laws(StoreLaws):
        def make_store(self) -> Store:
            made.append(MemoryStore())
            return made[-1]

    await Laws().test_a_record_comes_back_equal()
    with pytest.raises(StoreUnavailable):
        await made[0].runs()


async def test_a_store_may_come_from_a_context_manager() -> None:
    told: list[str] = []

    @asynccontextmanager
    async def make() -> AsyncIterator[Store]:
        told.append("begins")
        yield MemoryStore()
        told.append("ends")

    class Laws(StoreLaws):
        def make_store(self) -> AbstractAsyncContextManager[Store]:
            return make()

    await Laws().test_a_record_comes_back_equal()
    assert told == ["begins", "ends"]


async def test_a_store_that_never_closes_is_caught() -> None:
    class NeverCloses(MemoryStore):
        async def close(self) -> None:
            await asyncio.Event().wait()

    class Laws(StoreLaws):
        patience = 0.05

        def make_store(self) -> Store:
            return NeverCloses()

    with pytest.raises(AssertionError, match=r"After 0.05 s"):
        await Laws().test_a_record_comes_back_equal()


def test_what_differs_is_shown_shortly() -> None:
    with pytest.raises(AssertionError, match=r"^the log, at seq 2: Token"):
        same_events(tokens(1, 3), [*tokens(1, 1), *tokens(2, 3, "y")], "the log")
    with pytest.raises(AssertionError, match=r"^the log, the seqs: \[1, 2\], where \[1, 2, 3\]"):
        same_events(tokens(1, 2), tokens(1, 3), "the log")
    with pytest.raises(AssertionError) as caught:
        same("x" * 10_000, "y" * 10_000, "text")
    assert len(str(caught.value)) < 700


def test_what_is_not_refused_is_told() -> None:
    with pytest.raises(AssertionError, match=r"^it: not refused by KeyError or ValueError"):
        with refused(KeyError, ValueError, what="it"):
            pass
    with pytest.raises(ZeroDivisionError):
        with refused(KeyError, what="it"):
            raise ZeroDivisionError


async def test_a_state_that_never_comes_is_told() -> None:
    async def never() -> bool:
        return False

    with pytest.raises(AssertionError, match=r"the end: not within 0.01 s"):
        await poll(never, "the end", 0.01)
