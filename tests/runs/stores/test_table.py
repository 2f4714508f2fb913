"""A URL means a store: the table, its defaults, and errors that tell what to write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.errors import ConfigurationError
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.record import RunRecord
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.runs.stores.store import Store
from headrace.runs.stores.table import KINDS, default_store, default_store_path, open_store

RUN = RunRecord(id="run_1", agent="a", model="m", created_at=1.0)


async def made(store: Store) -> None:
    """Use the store once, so that its file is there."""
    await store.create(RUN)
    await store.close()


@pytest.mark.parametrize("url", ["memory:", "memory", "MEMORY:", " memory: ", "memory://"])
async def test_memory(url: str) -> None:
    store = open_store(url)
    assert isinstance(store, MemoryStore)
    await made(store)


async def test_a_relative_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///runs.db")
    assert isinstance(store, SQLiteStore)
    assert os.listdir(tmp_path) == []
    await made(store)
    assert (tmp_path / "runs.db").exists()


@pytest.mark.parametrize("name", ["runs.db", "a b%20#ü.db", "~x/runs.db", "new/folder/runs.db"])
async def test_an_absolute_file_as_it_is_written(tmp_path: Path, name: str) -> None:
    await made(open_store(f"sqlite:///{tmp_path}/{name}"))
    assert (tmp_path / name).is_file()


async def test_a_file_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    await made(open_store("sqlite:///~/runs.db"))
    assert (tmp_path / "runs.db").exists()


@pytest.mark.parametrize("query", ["?sync=full", "?sync=normal", "?", ""])
async def test_options_are_no_part_of_the_path(tmp_path: Path, query: str) -> None:
    await made(open_store(f"sqlite:///{tmp_path}/runs.db{query}"))
    assert os.listdir(tmp_path) == ["runs.db"]


def test_the_option_for_full_sync_is_an_argument_of_the_store() -> None:
    (options,) = [kind.options for kind in KINDS if kind.scheme == "sqlite"]
    assert options["sync"] == {"full": ("full_sync", True), "normal": ("full_sync", False)}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlit:///x.db", "Did you mean sqlite?"),
        ("sqlite3:///x.db", "Did you mean sqlite?"),
        ("memori:", "Did you mean memory?"),
        ("headrace.db", r"'headrace.db' means no store\. Write memory:, sqlite:///relative.db"),
        ("/var/lib/headrace.db", "sqlite:////absolute.db"),
        ("", "'' means no store"),
        ("postgres://host/x", "means no store"),
        ("sqlite", "means no store. Write memory:, sqlite:///"),
        ("sqlite:", "names no file"),
        ("sqlite:x.db", "names no file. Write sqlite:///relative.db"),
        ("sqlite://x.db", "names no file. Write sqlite:///relative.db"),
        ("sqlite:///", "names no file"),
        ("sqlite:///folder/", "names no file"),
        ("sqlite:///a\x00b", "names no file"),
        ("sqlite:///:memory:", "names no file. Write memory:"),
        ("memory:x", "names a place"),
        ("memory:?sync=full", "no option 'sync=full'. Known: none"),
        ("sqlite:///x.db?sync=fast", r"no option 'sync=fast'. Known: sync=full\|normal"),
        ("sqlite:///x.db?mode=ro", "no option 'mode=ro'"),
        ("x" * 1000, "^'x{78}… means no store"),
    ],
)
def test_what_means_no_store_is_told_what_to_write(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        open_store(url)


def test_the_default_path_follows_the_xdg_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/there")
    fallback = Path("/there/.local/share/headrace/headrace.db")
    assert default_store_path({"XDG_DATA_HOME": "/data"}) == Path("/data/headrace/headrace.db")
    for env in ({}, {"XDG_DATA_HOME": ""}, {"XDG_DATA_HOME": "relative"}):
        assert default_store_path(env) == fallback
    monkeypatch.setenv("XDG_DATA_HOME", "/elsewhere")
    assert default_store_path() == Path("/elsewhere/headrace/headrace.db")


async def test_the_default_store_is_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    env = {"XDG_DATA_HOME": str(tmp_path / "what?sync=full"), "HEADRACE_STORE": " "}
    await made(default_store(env))
    file = tmp_path / "what?sync=full" / "headrace" / "headrace.db"
    assert os.stat(file).st_mode & 0o077 == 0
    assert os.stat(file.parent).st_mode & 0o077 == 0


def test_the_environment_names_the_default_store(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(default_store({"HEADRACE_STORE": "memory:"}), MemoryStore)
    monkeypatch.setenv("HEADRACE_STORE", "memory")
    assert isinstance(default_store(), MemoryStore)
    with pytest.raises(ConfigurationError, match="means no store"):
        default_store({"HEADRACE_STORE": "nonsense"})
