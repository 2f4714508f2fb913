"""`headrace sessions`: what was said is listed, shown, exported and deleted."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from headrace.cli.conversation import as_markdown
from headrace.messages import File, Image, Message, Opaque, Reasoning, ToolCall, ToolResult
from headrace.runs.stores.record import SessionRecord
from tests.cli.kept import Kept
from tests.cli.shell import Served, before, ended, terminal
from tests.providers.chat_bodies import STOP, chunk
from tests.support.loopback import STALL, stream

HELLO = stream(chunk("Hel"), chunk("lo **you**."), STOP)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    kept = Kept(tmp_path)
    with Served(HELLO, HELLO) as server:
        kept.headrace("run", "Say hello", *server.at, "--session", "old")
        kept.headrace("run", "Say it", *server.at, "--session", "new")
    return kept


def names(kept: Kept) -> list[str]:
    return [row["session"] for row in json.loads(kept.headrace("sessions", "--json").stdout)]


def test_they_are_listed_last_used_first(kept: Kept) -> None:
    assert names(kept) == ["new", "old"]
    head, *rows = kept.headrace("sessions").stdout.splitlines()
    assert head.startswith("SESSION  MESSAGES  BEGUN")
    assert [row.split()[:2] for row in rows] == [["new", "2"], ["old", "2"]]
    assert head.endswith("LIVE RUN  TITLE")
    assert [row[head.index("TITLE") :] for row in rows] == ["Say it", "Say hello"]
    listed = json.loads(kept.headrace("sessions", "--json").stdout)
    assert [row["title"] for row in listed] == ["Say it", "Say hello"]
    one = kept.headrace("sessions", "--limit", "1", "--store", kept.url).stdout
    assert len(one.splitlines()) == 2


def test_an_empty_store_says_how_to_begin(tmp_path: Path) -> None:
    done = Kept(tmp_path).headrace("sessions")
    assert done.stdout == ""
    assert "headrace chat" in done.stderr


def test_one_is_shown_as_it_was_said(kept: Kept) -> None:
    shown = kept.headrace("sessions", "show", "old").stdout
    assert shown == "# old\n\n## user\n\nSay hello\n\n## assistant\n\nHello **you**.\n"
    with terminal("sessions", "show", "old", **kept.env) as child:
        child.expect("Hello .*you")
        assert "**" not in before(child)
        assert ended(child) == 0


def test_what_is_exported_is_everything(kept: Kept) -> None:
    told = json.loads(kept.headrace("sessions", "export", "old").stdout)
    messages = msgspec.convert(told["messages"], list[Message])
    assert messages == [Message.user("Say hello"), Message.assistant("Hello **you**.")]
    assert (told["id"], told["version"], told["title"]) == ("old", 2, "Say hello")
    [run] = [run["id"] for run in kept.runs() if run["title"] == "Say hello"]
    assert told["runs"] == [run, run]
    written = kept.headrace("sessions", "export", "old", "--format", "md").stdout
    assert written == kept.headrace("sessions", "show", "old").stdout


def test_one_is_deleted_with_its_runs(kept: Kept) -> None:
    kept.headrace("sessions", "delete", "old", "--yes")
    assert names(kept) == ["new"]
    assert [run["title"] for run in kept.runs()] == ["Say it"]
    assert "no session 'old'" in kept.headrace("sessions", "show", "old", code=2).stderr


def test_no_one_is_asked_where_no_one_is(kept: Kept) -> None:
    assert "--yes" in kept.headrace("sessions", "delete", "old", code=2).stderr
    assert names(kept) == ["new", "old"]


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, 1), ("n", 1, 2), ("", 1, 2)])
def test_a_person_is_asked_first(kept: Kept, answer: str, code: int, left: int) -> None:
    with terminal("sessions", "delete", "old", **kept.env) as child:
        child.expect("Delete old, 2 messages, and its runs.*:")
        child.sendline(answer)
        assert ended(child) == code
    assert len(names(kept)) == left


def test_a_session_with_a_live_run_is_not_deleted(kept: Kept) -> None:
    answer = stream(chunk("Once"), end=STALL)
    with (
        Served(answer) as server,
        kept.start("run", "x", *server.at, "--session", "old") as run,
    ):
        assert run.stdout
        assert run.stdout.read(4) == "Once"
        assert kept.run() in kept.headrace("sessions").stdout
        assert "live run" in kept.headrace("sessions", "delete", "old", "-y", code=2).stderr
        run.terminate()
        assert run.wait(20) == 143


@pytest.mark.parametrize("command", ["show", "export", "delete"])
def test_what_is_no_session_is_told(kept: Kept, command: str) -> None:
    done = kept.headrace("sessions", command, "nobody", code=2)
    assert (done.stdout, "no session 'nobody'" in done.stderr) == ("", True)
    assert "cannot name a session" in kept.headrace("sessions", command, "a\x1b", code=2).stderr


def test_markdown_tells_every_part_and_steers_no_terminal() -> None:
    record = SessionRecord(
        "s\x1b",
        "",
        3,
        1.0,
        2.0,
        messages=(
            Message.user("See:", Image(url="https://x/y.png"), File(name="a.txt", data=b"x")),
            Message.assistant(
                Reasoning("one\ntwo"), ToolCall("1", "look", '{"at": 1}'), Opaque("openai", "{}")
            ),
            Message.tool(ToolResult("1", "look", "```evil\x9b", is_error=True)),
        ),
    )
    assert as_markdown(record) == (
        "# s␛\n\n## user\n\nSee:\n\n(an image: https://x/y.png)\n\n(a file: a.txt)\n\n"
        '## assistant\n\n> one\n> two\n\nCalls look:\n\n```\n{"at": 1}\n```\n\n'
        "## tool\n\nlook failed:\n\n````\n```evil�\n````"
    )
