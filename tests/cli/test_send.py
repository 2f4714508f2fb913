"""`headrace send`: a real server's run in another process, stopped, kept, refused and cut."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from typing import Any

import pytest

from headrace import Agent
from headrace.events import Cancelled, Complete, Error, RunStart, decode, encode
from headrace.runs.stores.record import RunRecord
from headrace.testing import Gate, ScriptedModel, Step
from headrace.usage import Metrics, Receipt, Usage
from tests.cli.shell import Started, ended, headrace, start, terminal
from tests.frontends.remote_server import STARTED, cut, frame, refuses, shown, story
from tests.promises.story import held, researcher
from tests.server.serving import Served, serving
from tests.support.loopback import STALL, Loopback, Request, Script, reply, stream

TOKEN = "alice-0123456789abcdef"
LOG = story("Hel", "lo.")


def speaker() -> Agent:
    return Agent("bot", ScriptedModel([Step(text=["Hel", "lo."])] * 5))


async def send(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(lambda: headrace("send", *arguments, **more))


async def the_run(served: Served) -> RunRecord:
    (record,) = await served.runtime.store.runs()
    return record


async def test_a_pipe_gets_the_answer_alone_and_a_newline() -> None:
    async with serving([speaker()]) as served:
        done = await send(served.url, "Say hello")
        assert (done.stdout, done.stderr) == ("Hello.\n", "")
        assert (await the_run(served)).status == "complete"


@pytest.mark.parametrize("arguments", [["-"], []])
async def test_the_question_may_be_piped_in(arguments: list[str]) -> None:
    async with Loopback(STARTED, shown(LOG)) as server:
        done = await send(server.origin, *arguments, stdin="What now?\nAnd then?\n")
    assert done.stdout == "Hello.\n"
    assert server.requests[0].json["input"] == "What now?\nAnd then?\n"


async def test_json_is_every_event() -> None:
    async with serving([researcher()]) as served:
        done = await send(served.url, "Find it", "--json")
        events = [decode(line) for line in done.stdout.splitlines()]
        run = await the_run(served)
        assert events == await served.runtime.store.read(run.id, 0)
    assert isinstance(events[0], RunStart)
    assert isinstance(events[-1], Complete)


async def test_a_terminal_gets_tools_and_a_footer() -> None:
    async with serving([researcher()]) as served:
        with terminal("send", served.url, "Find it") as child:
            await asyncio.to_thread(child.expect, "✓ search")
            await asyncio.to_thread(child.expect, "first token")
            assert await asyncio.to_thread(ended, child) == 0


async def test_options_reach_the_server() -> None:
    async with Loopback(STARTED, shown(LOG)) as server:
        said = ["--agent", "a", "--session", "s", "-m", "m", "--idempotency-key", "k"]
        done = await send(server.origin, "x", *said, "--token", "t", "--progress")
    assert server.requests[0].json == {
        **{"input": "x", "agent": "a", "session": "s", "model": "m", "idempotency_key": "k"},
    }
    assert server.requests[0].headers["authorization"] == "Bearer t"
    assert done.stderr == "Complete: 2 chunks, 6 chars\n"


async def test_a_server_on_this_machine_may_be_a_port() -> None:
    async with Loopback(STARTED, shown(LOG)) as server:
        assert (await send(f":{server.port}", "x")).stdout == "Hello.\n"


async def test_a_key_that_was_used_before_shows_the_run_of_then() -> None:
    async with serving([speaker()]) as served:
        first = await send(served.url, "x", "--idempotency-key", "k")
        again = await send(served.url, "x", "--idempotency-key", "k")
        assert first.stdout == again.stdout == "Hello.\n"
        run = await the_run(served)
        assert again.stderr == f"headrace: The key was used before: this is the run {run.id}.\n"


async def test_a_connection_that_is_lost_goes_unnoticed() -> None:
    async with Loopback(STARTED, cut(LOG[:2]), shown(LOG[2:])) as server:
        done = await send(server.origin, "x")
    assert (done.stdout, done.stderr) == ("Hello.\n", "")
    assert server.requests[2].headers["last-event-id"] == "2"


async def test_an_answer_that_ended_early_is_code_3_and_a_failed_run_code_1() -> None:
    early = Complete(4, 2.0, "", "length", Usage(), Metrics())
    failed = Error(4, 2.0, "", "rate_limited", "Too many.", True, Metrics())
    async with Loopback(STARTED, shown([*LOG[:3], early])) as server:
        assert (await send(server.origin, "x", code=3)).stdout == "Hello.\n"
    async with Loopback(STARTED, shown([*LOG[:3], failed])) as server:
        done = await send(server.origin, "x", code=1)
    assert (done.stdout, done.stderr) == ("Hello.\n", "headrace: Too many.\n")


@pytest.fixture
async def gated() -> Any:
    """A server whose run waits, and its gate."""
    model, gate = held("Once upon", more=" a time.")
    async with serving([Agent("bot", model)]) as served:
        yield served, gate


async def begun(process: Started) -> None:
    """Wait for the first word."""
    assert process.stdout
    assert await asyncio.to_thread(process.stdout.read, 4) == "Once"


async def rest(process: Started) -> tuple[str, str, int]:
    """What else comes out, and the exit code."""
    assert process.stdout
    assert process.stderr
    out = await asyncio.to_thread(process.stdout.read)
    err = await asyncio.to_thread(process.stderr.read)
    return out, err, await asyncio.to_thread(process.wait, 20)


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGINT, "user pressed stop"), (signal.SIGTERM, "terminated")]
)
async def test_ctrl_c_cancels_the_run_on_the_server(
    gated: tuple[Served, Gate], number: int, reason: str
) -> None:
    served, _ = gated
    with start("send", served.url, "x") as process:
        await begun(process)
        process.send_signal(number)
        out, err, code = await rest(process)
    assert (out, code) == (" upon\n", 128 + number)
    assert err == f"headrace: The run was cancelled: {reason}.\n"
    run = await the_run(served)
    assert (run.status, run.reason) == ("cancelled", reason)


async def test_with_keep_the_run_goes_on(gated: tuple[Served, Gate]) -> None:
    served, gate = gated
    with start("send", served.url, "x", "--keep") as process:
        await begun(process)
        process.send_signal(signal.SIGINT)
        out, err, code = await rest(process)
    run = await the_run(served)
    assert (out, code, run.status) == (" upon\n", 130, "running")
    assert err.splitlines() == [
        "headrace: The run goes on.",
        f"  Its events: {served.url}/v1/runs/{run.id}/events",
    ]
    gate.open()
    async for _ in await served.runtime.attach(run.id):
        pass
    assert (await the_run(served)).status == "complete"


@pytest.mark.parametrize(("keep", "status"), [([], "cancelled"), (["--keep"], "running")])
async def test_a_reader_that_leaves(
    gated: tuple[Served, Gate], keep: list[str], status: str
) -> None:
    served, _ = gated
    with start("send", served.url, "x", *keep) as process:
        await begun(process)
        assert process.stdout
        process.stdout.close()
        assert await asyncio.to_thread(process.wait, 20) == 141
        assert process.stderr
        assert process.stderr.read() == ""
    assert (await the_run(served)).status == status


async def test_ctrl_c_before_the_server_has_answered_does_not_wait_for_ever() -> None:
    async with Loopback([STALL]) as server:
        with start("send", server.origin, "x") as process:
            await server.asked(1)
            process.send_signal(signal.SIGINT)
            _, err, code = await rest(process)
    assert (err, code) == ("", 130)


class Cancelling(Loopback):
    """Begins a run when it may, and ends it when it is cancelled, whatever else is asked first."""

    def __init__(self) -> None:
        super().__init__([])
        self.begin, self.cancelled = asyncio.Event(), asyncio.Event()
        self.end = Cancelled(2, 1.0, "", "user pressed stop", Usage(), Metrics(), Receipt("", {}))

    def take(self, request: Request) -> Script:
        super().take(request)
        if request.target.endswith("/cancel"):
            self.cancelled.set()
            return reply(200, encode(self.end))
        if request.target.endswith("/events"):
            return stream(frame(LOG[0]), self.cancelled, frame(self.end))
        return [self.begin, *STARTED]


async def test_ctrl_c_while_the_run_begins_cancels_it_when_it_is_there() -> None:
    server = Cancelling()
    async with server:
        with start("send", server.origin, "x") as process:
            await server.asked(1)
            process.send_signal(signal.SIGINT)
            server.begin.set()  # a busy command may read this before it has the signal
            _, err, code = await rest(process)
    assert code == 130
    assert err == "headrace: The run was cancelled: user pressed stop.\n"
    assert "/v1/runs/run_1/cancel" in [request.target for request in server.requests]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refuses(401, "unauthorized", "No token.", "Give one."), 2),
        (refuses(404, "agent_unknown", "There is no agent 'x'.", "There is 'bot'."), 2),
        (refuses(429, "rate_limited", "Slowly.", "Later.", retry_after="3600"), 1),
        (refuses(500, "internal", "It broke.", "Its log says how."), 1),
    ],
)
async def test_a_refusal_is_the_servers_words(answer: list[object], code: int) -> None:
    async with Loopback(answer) as server:
        done = await send(server.origin, "x", code=code)
    body = bytes(answer[0]).partition(b"\r\n\r\n")[2]  # type: ignore[call-overload]
    told = json.loads(body)
    assert done.stderr == f"headrace: {told['message']}\n  {told['hint']}\n"
    assert done.stdout == ""


async def test_tokens_open_a_server_and_are_shown_nowhere() -> None:
    async with serving([speaker()], tokens={"alice": TOKEN}) as served:
        done = await send(served.url, "x", env={"HEADRACE_TOKEN": TOKEN})
        assert done.stdout == "Hello.\n"
        wrong = await send(served.url, "x", "--token", "wrong-token-123", code=2)
        without = await send(served.url, "x", code=2)
    assert "wrong-token-123" not in wrong.stderr
    for done in (wrong, without):
        assert done.stderr.startswith("headrace: ")
        assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "URL"),
        (["ftp://x", "Hi"], "no address"),
        (["http://127.0.0.1:1"], "The question is empty"),
        (["http://192.0.2.1", "Hi", "--token", "token-abc123"], "plain http"),
        (["http://me:token-abc123@h", "Hi"], "a user or a password"),
    ],
)
def test_wrong_use_is_code_2(arguments: list[str], says: str) -> None:
    done = headrace("send", *arguments, code=2)
    assert says in done.stderr
    assert "token-abc123" not in done.stderr


async def test_a_server_that_is_not_there_is_one_clear_line() -> None:
    async with Loopback(STARTED) as server:
        pass
    done = await send(server.origin, "x", code=1)
    assert done.stderr.splitlines() == [
        f"headrace: No connection to 127.0.0.1:{server.port} (Connection refused).",
        "  Is the server running?",
    ]
