"""`headrace cancel`: from another process, with a receipt."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.cli.cancel import receipt
from headrace.events import Cancelled
from headrace.runs.fold import RunState, ToolState
from headrace.usage import Metrics, Receipt, Usage
from tests.cli.kept import Kept
from tests.cli.shell import Served
from tests.providers.chat_bodies import STOP, chunk
from tests.support.loopback import STALL, stream

ENDLESS = stream(chunk("Once upon"), end=STALL)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_a_run_is_cancelled_from_another_process(kept: Kept) -> None:
    with Served(ENDLESS) as server, kept.start("run", "x", *server.at) as run:
        assert run.stdout
        assert run.stderr
        assert run.stdout.read(4) == "Once"
        run_id = kept.run()
        done = kept.headrace("cancel", run_id, "--reason", "too long\x1b[31m")
        server.closed()
        assert run.wait(20) == 1
        assert run.stdout.read() == " upon\n"
        assert run.stderr.read().startswith("headrace: The run was cancelled: too long")
    first, tokens, answer, tools, upstream = done.stdout.splitlines()
    assert first == f"{run_id} was cancelled: too long␛[31m."
    assert tokens.startswith("tokens    ≈")
    assert tokens.endswith("(estimated)")
    assert answer == "answer    9 characters, kept"
    assert tools == "tools     none"
    assert upstream.startswith("upstream  closed after ")
    (told,) = kept.runs()
    assert (told["status"], told["usage"]["exact"]) == ("cancelled", False)


def test_a_run_that_had_ended_stays_as_it_ended(kept: Kept) -> None:
    with Served(stream(chunk("Hi."), STOP)) as server:
        kept.headrace("run", "x", *server.at)
    run_id = kept.run()
    assert kept.headrace("cancel", run_id).stdout == f"{run_id} had ended already: complete.\n"
    assert kept.runs()[0]["status"] == "complete"


def test_a_run_whose_process_was_killed_can_be_cancelled(kept: Kept) -> None:
    with Served(ENDLESS) as server, kept.start("run", "x", *server.at) as run:
        assert run.stdout
        assert run.stdout.read(4) == "Once"
        run.kill()
    (record,) = kept.records()
    kept.forsake(record.owner)
    done = kept.headrace("cancel", record.id, "--reason", "it is gone")
    assert done.stdout.startswith(f"{record.id} was cancelled: it is gone.\n")
    assert kept.headrace("watch", record.id, code=1).stdout.startswith("Once upon\n")


@pytest.mark.parametrize("wrong", ["run_nobody", "../etc", "a b", ""])
def test_what_is_no_run_is_told(kept: Kept, wrong: str) -> None:
    done = kept.headrace("cancel", wrong, code=2)
    assert done.stdout == ""
    assert "run" in done.stderr


def test_a_receipt_names_the_tools_and_says_what_is_exact() -> None:
    tools = {"a": "finished", "b": "running", "c": "waiting"}
    end = Cancelled(9, 1.0, "", "stop", Usage(3, 4), Metrics(), Receipt("text", tools, None))
    state = RunState(tools=[ToolState("a", "search", {}, 1), ToolState("b", "evil\x1b", {}, 2)])
    assert receipt("run_1", end, state) == [
        "run_1 was cancelled: stop.",
        "tokens    3 in, 4 out",
        "answer    4 characters, kept",
        "tools     search finished, evil␛ running, c waiting",
        "upstream  none was open",
    ]
