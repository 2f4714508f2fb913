"""`headrace record` and `headrace replay`: a cassette on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic

import pytest

from headrace.events import Complete, Error, StepEnd, StepStart, Token, decode
from tests.cli.shell import Served, ended, headrace, terminal
from tests.providers.chat_bodies import CALLED, STOP, call, calls, chunk
from tests.support.loopback import FIN, reply, stream

KEY = "canary-0123456789abcdef"
ENV = {"OPENAI_API_KEY": KEY}
HELLO = stream(chunk("Hel"), 0.3, chunk(f"lo {KEY}."), STOP)


@pytest.fixture
def cassette(tmp_path: Path) -> Path:
    """Recorded with the command itself."""
    path = tmp_path / "hello.cassette"
    with Served(HELLO) as server:
        done = headrace("record", str(path), "Say hello", *server.at, env=ENV)
    assert done.stdout == f"Hello {KEY}.\n"
    assert done.stderr == f"Recorded 1 answer, {path.stat().st_size} bytes, in {path}.\n"
    return path


def test_what_is_recorded_is_replayed_without_the_key(cassette: Path) -> None:
    assert KEY.encode() not in cassette.read_bytes()
    assert b"Say hello" not in cassette.read_bytes()
    done = headrace("replay", str(cassette), "--speed", "0")
    assert (done.stdout, done.stderr) == ("Hello ****.\n", "")


def test_replay_keeps_the_pace(cassette: Path) -> None:
    """A hundred times slower than it was recorded, played a hundred times as fast."""
    records = [json.loads(line) for line in cassette.read_bytes().splitlines()]
    heard = [record for record in records if record.get("type") == "bytes"]
    due = next(record["ms"] for record in heard if "lo " in record["text"]) / 1e3
    slow = [
        {**record, "ms": record["ms"] * 100} if "ms" in record else record for record in records
    ]
    cassette.write_text("".join(f"{json.dumps(record)}\n" for record in slow))
    lines = headrace("replay", str(cassette), "--json", "--speed", "100").stdout.splitlines()
    events = [decode(line) for line in lines]
    (begin,) = (event for event in events if isinstance(event, StepStart))
    _, second = (event for event in events if isinstance(event, Token))
    assert due > 0.3
    assert due - 0.01 <= second.at - begin.at < 30 * due  # late on a busy machine, but no 100 times
    assert isinstance(events[-1], Complete)
    (step,) = (event for event in events if isinstance(event, StepEnd))
    assert step.message.content


def test_a_cassette_is_a_model_for_run(cassette: Path) -> None:
    start = monotonic()
    done = headrace("run", "x", "--model", f"cassette:{cassette}", "--speed", "0")
    assert done.stdout == "Hello ****.\n"
    assert monotonic() - start < 20
    done = headrace("run", "x", "--model", f"cassette:{cassette}?speed=0&fault=cut:1", code=1)
    assert "ended before the answer did" in done.stderr


def test_every_answer_is_shown_and_no_tool_runs(tmp_path: Path) -> None:
    path = tmp_path / "tools"
    asked = calls(call(0, "c1", "calculator", '{"expression":"6*7"}'))
    with Served(stream(asked, CALLED), stream(chunk("It is 42."), STOP)) as server:
        done = headrace("record", str(path), "6*7?", *server.at, "--tools", env=ENV)
    assert done.stderr.startswith("Recorded 2 answers")
    done = headrace("replay", str(path), "--speed", "0", "--json")
    events = [decode(line) for line in done.stdout.splitlines()]
    steps = [event for event in events if isinstance(event, StepEnd)]
    assert [step.finish_reason for step in steps] == ["tool_calls", "stop"]
    assert not any(type(event).__name__ == "ToolStart" for event in events)
    with terminal("replay", str(path), "--speed", "0") as child:
        child.expect("It is 42.")
        assert ended(child) == 0


def test_the_question_is_kept_when_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    with Served(HELLO) as server:
        headrace("record", str(path), "-", "--keep-request", *server.at, stdin="Why?", env=ENV)
    head = json.loads(path.read_text("utf-8").splitlines()[1])
    assert json.loads(head["asked"])["messages"][0]["content"] == "Why?"


def test_a_refusal_is_recorded_and_replayed(tmp_path: Path) -> None:
    path = tmp_path / "refused"
    with Served(reply(401, {"error": {"message": "Bad key"}})) as server:
        done = headrace("record", str(path), "x", *server.at, env=ENV, code=1)
    assert "Recorded 1 answer" in done.stderr
    done = headrace("replay", str(path), code=1)
    assert "401 Unauthorized: Bad key" in done.stderr


def test_a_cut_answer_is_replayed_as_one(tmp_path: Path) -> None:
    path = tmp_path / "cut"
    with Served(stream(chunk("Hel"), end=FIN)) as server:
        headrace("record", str(path), "x", *server.at, env=ENV, code=1)
    done = headrace("replay", str(path), "--speed", "0", code=1)
    assert done.stdout == "Hel\n"
    assert "ended before the answer did" in done.stderr


def test_faults_on_demand(cassette: Path) -> None:
    quick = ("replay", str(cassette), "--speed", "0", "--json")
    done = headrace(*quick, "--fault", f"cut:{len(chunk('Hel'))}", code=1)
    end = decode(done.stdout.splitlines()[-1])
    assert isinstance(end, Error)
    assert end.code == "stream_truncated"
    done = headrace(*quick, "--fault", "stall:5", "--timeout", "0.2", code=1)
    assert isinstance(decode(done.stdout.splitlines()[-1]), Error)
    done = headrace("replay", str(cassette), "--speed", "0", "--fault", "duplicate:1")
    assert done.stdout == "HelHello ****.\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["replay", "nowhere"], "There is no file and no run nowhere."),
        (["replay", "README.txt"], "README.txt is no cassette."),
        (["replay", "README.txt", "--fault", "melt"], "There is no fault 'melt'."),
        (["replay", "README.txt", "--speed", "-1"], "The speed of a cassette is 0"),
        (["record", "README.txt", "x", "--model", "openai"], "README.txt is there and is no"),
        (["record", "a/b", "x", "--model", "openai"], "There is no folder a."),
        (["record", "a", "", "--model", "openai"], "The question is empty."),
        (["record", "a", "x", "--model", "demo"], "demo:demo cannot be recorded"),
        (["run", "x", "--model", "cassette:nowhere"], "The cassette nowhere cannot be read"),
        (["run", "x", "--model", "openai:m", "--speed", "2"], "--speed sets the pace"),
    ],
)
def test_wrong_use_is_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.txt").write_text("Read me.")
    done = headrace(*arguments, env=ENV, code=2)
    assert why in done.stderr
    assert (tmp_path / "README.txt").read_text() == "Read me."
    assert [file.name for file in tmp_path.iterdir()] == ["README.txt"]
