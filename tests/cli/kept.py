"""The store that commands of one test share, looked at from the test."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

from headrace.events import Event
from headrace.runs.stores.record import RunRecord
from headrace.runs.stores.sqlite import SQLiteStore
from tests.cli.shell import Started, headrace, start


class Kept:
    """A store in a file, named to each command by ``HEADRACE_STORE``."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "kept.db"
        self.url = f"sqlite:///{self.path}"
        self.env = {"HEADRACE_STORE": self.url}

    def headrace(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a command on this store to its end."""
        return headrace(*arguments, env=self.env | more.pop("env", {}), **more)

    def start(self, *arguments: str, **env: str) -> Started:
        """Start a command on this store."""
        return start(*arguments, **(self.env | env))

    def runs(self, *arguments: str) -> list[dict[str, Any]]:
        """What ``headrace runs --json`` tells."""
        told: list[dict[str, Any]] = json.loads(self.headrace("runs", "--json", *arguments).stdout)
        return told

    def run(self) -> str:
        """The id of the newest run."""
        return str(self.runs("--limit", "1")[0]["id"])

    def records(self) -> list[RunRecord]:
        """What the store itself has, newest first."""

        async def look() -> list[RunRecord]:
            async with SQLiteStore(self.path) as store:
                return await store.runs()

        return asyncio.run(look())

    def keep(self, record: RunRecord, *events: Event) -> None:
        """A run that another program has begun."""

        async def begin() -> None:
            async with SQLiteStore(self.path) as store:
                await store.create(record)
                await store.append(record.id, 0, events)

        asyncio.run(begin())

    def forsake(self, owner: str) -> None:
        """The lease of a process that was killed has run out."""

        async def release() -> None:
            async with SQLiteStore(self.path) as store:
                await store.release(owner)

        asyncio.run(release())
