"""Whatever a server does wrong is one clear error, shown once, and the key is in none of it.

Each case goes through `agent.run`, `agent.run_stream` and the command, plain and ``--json``.
"""

from __future__ import annotations

import asyncio
import socket
import traceback
from dataclasses import dataclass, field

import pytest

from headrace import Agent, Deadlines, RetryPolicy, RunFailed, fold
from headrace.errors import ProviderError
from headrace.events import Error, Event, decode, encode
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.testing import check_events
from tests.cli.shell import COMMAND, environment
from tests.laws.left import leaves_nothing
from tests.providers.chat_bodies import STOP, chunk, event
from tests.support.loopback import (
    FIN,
    RESET,
    STALL,
    Loopback,
    Script,
    head,
    http_chunk,
    reply,
    stream,
)

CANARY = "sk-canary-5e1f8a90c3"
BLOCK = b"x" * 64 * 1024


@dataclass(frozen=True)
class Bad:
    """What a server plays, and what must be said of it.

    Attributes:
        says: Words that the error must hold; the provider's name always.
        code: The error's.
        status: The error's, where there is one.
        text: Shown before the error, once.
        asked: How often the server is asked where text cannot be taken back.
    """

    script: Script = field(repr=False)  # a test's own frame is no leak
    code: str
    says: tuple[str, ...]
    status: int | None = None
    text: str = ""
    asked: int = 1


REFUSAL = {
    "error": {"message": f"Incorrect API key provided: {CANARY}.", "code": "invalid_api_key"}
}
PAGE = f"<html><head><title>Sign in {CANARY}</title></head><body>{CANARY}</body></html>"
ELSEWHERE = {"location": f"https://other.example/v1?key={CANARY}"}
SPENT = {"error": {"message": f"Slow down, {CANARY}.", "type": "requests"}}
HALF = f'data: {{"choices": [{{"index": 0, "delta": {{"content": "never {CANARY[:9]}'.encode()
NOISE = bytes(range(256)) * 8 + CANARY.encode()

CASES = {
    "a wrong key": Bad(
        reply(401, REFUSAL), "authentication_failed", ("401", "OPENAI_API_KEY"), status=401
    ),
    "an HTML page with 200": Bad(
        reply(200, PAGE, "text/html"), "invalid_response", ("200", "HTML", "base_url"), status=200
    ),
    "an HTML page with 502": Bad(
        reply(502, PAGE, "text/html"), "provider_unavailable", ("502", "HTML"), 502, asked=3
    ),
    "a redirect": Bad(
        reply(307, b"", headers=ELSEWHERE), "invalid_response",
        ("307", "redirect", "other.example", "base_url"), status=307,
    ),
    "half a JSON, then FIN": Bad(
        stream(chunk("Half an "), chunk("answer"), HALF, end=FIN), "stream_truncated",
        ("ended before", "ask again"), text="Half an answer",
    ),
    "half a JSON, then a reset": Bad(
        stream(chunk("Half an "), chunk("answer"), HALF, end=RESET), "stream_truncated",
        ("ended before", "ask again"), text="Half an answer",
    ),
    "an error in mid-stream": Bad(
        stream(chunk("Half an "), chunk("answer"), event(REFUSAL)), "authentication_failed",
        ("OPENAI_API_KEY",), text="Half an answer",
    ),
    "a wait that is too long": Bad(
        reply(429, SPENT, headers={"retry-after": "3600"}), "rate_limited",
        ("429", "later"), status=429,
    ),
    "garbage bytes for HTTP": Bad(
        [NOISE, FIN], "invalid_response", ("did not answer in HTTP", "base_url")
    ),
    "garbage bytes in the stream": Bad(
        stream(NOISE, end=FIN), "invalid_response", ("no event stream", "base_url")
    ),
    "garbage in an event": Bad(
        stream(chunk("Half an answer"), b"data: \xff\xfe " + NOISE[11:60] + b"\n\n"),
        "invalid_response", ("no piece of an answer", "proxy"), text="Half an answer",
    ),
    "an endless line": Bad(
        [head(), http_chunk(chunk("Half an answer")), http_chunk(b"data: "),
         *[http_chunk(BLOCK)] * 200],
        "invalid_response", ("limit", "base_url"), text="Half an answer",
    ),
}  # fmt: skip


def agent_at(url: str, **deadlines: float) -> Agent:
    model = OpenAIChat(
        "tiny",
        base_url=url,
        api_key=CANARY,
        key_variable="OPENAI_API_KEY",
        deadlines=Deadlines(**deadlines),
        retry=RetryPolicy(base=0.01),
    )
    return Agent(model=model)


async def read(agent: Agent) -> tuple[str, RunFailed]:
    """What a stream shows, and how it fails."""
    shown = ""
    try:
        async for piece in agent.run_stream("x"):
            shown += piece.content
    except RunFailed as error:
        return shown, error
    pytest.fail("the stream ended well")


def everything_in(error: BaseException) -> str:
    """All that a person or a log might print of an error, the locals of its frames included."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join([str(error), repr(error), repr(vars(error)), *told.format()])


def check_error(error: RunFailed, bad: Bad) -> None:
    assert error.code == bad.code
    assert error.partial == bad.text
    cause = error.__cause__
    assert isinstance(cause, ProviderError)
    assert (cause.provider, cause.status) == ("openai", bad.status)
    assert str(cause) == str(error)
    assert cause.hint
    check_words(str(error), bad)
    assert CANARY not in everything_in(error)


def check_words(line: str, bad: Bad) -> None:
    assert "openai" in line
    assert [word for word in bad.says if word not in line] == []
    assert "\n" not in line
    assert CANARY not in line


def check_events_json(events: list[Event], bad: Bad) -> None:
    check_events(events)
    end = events[-1]
    assert isinstance(end, Error)
    assert end.code == bad.code
    check_words(end.message, bad)
    assert CANARY.encode() not in b"".join(map(encode, events))


@pytest.mark.parametrize("name", CASES)
async def test_through_a_stream(name: str) -> None:
    bad = CASES[name]
    async with leaves_nothing(), Loopback(bad.script) as server:
        shown, error = await read(agent_at(server.url))
        assert len(server.requests) == bad.asked
    assert shown == bad.text
    check_error(error, bad)


@pytest.mark.parametrize("name", CASES)
async def test_through_a_run_and_its_events(name: str) -> None:
    bad = CASES[name]
    async with leaves_nothing(), Loopback(bad.script) as server:
        agent = agent_at(server.url)
        with pytest.raises(RunFailed) as caught:
            await agent.run("x")
        async with agent.start("x") as run:
            events = [event async for event in run.events()]
    check_error(caught.value, bad)
    check_events_json(events, bad)


async def command(url: str, *arguments: str) -> tuple[int | None, str, str]:
    """Exit code, output and errors of `headrace run`; the key is in neither."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *["run", "x", "--model", "openai:tiny", "--base-url", url, *arguments],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(OPENAI_API_KEY=CANARY),
    )
    out, err = [output.decode() for output in await process.communicate()]
    assert CANARY not in out + err
    return process.returncode, out, err


def told_on(err: str) -> str:
    """The one line on standard error."""
    assert err.count("\n") == 1
    assert err.startswith("headrace: ")
    return err.strip()


@pytest.mark.parametrize("name", CASES)
async def test_through_the_command(name: str) -> None:
    bad = CASES[name]
    async with Loopback(bad.script) as server:
        code, out, err = await command(server.url)
    assert (code, out) == (1, f"{bad.text}\n" if bad.text else "")
    check_words(told_on(err), bad)


@pytest.mark.parametrize("name", ["a wrong key", "half a JSON, then FIN", "an endless line"])
async def test_through_the_command_as_json(name: str) -> None:
    bad = CASES[name]
    async with Loopback(bad.script) as server:
        code, out, err = await command(server.url, "--json")
    events: list[Event] = [decode(line) for line in out.splitlines()]
    assert code == 1
    assert fold(events).text == bad.text
    check_events_json(events, bad)
    check_words(told_on(err), bad)


REFUSED = Bad([], "connection_failed", ("no connection to 127.0.0.1", "server running"))


async def test_a_refused_connection() -> None:
    with socket.socket() as nobody:  # a port that is taken and does not listen refuses
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        async with leaves_nothing():
            shown, error = await read(agent_at(url))
            code, out, err = await command(url)
    assert (shown, code, out) == ("", 1, "")
    check_error(error, REFUSED)
    check_words(told_on(err), REFUSED)


STALLS = {
    "before the head": Bad([STALL], "deadline_exceeded", ("first content",), asked=3),
    "before the first content": Bad(
        [head(), STALL], "deadline_exceeded", ("first content",), asked=3
    ),
    "in mid-text": Bad(
        stream(chunk("Half an answer"), end=STALL), "deadline_exceeded",
        ("further content",), text="Half an answer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STALLS)
async def test_a_stall(name: str) -> None:
    bad = STALLS[name]
    wait = "gap" if bad.text else "first_content"
    for limit in (0.1, 0.5, 2.5):  # a busy machine may take the first one before it has asked
        async with leaves_nothing(), Loopback(bad.script) as server:
            shown, error = await read(agent_at(server.url, **{wait: limit}))
            await server.all_closed()
        if len(server.requests) == bad.asked:
            break
    assert len(server.requests) == bad.asked
    assert f"{limit:g} s" in str(error)
    async with leaves_nothing(), Loopback(bad.script) as server:
        for seconds in ("0.5", "2", "8"):  # a busy machine may take the first one to load it all
            code, out, err = await command(server.url, "--timeout", seconds)
            if bad.text in out:
                break
    assert shown == bad.text
    check_error(error, bad)
    assert (code, out) == (1, f"{bad.text}\n" if bad.text else "")
    assert f"more than {seconds} s" in told_on(err)


async def test_a_wait_that_the_provider_asks_for_is_kept_and_the_answer_shown_once() -> None:
    slow_down = reply(429, SPENT, headers={"retry-after": "1"})
    answer = stream(chunk("Hello."), STOP)
    async with leaves_nothing(), Loopback(slow_down, answer) as server:
        since = asyncio.get_running_loop().time()
        response = await agent_at(server.url).run("x")
        assert asyncio.get_running_loop().time() - since >= 1
        assert response.content == "Hello."
        server.scripts[:] = [slow_down, answer]
        assert await command(server.url) == (0, "Hello.\n", "")
        assert len(server.requests) == 4
