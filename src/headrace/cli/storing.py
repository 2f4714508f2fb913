"""Where a command's runs are kept (`--store`), and how a run that it begins gets there."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.endings import complain

if TYPE_CHECKING:
    from headrace.agents.agent import Agent
    from headrace.errors import StoreUnavailable
    from headrace.messages import Message
    from headrace.runs.stores.store import Store
    from headrace.runtime.handle import DetachedRun

StoreURL = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        envvar="HEADRACE_STORE",
        show_envvar=False,
        help="Where runs are kept: sqlite:///FILE, or memory: for nowhere; by default "
        "headrace/headrace.db where your data is. Also HEADRACE_STORE.",
    ),
]
SessionName = Annotated[
    str | None,
    typer.Option("--session", metavar="NAME", help="The conversation to go on with, or begin."),
]

HOST = "cli"
"""Whose runs these are: no other runtime takes them up."""


@asynccontextmanager
async def opened(url: str | None) -> AsyncGenerator[Store]:
    """The store that is meant, closed at the end.

    Raises:
        ConfigurationError: the URL means none.
        StoreUnavailable: there is no home directory for the default one.
    """
    store = _open(url)
    try:
        yield store
    finally:
        await store.close()


class Keeping:
    """Keeps the runs that a command begins. An async context manager.

    The default store is there so that nothing is lost, and asks for nothing: where it cannot be
    used, that is told in one line, and memory takes its place. A store that was asked for is
    used, or it is an error.

    Args:
        url: As ``--store`` says; None for the default.

    Attributes:
        store: Where it keeps them now.
        lasting: Whether they are there after this command.

    Raises:
        ConfigurationError: the URL means no store.
        StoreUnavailable: the store that was asked for cannot be used.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._may_do_without = not _named(url)
        self.store: Store
        self.lasting = False

    async def __aenter__(self) -> Keeping:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Open the store, and forget in it what is old."""
        from headrace.errors import StoreUnavailable

        async with AsyncExitStack() as stack:
            self._stack = stack
            try:
                self._use(_open(self._url))
                self.lasting = not _named(self._url).lower().startswith("memory")
                await _prune(self.store)
            except StoreUnavailable as error:
                await self._do_without(error)
            self._stack = stack.pop_all()

    async def close(self) -> None:
        """Let go of the store."""
        await self._stack.aclose()

    @asynccontextmanager
    async def submitted(
        self,
        agent: Agent,
        text: str,
        *,
        session: str | None = None,
        key: str | None = None,
        retract: bool = True,
    ) -> AsyncGenerator[DetachedRun]:
        """A run that this command owns: left before its end, it is cancelled.

        With an idempotency `key` that was used before it is the run of then, which belongs to
        whoever began it.

        Raises:
            HeadraceError: as `Runtime.submit`.
        """
        from headrace.errors import StoreUnavailable

        async with AsyncExitStack() as stack:
            try:
                begun = self._begun(agent, text, session, key, retract)
                run = await stack.enter_async_context(begun)
            except StoreUnavailable as error:
                await self._do_without(error, session)
                begun = self._begun(agent, text, session, key, retract)
                run = await stack.enter_async_context(begun)
            yield run

    @asynccontextmanager
    async def _begun(
        self, agent: Agent, text: str, session: str | None, key: str | None, retract: bool
    ) -> AsyncGenerator[DetachedRun]:
        from headrace.runtime.runtime import Runtime

        await end_lost_runs(self.store)
        async with Runtime(self.store, name=HOST, recover=False) as runtime:
            run = await runtime.submit(
                agent, text, session=session, idempotency_key=key, retract=retract
            )
            try:
                yield run
            finally:
                if run.id in runtime.live:
                    await run.cancel("abandoned")

    async def _do_without(self, error: StoreUnavailable, session: str | None = None) -> None:
        """Go on in memory; with the conversation so far, where it can still be read."""
        from headrace.errors import HeadraceError

        if not self._may_do_without:
            raise error
        self._may_do_without = False
        complain(f"{error.message} What is said now is not kept.")
        said: Sequence[Message] = ()
        if session is not None:
            with suppress(HeadraceError):
                said = (await self.store.session(session)).messages
        self._use(_open("memory:"))
        self.lasting = False
        if session is not None and said:
            await self.store.append_session(session, 0, said)

    def _use(self, store: Store) -> None:
        self.store = store
        self._stack.push_async_callback(store.close)


async def _prune(store: Store) -> None:
    """A command is too short to prune every hour: it does so at its start."""
    from headrace.runtime.runtime import KEEP_EVENTS, KEEP_RECORDS

    now = time.time()
    await store.prune(now - KEEP_EVENTS, now - KEEP_RECORDS)


async def end_lost_runs(store: Store) -> None:
    """End the runs of earlier commands that were killed.

    Each is known by its own command's options alone, so no one can go on with it. It is done by
    a runtime that has no agents: one that has would answer with another model.
    """
    from headrace.runtime.runtime import Runtime

    async with Runtime(store, name=HOST):
        pass


def new_session() -> str:
    """A name for a new conversation: the day and some chance, ``2026-03-31-7f3a9c``."""
    from secrets import token_hex

    return f"{time.strftime('%Y-%m-%d')}-{token_hex(3)}"


def _open(url: str | None) -> Store:
    from headrace.errors import StoreUnavailable
    from headrace.runs.stores.table import default_store, open_store

    try:
        return open_store(_named(url)) if _named(url) else default_store()
    except RuntimeError as error:  # what `Path.expanduser` raises
        raise StoreUnavailable(f"The store's place is not known: {error}") from error


def _named(url: str | None) -> str:
    """What was asked for; an empty variable asks for nothing."""
    return (url or "").strip()
