"""Recording: the bytes as they came, with their times, and no secret among them."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from headrace import Agent
from headrace.errors import AuthenticationFailed, ConfigurationError, StreamTruncated, UsageError
from headrace.events import Warn
from headrace.models.assembler import Turn
from headrace.models.deltas import Note, TextDelta
from headrace.models.request import ModelRequest, Options
from headrace.models.retry import NO_RETRY, RetryPolicy
from headrace.providers.cassette.format import VERSION, Header, Tape, read_tape
from headrace.providers.cassette.playing import Cassette
from headrace.providers.cassette.recorder import Recorder
from headrace.providers.cassette.recording import RecordedModel, recorded
from headrace.providers.demo.model import DemoModel
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.providers.openai_responses.client import OpenAIResponses
from headrace.providers.scripted import ScriptedModel
from headrace.providers.table import resolve_model
from tests.providers.chat_bodies import STOP, chunk
from tests.providers.openai_responses.responses_bodies import called, completed, created, message
from tests.providers.openai_responses.responses_bodies import text as responses_text
from tests.support.loopback import FIN, RESET, STALL, Loopback, head, http_chunk, reply, stream

KEY = "canary-0123456789abcdef"
ASK = ModelRequest.of("A private question")
ANSWER = [
    event.replace(b'{"type"', b'{"sequence_number": %d, "type"' % number) + b"\n\n"
    for number, event in enumerate(
        b"".join(
            [
                created(),
                *map(responses_text, "abc"),
                called("k", "f", '{"x":1}', 1),
                completed(message("abc")),
            ]
        ).split(b"\n\n")[:-1]
    )
]
HELLO = chunk("Hel") + chunk("lo") + STOP


def model(server: Loopback, path: Path, *, keep: bool = False, **settings: Any) -> RecordedModel:
    settings = {"retry": NO_RETRY, "base_url": server.url, "api_key": KEY, **settings}
    return recorded(OpenAIChat("m", **settings), path, keep_request=keep)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.cassette"


def raw(path: Path) -> bytes:
    return path.read_bytes()


def read(path: Path) -> Tape:
    return read_tape(raw(path), str(path))


def body(path: Path, answer: int = 0) -> bytes:
    return b"".join(piece.data for piece in read(path).answers[answer].pieces)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text("utf-8").splitlines()]


async def test_the_bytes_are_kept_as_they_came(path: Path) -> None:
    async with Loopback(stream(chunk("Hel"), 0.03, chunk("lo"), STOP)) as server:
        turn = await model(server, path).complete(ASK)
    assert turn.text == "Hello"
    assert body(path) == HELLO
    tape = read(path)
    assert (tape.header.provider, tape.header.wire, tape.header.model) == (
        "openai",
        "openai_chat",
        "m",
    )
    assert tape.header.recorded_at > 1.7e9
    (answer,) = tape.answers
    assert answer.head.status == 200
    assert answer.head.headers["content-type"] == "text/event-stream"
    times = [answer.head.ms, *(piece.ms for piece in answer.pieces)]
    assert times == sorted(times)
    assert times[-1] - times[0] >= 25
    assert lines(path)[-1]["type"] == "end"


async def test_the_file_is_its_owners_alone(path: Path) -> None:
    async with Loopback(stream(STOP)) as server:
        await model(server, path).complete(ASK)
    assert os.stat(path).st_mode & 0o777 == 0o600


async def test_the_question_is_not_kept_but_a_digest_of_it(path: Path) -> None:
    async with Loopback(stream(STOP)) as server:
        await model(server, path).complete(ASK)
        assert b"private" in server.requests[0].body
    assert b"private" not in raw(path)
    assert read(path).answers[0].head.request.startswith("sha256:")


async def test_the_question_is_kept_when_that_is_wanted_and_masked(path: Path) -> None:
    async with Loopback(stream(STOP)) as server:
        await model(server, path, keep=True).complete(ModelRequest.of(f"Is {KEY} a key?"))
    asked = read(path).answers[0].head.asked
    assert asked is not None
    assert json.loads(asked)["messages"] == [{"role": "user", "content": "Is **** a key?"}]


# --- secrets ------------------------------------------------------------------------------------

ECHO = chunk(f"You sent {KEY}.") + chunk("and Bearer sk-abc123def456") + STOP


async def echoed(path: Path, *pieces: object, **settings: Any) -> bytes:
    """What stands in the cassette of an answer that echoes the key in headers and body."""
    headers = {"x-echo": KEY, "set-cookie": f"s={KEY}", "x-request-id": "req_1", KEY: "1"}
    script = [head(200, headers=headers), *pieces, http_chunk(b"")]
    async with Loopback(script) as server:
        turn = await model(server, path, keep=True, **settings).complete(ASK)
    assert KEY in turn.text
    return raw(path)


async def test_an_echoed_key_is_in_no_cassette_whatever_the_cut(path: Path) -> None:
    written = []
    start = ECHO.index(KEY.encode())
    for cut in range(start, start + len(KEY) + 1):
        first, second = asyncio.Event(), asyncio.Event()
        script = [
            head(200, headers={"x-echo": KEY, "set-cookie": f"s={KEY}"}),
            http_chunk(ECHO[:cut]),
            first,
            http_chunk(ECHO[cut:]),
            second,
            http_chunk(b""),
        ]
        second.set()
        async with Loopback(script) as server:
            one = model(server, path)
            async with one.stream(ASK) as batches:
                asyncio.get_running_loop().call_later(0.002, first.set)
                async for _ in batches:
                    pass
        assert KEY.encode() not in raw(path)
        assert b"sk-abc123" not in raw(path)
        written.append(body(path))
    assert set(written) == {chunk("You sent ****.") + chunk("and Bearer ****") + STOP}


async def test_bytewise_echoes_and_headers_are_masked(path: Path) -> None:
    data = await echoed(path, *(http_chunk(ECHO[i : i + 1]) for i in range(len(ECHO))))
    assert KEY.encode() not in data
    headers = read(path).answers[0].head.headers
    assert headers["x-request-id"] == "req_1"
    assert headers["x-echo"] == headers["set-cookie"] == "****"


async def test_secrets_in_headers_and_query_of_ones_own_are_masked(path: Path) -> None:
    script = stream(chunk("header-secret-1 query-secret-2"), STOP)
    async with Loopback(script) as server:
        one = model(
            server,
            path,
            base_url=f"{server.url}?key=query-secret-2&api-version=2024-10-21",
            headers={"X-Gateway-Token": "header-secret-1"},
        )
        await one.complete(ASK)
    assert b"-secret-" not in raw(path)


async def test_a_refusal_that_echoes_the_key_is_recorded_without_it(path: Path) -> None:
    refusal = reply(401, {"error": {"message": f"Incorrect key {KEY}"}}, headers={"x-k": KEY})
    async with Loopback(refusal) as server:
        with pytest.raises(AuthenticationFailed) as caught:
            await model(server, path).complete(ASK)
    assert KEY.encode() not in raw(path)
    (answer,) = read(path).answers
    assert answer.head.status == 401
    assert json.loads(body(path)) == {"error": {"message": "Incorrect key ****"}}
    assert KEY not in repr(caught.value)
    trace = caught.value.__traceback__
    assert trace is not None
    while (trace := trace.tb_next) is not None:  # our own frame holds it
        assert KEY not in repr(trace.tb_frame.f_locals)


# --- ends ---------------------------------------------------------------------------------------


async def test_a_cut_answer_is_kept_as_far_as_it_came(path: Path) -> None:
    for end in (FIN, RESET):
        async with Loopback(stream(chunk("Hel"), b"data: {", 0.02, end=end)) as server:
            with pytest.raises(StreamTruncated):
                await model(server, path).complete(ASK)
        assert body(path) == chunk("Hel") + b"data: {"
        assert lines(path)[-1]["by"] == "server"


async def test_an_answer_that_is_left_is_kept_as_far_as_it_came(path: Path) -> None:
    async with Loopback(stream(chunk("Hel"), end=STALL)) as server:
        async with model(server, path).stream(ASK) as batches:
            await anext(batches)
        await server.closed(0)
    assert body(path) == chunk("Hel")
    assert lines(path)[-1]["by"] == "client"


async def test_requests_are_kept_in_order_with_what_was_refused(path: Path) -> None:
    scripts = (reply(429, {"error": "slow"}), stream(chunk("a"), STOP), stream(chunk("b"), STOP))
    async with Loopback(*scripts) as server:
        one = model(server, path, retry=RetryPolicy(base=0.001))
        assert (await one.complete(ASK)).text == "a"
        assert (await one.complete(ASK)).text == "b"
    assert [answer.head.status for answer in read(path).answers] == [429, 200, 200]
    assert one.recorder.answers == 3
    assert one.recorder.size == len(raw(path))


async def test_answers_at_once_do_not_mix(path: Path) -> None:
    go = asyncio.Event()
    scripts = [stream(chunk(str(n)), go, chunk("!"), STOP) for n in range(20)]
    async with Loopback(*scripts) as server:
        one = model(server, path)
        tasks = [asyncio.create_task(one.complete(ASK)) for _ in scripts]
        await server.asked(20)
        go.set()
        said = sorted(turn.text for turn in await asyncio.gather(*tasks))
    played = Cassette(path, speed=0)
    assert sorted([(await played.complete(ASK)).text for _ in scripts]) == said
    assert said == sorted(f"{n}!" for n in range(20))


async def test_an_answer_that_is_read_on_over_another_connection_is_one(path: Path) -> None:
    cut = [b"".join(ANSWER[:2]), ANSWER[2][:-20]]
    scripts = (
        stream(*cut, 0.01, end=RESET),
        reply(500, {"error": "not now"}),
        stream(*ANSWER[2:]),
    )
    async with Loopback(*scripts) as server:
        inner = OpenAIResponses(
            "m", base_url=server.url, background=True, retry=RetryPolicy(0, base=0.0)
        )
        live = await recorded(inner, path).complete(ASK)
        assert len(server.requests) == 3
    assert live.text == "abc"
    assert len(read(path).answers) == 1
    played = await Cassette(path, speed=0).complete(ASK)
    assert (played.text, played.tool_calls) == (live.text, live.tool_calls)


# --- where to -----------------------------------------------------------------------------------


async def test_a_cassette_that_is_there_is_replaced_with_the_first_answer(path: Path) -> None:
    async with Loopback(stream(chunk("a"), STOP), stream(chunk("b"), STOP)) as server:
        await model(server, path).complete(ASK)
        second = model(server, path)
        assert body(path) == chunk("a") + STOP  # making the model costs no cassette
        await second.complete(ASK)
    assert body(path) == chunk("b") + STOP
    assert len(read(path).answers) == 1


def test_another_file_is_never_replaced(path: Path) -> None:
    path.write_text("my notes")
    with pytest.raises(ConfigurationError, match="is there and is no cassette"):
        recorded(OpenAIChat("m"), path)
    assert path.read_text() == "my notes"


async def test_a_place_where_nothing_can_be_written_is_told_before_anything_is_asked(
    tmp_path: Path,
) -> None:
    async with Loopback(stream(STOP)) as server:
        with pytest.raises(ConfigurationError, match="no folder"):
            model(server, tmp_path / "no" / "a.cassette")
        with pytest.raises(ConfigurationError, match="cannot be written"):
            model(server, tmp_path)
        assert server.requests == []


async def test_a_disk_that_breaks_ends_the_recording_and_not_the_answer(path: Path) -> None:
    async with Loopback(stream(chunk("Hel"), 0.01, chunk("lo"), STOP)) as server:
        one = model(server, path)
        os.mkdir(path)  # since it was looked at
        seen = []
        async with one.stream(ASK) as batches:
            async for batch in batches:
                seen += batch
    assert "".join(d.content for d in seen if isinstance(d, TextDelta)) == "Hello"
    (note,) = [d for d in seen if isinstance(d, Note)]
    assert note.code == "recording_stopped"
    assert str(path) in note.message


async def test_a_cassette_is_bounded(path: Path) -> None:
    async with Loopback(stream(*[chunk("word ")] * 50, STOP)) as server:
        header = Header(VERSION, "openai", "openai_chat", "m")
        recorder = Recorder(path, header, limit=1000)
        one = RecordedModel(OpenAIChat("m", base_url=server.url), recorder)
        turn = await one.complete(ASK)
    assert turn.text == "word " * 50
    assert len(raw(path)) <= 1000
    assert "over 1000 bytes" in one.recorder.trouble
    assert read(path).header.wire == "openai_chat"


# --- on any model -------------------------------------------------------------------------------


async def test_resolve_model_takes_record_to(path: Path) -> None:
    async with Loopback(stream(chunk("Hi"), STOP)) as server:
        one = resolve_model("openai:m", base_url=server.url, api_key=KEY, record_to=path)
        assert one.name == "openai:m"
        assert isinstance(one, RecordedModel)
        await one.complete(ASK)
    assert body(path) == chunk("Hi") + STOP


async def test_an_agent_takes_record_to_and_its_warnings_tell_of_trouble(path: Path) -> None:
    async with Loopback(stream(chunk("Hi"), STOP)) as server:
        inner = OpenAIChat("m", base_url=server.url, options=Options(temperature=0.5))
        agent = Agent(model=inner, record_to=str(path))
        assert (await agent.run("Hello")).content == "Hi"
        assert server.requests[0].json["temperature"] == 0.5
        assert body(path) == chunk("Hi") + STOP
        os.unlink(path)
        broken = Agent(model=inner, record_to=path)
        assert broken.model.name == "openai:m"
        os.mkdir(path)
        async with broken.start("Hello") as run:
            warnings = [event async for event in run.events() if isinstance(event, Warn)]
            assert (await run.result()).content == "Hi"
    assert [warning.code for warning in warnings] == ["recording_stopped"]


@pytest.mark.parametrize("bare", [DemoModel(), ScriptedModel([])])
def test_a_model_without_a_wire_cannot_be_recorded(bare: Any, path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be recorded"):
        recorded(bare, path)
    with pytest.raises(UsageError, match="no wire"):
        bare.decoder()
    assert not path.exists()


async def test_without_recording_the_decoder_is_the_providers_own() -> None:
    # What recording costs when it is off: nothing, because nothing stands in between.
    async with Loopback(stream(chunk("Hi"), STOP)) as server:
        one = OpenAIChat("m", base_url=server.url)
        attempt = await one.open(ASK)
        assert type(attempt._decoder) is type(one.decoder())
        await attempt.close()


async def test_the_turn_is_the_same_with_and_without_recording(path: Path) -> None:
    async with Loopback(stream(chunk("Hi"), STOP)) as server:
        turns: list[Turn] = [
            await OpenAIChat("m", base_url=server.url).complete(ASK),
            await model(server, path).complete(ASK),
        ]
    assert turns[0] == turns[1]
