"""`headrace run` keeps its runs; `headrace runs` lists them."""

from __future__ import annotations

import signal
import stat
import subprocess
from pathlib import Path

import pytest

from headrace.events import Error, RunStart, Token, decode
from tests.cli.kept import Kept
from tests.cli.shell import COMMAND, Served, environment, headrace, terminal
from tests.providers.chat_bodies import STOP, chunk, finish
from tests.support.loopback import STALL, reply, stream

HELLO = stream(chunk("Hel"), chunk("lo."), STOP)
ENDLESS = stream(chunk("Once upon"), end=STALL)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_a_run_is_listed_with_how_it_ended(kept: Kept) -> None:
    with Served(HELLO, stream(chunk("H"), finish("length"))) as server:
        kept.headrace("run", "Say hello", *server.at, "--session", "talk")
        kept.headrace("run", "Say more", *server.at, code=3)
    with Served(reply(400, {"error": {"message": "no"}})) as server:
        kept.headrace("run", "Say no", *server.at, code=1)
    no, more, hello = kept.runs()
    assert [run["title"] for run in (no, more, hello)] == ["Say no", "Say more", "Say hello"]
    assert (no["status"], no["reason"]) == ("error", "request_rejected")
    assert (more["status"], more["reason"]) == ("complete", "length")
    assert (hello["status"], hello["session"]) == ("complete", "talk")
    assert hello["usage"]["output"] > 0
    assert hello["ended_at"] >= hello["created_at"]
    head, *rows = kept.headrace("runs").stdout.splitlines()
    assert head.split() == ["RUN", "AGE", "AGENT", "MODEL", "STATUS", "TOKENS", "TOOK", "TITLE"]
    assert [row.split()[0] for row in rows] == [no["id"], more["id"], hello["id"]]
    assert "error: request_rejected" in rows[0]
    assert "complete: length" in rows[1]
    assert rows[2].endswith("Say hello")


def test_the_list_can_be_narrowed(kept: Kept) -> None:
    with Served(HELLO, HELLO, reply(400, {"error": {"message": "no"}})) as server:
        kept.headrace("run", "one", *server.at, "--session", "a")
        kept.headrace("run", "two", *server.at)
        kept.headrace("run", "three", *server.at, code=1)
    titles = [
        [run["title"] for run in kept.runs(*narrow)]
        for narrow in (["--session", "a"], ["--status", "error"], ["--limit", "2"])
    ]
    assert titles == [["one"], ["three"], ["three", "two"]]
    done = kept.headrace("runs", "--status", "live")
    assert (done.stdout, done.stderr) == ("", "No such runs are kept.\n")


@pytest.mark.parametrize("wrong", [["--limit", "0"], ["--limit", "1001"], ["--status", "odd"]])
def test_wrong_narrowing_is_told(kept: Kept, wrong: list[str]) -> None:
    assert wrong[0] in kept.headrace("runs", *wrong, code=2).stderr


def test_an_empty_store_says_how_to_fill_it(kept: Kept) -> None:
    done = kept.headrace("runs")
    assert done.stdout == ""
    assert 'headrace run "…"' in done.stderr
    assert kept.runs() == []


def test_a_hostile_question_steers_no_terminal(kept: Kept) -> None:
    with Served(HELLO) as server:
        kept.headrace("run", "a\x1b]0;owned\x07\u202eb\nc", *server.at)
    for arguments in (["runs"], ["runs", "--json"]):
        shown = kept.headrace(*arguments).stdout
        assert not set("\x1b\x07\u202e") & set(shown)
    assert "a␛]0;owned␇�b c" in kept.headrace("runs").stdout


def test_a_terminal_gets_the_same_table(kept: Kept) -> None:
    with Served(HELLO) as server:
        kept.headrace("run", "Say hello", *server.at)
    with terminal("runs", **kept.env) as child:
        child.expect("RUN .*TITLE")
        child.expect("complete .*Say hello")


def test_a_live_run_is_cancelled_by_ctrl_c_and_kept(kept: Kept) -> None:
    with Served(ENDLESS) as server, kept.start("run", "x", *server.at) as process:
        assert process.stdout
        assert process.stdout.read(4) == "Once"
        (run,) = kept.runs()
        assert (run["status"], run["ended_at"]) == ("live", None)
        process.send_signal(signal.SIGINT)
        server.closed()
        assert process.wait(20) == 130
    (run,) = kept.runs()
    assert (run["status"], run["reason"]) == ("cancelled", "user pressed stop")


def test_a_killed_run_is_lost_and_the_next_command_ends_it(kept: Kept) -> None:
    with Served(ENDLESS, HELLO) as server:
        with kept.start("run", "x", *server.at) as process:
            assert process.stdout
            assert process.stdout.read(4) == "Once"
            process.kill()
        (record,) = kept.records()
        kept.forsake(record.owner)
        (run,) = kept.runs()
        assert (run["status"], run["id"]) == ("lost", record.id)
        assert " lost " in kept.headrace("runs").stdout
        assert kept.headrace("run", "y", *server.at).stdout == "Hello.\n"
        # The killed run's question went to no one again.
        assert [r.json["messages"][0]["content"] for r in server.requests] == ["x", "y"]
    _, lost = kept.runs()
    assert (lost["status"], lost["reason"]) == ("error", "agent_unknown")
    events = [decode(line) for line in _watched(kept, record.id, code=1)]
    assert isinstance(events[0], RunStart)
    assert "".join(e.content for e in events if isinstance(e, Token)) == "Once upon"
    assert isinstance(events[-1], Error)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))


def _watched(kept: Kept, run_id: str, code: int) -> list[str]:
    return kept.headrace("watch", run_id, "--json", code=code).stdout.splitlines()


def test_a_session_goes_on_from_one_run_to_the_next(kept: Kept) -> None:
    with Served(HELLO, HELLO) as server:
        kept.headrace("run", "first", *server.at, "--session", "talk")
        kept.headrace("run", "second", *server.at, "--session", "talk")
        said = [[m["content"] for m in r.json["messages"]] for r in server.requests]
    assert said == [["first"], ["first", "Hello.", "second"]]


def test_a_busy_session_is_told_by_name(kept: Kept) -> None:
    with (
        Served(ENDLESS) as server,
        kept.start("run", "x", *server.at, "--session", "talk") as process,
    ):
        assert process.stdout
        assert process.stdout.read(4) == "Once"
        done = kept.headrace("run", "y", *server.at, "--session", "talk", code=2)
        assert "'talk' has a live run" in done.stderr
        process.terminate()
        assert process.wait(20) == 143


def test_a_key_asks_only_once(kept: Kept) -> None:
    key = ["--idempotency-key", "k1"]
    with Served(HELLO) as server:
        kept.headrace("run", "Say hello", *server.at, *key)
        again = kept.headrace("run", "Say hello", *server.at, *key)
        assert again.stdout == "Hello.\n"
        assert f"this is the run {kept.run()}" in again.stderr
        with terminal("run", "Say hello", *server.at, *key, **kept.env) as child:
            child.expect("Hello.")
        other = kept.headrace("run", "Say bye", *server.at, *key, code=2)
        assert "'k1' was used for another request" in other.stderr
        assert len(server.requests) == 1
    assert len(kept.runs()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "x", "--session", " a"], "cannot name a session"),
        (["run", "x", "--session", "a\nb"], "cannot name a session"),
        (["run", "x", "--idempotency-key", ""], "cannot name an idempotency key"),
        (["run", "x", "--store", "floppy:a"], "'floppy:a' means no store"),
        (["runs", "--store", "sqlite:"], "names no file"),
        (["chat", "--session", "x" * 201], "cannot name a session"),
    ],
)
def test_wrong_names_are_told(kept: Kept, arguments: list[str], says: str) -> None:
    done = kept.headrace(*arguments, code=2)
    assert done.stdout == ""
    assert says in done.stderr


def test_memory_keeps_nothing(kept: Kept) -> None:
    with Served(HELLO) as server:
        done = kept.headrace("run", "x", *server.at, "--store", "memory:")
    assert (done.stdout, done.stderr) == ("Hello.\n", "")
    assert kept.runs() == []


def test_the_default_store_is_the_users_own_file(tmp_path: Path) -> None:
    with Served(HELLO) as server:
        headrace("run", "x", *server.at, env={"XDG_DATA_HOME": str(tmp_path)})
    path = tmp_path / "headrace" / "headrace.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "x" in headrace("runs", "--store", f"sqlite:///{path}").stdout


@pytest.mark.parametrize("command", ["run", "chat"])
def test_a_default_store_that_cannot_be_used_is_done_without(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    env = {"XDG_DATA_HOME": str(tmp_path / "file")}
    asked, stdin = (["x"], "") if command == "run" else ([], "one\n")
    with Served(HELLO) as server:
        done = headrace(command, *asked, *server.at, env=env, stdin=stdin)
    assert done.stdout == "Hello.\n"
    first, *rest = done.stderr.splitlines()
    assert first.startswith("headrace: The store ")
    assert first.endswith("What is said now is not kept.")
    assert len(rest) == (command == "chat")  # its banner, which names no session
    assert "session" not in "".join(rest)


def test_a_store_that_was_asked_for_is_used_or_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path}/file/kept.db"
    with Served(HELLO) as server:
        done = headrace("run", "x", *server.at, "--store", url, code=1)
        assert done.stderr.startswith("headrace: The store ")
        headrace("run", "x", *server.at, env={"HEADRACE_STORE": url}, code=1)
        assert server.requests == []
    headrace("runs", env={"XDG_DATA_HOME": str(tmp_path / "file")}, code=1)


def test_a_disk_that_is_full_costs_the_keeping_and_no_answer(tmp_path: Path) -> None:
    """Files may not grow past 512 kB: what SQLite then meets is what a full disk gives it."""
    limited = ["/bin/sh", "-c", 'ulimit -f 1000; exec "$@"', "sh", *COMMAND]
    with Served(HELLO, HELLO) as server:
        done = subprocess.run(  # noqa: S603
            [*limited, "chat", *server.at],
            input=f"one\n{'two ' * 150_000}\n",
            env=environment(XDG_DATA_HOME=str(tmp_path)),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (0, "Hello.\nHello.\n")
        assert "What is said now is not kept." in done.stderr
        # What was said before can still be read: the conversation goes on.
        said = [m["content"][:6] for m in server.requests[1].json["messages"]]
    assert said == ["one", "Hello.", "two tw"]
