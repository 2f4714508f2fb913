"""`headrace explain`: a kept run, a live one, a server's, in words, columns, bars and JSON."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from headrace import Agent
from headrace.cli.explain import SAME_SESSION, address
from headrace.cli.explain_show import BAR, bar
from headrace.errors import UsageError
from headrace.events import Complete, RunStart, StepStart, Token
from headrace.runs.stores.record import RunRecord
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.testing import ScriptedModel, Step
from headrace.usage import Metrics, Usage
from tests.cli.kept import Kept
from tests.cli.shell import Served, ended, headrace, terminal, unstyled
from tests.frontends.remote_server import refuses
from tests.promises.story import QUESTION, held, researcher
from tests.providers.chat_bodies import STOP, chunk, finish
from tests.server.serving import serving
from tests.support.loopback import STALL, Loopback, reply, stream

HELLO = stream(chunk("Hel"), chunk("lo."), STOP)
NOT_MEASURED = "How far viewers were behind is in no log."


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def parts_of(told: dict[str, Any]) -> int:
    parts = told["parts"].values()
    assert min(parts) >= 0
    return sum(parts)


def test_a_pipe_gets_columns_and_sentences(kept: Kept) -> None:
    kept.headrace("run", "What is 123*456?")
    run_id = kept.run()
    done = kept.headrace("explain", run_id)
    assert done.stderr == ""
    title, times, steps, tools, sentences = [
        block.splitlines() for block in done.stdout.split("\n\n")
    ]
    assert title[0].startswith(f"{run_id} · assistant on demo:demo · complete · ")
    assert [row.split("  ")[0] for row in times] == [
        "TIME", "queue", "provider: waiting", "provider: streaming", "tools", "store", "headrace",
        "in all",
    ]  # fmt: skip
    assert times[-1].endswith("100 %")
    assert [row.split()[0] for row in steps] == ["STEP", "1", "2"]
    assert tools[1].split()[:2] == ["calculator", "1"]
    assert "ended with stop: the model said all that it had to say." in sentences[0]
    assert sentences[-1].startswith(NOT_MEASURED)


def test_json_has_all_of_it_and_adds_up(kept: Kept) -> None:
    kept.headrace("run", "What is 123*456?")
    (run,) = kept.runs()
    told = json.loads(kept.headrace("explain", run["id"], "--json").stdout)
    assert (told["run_id"], told["status"], told["reason"]) == (run["id"], "complete", "stop")
    assert parts_of(told) == told["duration_us"]
    assert told["duration_us"] == pytest.approx((run["ended_at"] - run["created_at"]) * 1e6, abs=2)
    assert told["began_at"] == pytest.approx(run["created_at"], abs=1e-6)
    assert told["usage"] == run["usage"]
    assert told["words"][0].startswith("The run took ")
    assert told["lag"] is None
    assert [step["step"] for step in told["steps"]] == [1, 2]


def test_a_terminal_gets_bars(kept: Kept) -> None:
    kept.headrace("run", "What is 123*456?")
    with terminal("explain", kept.run(), **kept.env) as child:
        assert ended(child) == 0
        text = unstyled(child.before or "")
    assert "█" in text
    assert "provider: waiting" in text
    assert "calculator" in text
    assert "· The run took" in text


def test_how_a_run_ended_is_told_and_is_no_failure_of_the_command(kept: Kept) -> None:
    with Served(stream(chunk("H"), finish("length"))) as server:
        kept.headrace("run", "x", *server.at, code=3)
    assert "Raise max_tokens" in kept.headrace("explain", kept.run()).stdout
    with Served(reply(400, {"error": {"message": "no"}})) as server:
        kept.headrace("run", "x", *server.at, code=1)
    done = kept.headrace("explain", kept.run())
    assert "· error: request_rejected ·" in done.stdout
    assert "The run failed after" in done.stdout


def test_a_live_run_is_told_as_far_as_it_is(kept: Kept) -> None:
    with (
        Served(stream(chunk("Once upon"), end=STALL)) as server,
        kept.start("run", "x", *server.at) as run,
    ):
        assert run.stdout
        assert run.stdout.read(4) == "Once"
        done = kept.headrace("explain", kept.run())
        assert "The run has not ended; this is " in done.stdout
        assert "Step 1 streams since " in done.stdout
        run.terminate()
        assert run.wait(20) == 143


def test_a_run_that_no_process_has_is_told_to_its_last_event(kept: Kept) -> None:
    lost = RunRecord("run_1", "clerk", "m", 0.5, host="shop", owner="gone", lease_until=2.0)
    begun = RunStart(1, 1.0, "", "run_1", "clerk", "m")
    step = StepStart(2, 1.5, "", 1, "m")
    kept.keep(lost, begun, step, Token(3, 4.0, "", "Once", 0))
    done = kept.headrace("explain", "run_1", "--json")
    assert "No process has this run now." in done.stderr
    told = json.loads(done.stdout)
    assert (told["duration_us"], told["status"]) == (3_500_000, "running")
    assert told["parts"]["queue"] == told["parts"]["headrace"] == 500_000


def test_silences_are_told_from_the_asked_length_on(kept: Kept) -> None:
    with Served(stream(chunk("Once"), 0.3, chunk(" upon"), STOP)) as server:
        kept.headrace("run", "x", *server.at)
    run_id = kept.run()
    assert json.loads(kept.headrace("explain", run_id, "--json").stdout)["gaps"] == 0
    told = json.loads(kept.headrace("explain", run_id, "--json", "--gap", "0.2").stdout)
    assert told["gaps"] == 1
    assert told["gap_us"] >= 250_000


def test_a_run_that_waited_for_its_session_names_the_other(kept: Kept) -> None:
    begun = RunStart(1, 1.0, "", "run_1", "clerk", "m", "talk")

    async def keep_the_other() -> None:
        async with SQLiteStore(kept.path) as store:
            await store.create(RunRecord("run_1", "clerk", "m", 1.0, session="talk"))
            end = Complete(2, 9.0, "", "stop", Usage(), Metrics())
            await store.end("run_1", 0, [begun, end])

    asyncio.run(keep_the_other())
    after = RunRecord("run_2", "clerk", "m", 2.0, session="talk")
    kept.keep(after, RunStart(1, 9.5, "", "run_2", "clerk", "m", "talk"))
    told = json.loads(kept.headrace("explain", "run_2", "--json").stdout)
    assert told["behind"] == "run_1"
    assert told["parts"]["queue"] == 7_500_000
    assert SAME_SESSION == 50


def test_hostile_names_steer_no_terminal(kept: Kept) -> None:
    evil = "a\x1b]0;owned\x07\u202eb"
    kept.keep(
        RunRecord("run_1", evil, evil, 1.0),
        RunStart(1, 1.0, "", "run_1", evil, evil),
        StepStart(2, 1.0, evil, 1, evil),
    )
    for arguments in ((), ("--json",)):
        shown = kept.headrace("explain", "run_1", *arguments).stdout
        assert not set("\x1b\x07\u202e") & set(shown)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run_nobody"], "There is no run 'run_nobody'."),
        (["../etc"], "'../etc' cannot be a run's id."),
        (["http://127.0.0.1:1/"], "That is the address of no run."),
        (["RUN", "--gap", "0"], "longer than 0 seconds"),
        (["RUN", "--gap", "nan"], "longer than 0 seconds"),
        (["RUN", "--for", "-1"], "--for takes seconds"),
        (["RUN", "--for", "inf"], "--for takes seconds"),
        (["RUN", "--server", "ftp://x"], "That is no address of a server."),
        (["a/b", "--server", ":1"], "cannot be a run's id"),
    ],
)
def test_what_cannot_be_explained_is_told(kept: Kept, arguments: list[str], says: str) -> None:
    with Served(HELLO) as server:
        kept.headrace("run", "x", *server.at)
    run_id = kept.run()
    named = [run_id if word == "RUN" else word for word in arguments]
    done = kept.headrace("explain", *named, code=2)
    assert done.stdout == ""
    assert says in done.stderr


def test_a_run_without_events_has_nothing_to_explain(kept: Kept) -> None:
    kept.keep(RunRecord("run_1", "clerk", "m", 1.0))
    assert "no events yet" in kept.headrace("explain", "run_1", code=2).stderr


@pytest.mark.parametrize(
    ("what", "server", "found"),
    [
        ("run_1", None, (None, "run_1")),
        ("run_1", ":8080", (":8080", "run_1")),
        ("http://h:1/v1/runs/run_1", None, ("http://h:1", "run_1")),
        ("h/app/v1/runs/run_1/events?after=3", None, ("h/app", "run_1")),
    ],
)
def test_a_run_may_be_named_by_its_address(
    what: str, server: str | None, found: tuple[str | None, str]
) -> None:
    assert address(what, server) == found


def test_an_address_without_a_run_is_told() -> None:
    with pytest.raises(UsageError, match="address of no run"):
        address("https://chat.example.org", None)


@pytest.mark.parametrize(
    ("us", "whole", "text"),
    [(0, 100, ""), (100, 100, "█" * BAR), (1, 10**9, "▏"), (50, 100, "█" * (BAR // 2)), (0, 0, "")],
)
def test_a_bar_is_as_long_as_its_share(us: int, whole: int, text: str) -> None:
    assert bar(us, whole) == text


# At a server ----------------------------------------------------------------------------------


async def explained(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(lambda: headrace("explain", *arguments, **more))


async def test_a_servers_run_is_told_as_the_store_tells_it() -> None:
    async with serving([researcher()]) as served:
        run = await served.runtime.submit("researcher", QUESTION)
        await served.runtime.wait(run.id)
        record = await served.runtime.store.run(run.id)
        told = json.loads((await explained(run.id, "--server", served.url, "--json")).stdout)
        again = await explained(f"{served.url}/v1/runs/{run.id}/events")
    assert parts_of(told) == told["duration_us"]
    assert told["began_at"] == pytest.approx(record.created_at, abs=1e-6)
    assert told["parts"]["queue"] > 0
    assert told["tools"][0]["name"] == "search"
    assert told["lag"] is None
    assert "The run has ended: how far viewers were behind is in no log." in again.stdout


async def test_a_live_runs_stream_is_measured() -> None:
    endless = ["word "] * 100_000  # however long the command takes to begin
    model = ScriptedModel([Step(text=endless, delay=0.02)])
    async with serving([Agent("bot", model)]) as served:
        run = await served.runtime.submit("bot", "x")
        done = await explained(run.id, "--server", served.url, "--for", "1", "--json")
        assert run.id in served.runtime.live  # it was looked at, not waited for or ended
    told = json.loads(done.stdout)
    assert told["status"] == "running"
    assert told["lag"]["arrivals"] > 10
    assert 0 <= told["lag"]["p50_ms"] <= told["lag"]["p99_ms"] <= told["lag"]["worst_ms"] < 5000
    assert told["words"][-1].startswith("Seen from here, half of the events came at most ")


async def test_a_look_of_no_length_tells_what_was_there() -> None:
    model, gate = held("Once upon")
    async with serving([Agent("bot", model)]) as served:
        run = await served.runtime.submit("bot", "x")
        await gate.reached.wait()
        done = await explained(run.id, "--server", served.url, "--for", "0")
        gate.open()
    assert "The run has not ended; this is " in done.stdout


async def test_a_live_run_that_says_nothing_is_not_measured() -> None:
    model, gate = held("Once upon")
    async with serving([Agent("bot", model)]) as served:
        run = await served.runtime.submit("bot", "x")
        await gate.reached.wait()
        done = await explained(run.id, "--server", served.url, "--for", "0.2")
        gate.open()
    assert "Too little came within 0.2 s to tell how far a viewer here is behind." in done.stdout
    assert "Step 1 streams since" not in done.stdout  # its clock is not this one's


async def test_what_the_server_refuses_is_told() -> None:
    async with serving([researcher()], tokens={"alice": "alice-0123456789abcdef"}) as served:
        nobody = await explained("run_1", "--server", served.url, code=2)
        token = ("--token", "alice-0123456789abcdef")
        unknown = await explained("run_1", "--server", served.url, *token, code=2)
    assert "wants to know who asks" in nobody.stderr
    assert "run_1" in unknown.stderr


async def test_whoever_is_no_headrace_server_is_told() -> None:
    async with Loopback(reply(200, {"hello": "world"})) as server:
        done = await explained("run_1", "--server", server.origin, code=1)
    assert "something else than a Headrace server" in done.stderr
    async with Loopback(refuses(503, "draining", "It stops.")) as server:
        done = await explained("run_1", "--server", server.origin, code=1)
    assert "It stops." in done.stderr
