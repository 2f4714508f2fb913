"""Playing: recorded bytes through the provider's own decoder, at any pace, broken on demand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from headrace import Agent, tool
from headrace.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    RateLimited,
    RunFailed,
    StreamTruncated,
    UsageError,
)
from headrace.events import Retract, Token, Warn
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import Delta, TextDelta
from headrace.models.request import ModelRequest
from headrace.models.retry import NO_RETRY
from headrace.providers.cassette.faults import Cut, Duplicate, Reset, Slow, Stall
from headrace.providers.cassette.format import Head, Header, heard, line
from headrace.providers.cassette.playing import Cassette
from headrace.providers.cassette.wires import reader
from headrace.providers.rows import ROWS
from headrace.providers.table import resolve_model
from headrace.testing import run_with_fake_clock
from tests.providers.chat_bodies import CALLED, STOP, call, calls, chunk

ASK = ModelRequest.of("Hi")
EVENT_STREAM = {"content-type": "text/event-stream"}
HEL, LO = chunk("Hel"), chunk("lo")


def write(
    path: Path, *answers: list[tuple[float, bytes]], status: int = 200, wire: str = "openai_chat"
) -> Path:
    """A cassette with these answers; the last one has this status."""
    out = line(Header(1, "openai", wire, "m"))
    for of, answer in enumerate(answers, start=1):
        last = of == len(answers)
        out += line(Head(of, 5, status if last else 200, EVENT_STREAM))
        for ms, data in answer:
            out += b"".join(line(record) for record in heard(of, ms, data))
    path.write_bytes(out)
    return path


HELLO = [(10.0, HEL), (20.0, LO), (30.0, STOP)]


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    return write(tmp_path / "a.cassette", HELLO)


async def batches_of(model: Cassette) -> list[list[Delta]]:
    async with model.stream(ASK) as batches:
        return [batch async for batch in batches]


async def took(model: Cassette) -> float:
    """Seconds of the loop that a whole answer took."""
    now = asyncio.get_running_loop().time
    start = now()
    assert (await model.complete(ASK)).text == "Hello"
    return now() - start


async def test_the_answer_is_that_of_the_real_decoder(hello: Path) -> None:
    turn = await Cassette(hello, speed=0).complete(ASK)
    assert (turn.text, turn.finish_reason) == ("Hello", "stop")


async def test_each_recorded_read_is_one_batch(hello: Path) -> None:
    batches = await batches_of(Cassette(hello, speed=0))
    assert batches[:2] == [[TextDelta("Hel")], [TextDelta("lo")]]
    assert len(batches) == 3


def test_pace(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [(100, HEL), (200, LO), (400, STOP)])

    def seconds(model: Cassette) -> float:
        return run_with_fake_clock(took(model))

    assert seconds(Cassette(path)) == pytest.approx(0.4)
    assert seconds(Cassette(path, speed=4)) == pytest.approx(0.1)
    assert seconds(Cassette(path, speed=0)) == 0
    assert seconds(Cassette(path, speed=4, fault=Slow(2))) == pytest.approx(0.2)


async def test_a_name_plays_a_cassette(hello: Path) -> None:
    model = resolve_model(f"cassette:{hello}?speed=0&fault=cut:0&times=1", retry=NO_RETRY)
    assert isinstance(model, Cassette)
    assert (model.speed, model.fault) == (0, Cut(0))
    assert model.name == f"cassette:{hello}?speed=0&fault=cut:0&times=1"
    with pytest.raises(StreamTruncated):
        await model.complete(ASK)
    assert (await model.complete(ASK)).text == "Hello"
    plain = resolve_model(f"cassette:{hello}", speed=0)
    assert isinstance(plain, Cassette)
    assert plain.speed == 0


async def test_an_odd_file_name_is_no_setting(tmp_path: Path) -> None:
    path = write(tmp_path / "what?speed=x", HELLO)
    assert (await Cassette(path, speed=0).complete(ASK)).text == "Hello"
    assert (await Cassette(f"{path}?speed=0").complete(ASK)).text == "Hello"


async def test_answers_come_in_order_and_then_it_is_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a", HELLO, [(1, chunk("Bye") + STOP)])
    model = Cassette(path, speed=0)
    assert [(await model.complete(ASK)).text for _ in range(2)] == ["Hello", "Bye"]
    assert model.left == 0
    with pytest.raises(UsageError, match="holds 2 answers, and this is request 3"):
        await model.complete(ASK)


async def test_an_agent_runs_its_tools_on_a_cassette(tmp_path: Path) -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    asked = calls(call(0, "c1", "add", '{"a":1,"b":2}')) + CALLED
    path = write(tmp_path / "a", [(1, asked)], [(1, chunk("It is 3.") + STOP)])
    response = await Agent(model=f"cassette:{path}?speed=0", tools=[add]).run("1+2?")
    assert response.content == "It is 3."
    assert any(m.role == "tool" for m in response.messages)


# --- recorded failures --------------------------------------------------------------------------


async def test_a_recorded_refusal_is_the_same_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [(6, b'{"error":{"message":"Bad key"}}')], status=401)
    with pytest.raises(AuthenticationFailed, match=r"openai: answered 401 Unauthorized: Bad key"):
        await Cassette(path, speed=0).complete(ASK)


async def test_the_last_recorded_failure_is_the_last_word(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [(6, b"{}")], status=429)
    with pytest.raises(RateLimited):
        await Cassette(path, speed=0).complete(ASK)
    path = write(tmp_path / "b", [(6, b"")])
    with pytest.raises(StreamTruncated):
        await Cassette(path, speed=0).complete(ASK)


async def test_a_recorded_refusal_is_retried_with_the_next_answer(tmp_path: Path) -> None:
    path = tmp_path / "a"
    refusal = line(Head(1, 5, 429, {"retry-after": "30"}))
    write(path, HELLO)
    first, *rest = path.read_bytes().replace(b'"of":1', b'"of":2').splitlines(keepends=True)
    path.write_bytes(first + refusal + b"".join(rest))
    async with asyncio.timeout(10):  # the wait that was told is played at the cassette's speed
        assert (await Cassette(path, speed=1000).complete(ASK)).text == "Hello"
        assert (await Cassette(path, speed=0).complete(ASK)).text == "Hello"


# --- faults -------------------------------------------------------------------------------------


async def test_every_cut_before_the_end_is_truncation_with_the_text_so_far(hello: Path) -> None:
    whole = HEL + LO + STOP
    enough = len(HEL + LO) + STOP.index(b"\n\n") + 2  # with the finish reason it is complete
    for at in range(0, len(whole), 7):
        model = Cassette(hello, speed=0, fault=Cut(at), retry=NO_RETRY)
        if at >= enough:
            assert (await model.complete(ASK)).text == "Hello"
            continue
        with pytest.raises(StreamTruncated) as caught:
            await model.complete(ASK)
        text = getattr(caught.value.turn, "text", None)
        expected = "" if at < len(HEL) else "Hel" if at < len(HEL + LO) else "Hello"
        assert text == expected


async def test_a_broken_answer_is_played_again(hello: Path) -> None:
    model = Cassette(hello, speed=0, fault=Cut(len(HEL)), retry=NO_RETRY)
    for _ in range(3):
        with pytest.raises(StreamTruncated):
            await model.complete(ASK)
        assert model.left == 1
    once = Cassette(hello, speed=0, fault=Cut(0), times=1)
    assert (await once.complete(ASK)).text == "Hello"  # asked again by the retry policy
    assert once.left == 0


async def test_a_cut_behind_the_answers_end_does_not_play_it_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a", HELLO, [(1, chunk("Bye") + STOP)])
    model = Cassette(path, speed=0, fault=Cut(len(HEL + LO + STOP) - 3))
    assert [(await model.complete(ASK)).text for _ in range(2)] == ["Hello", "Bye"]


async def test_a_run_withdraws_a_cut_answer_and_asks_again(hello: Path) -> None:
    model = Cassette(hello, speed=0, fault=Cut(len(HEL)), times=1)
    async with Agent(model=model).start("Hi") as run:
        events = [event async for event in run.events()]
        assert (await run.result()).content == "Hello"
    assert [type(event) for event in events if isinstance(event, Retract | Warn)] == [Warn, Retract]
    with pytest.raises(RunFailed) as caught:
        await Agent(model=f"cassette:{hello}?speed=0&fault=cut:{len(HEL)}").run("Hi")
    assert caught.value.code == "stream_truncated"


async def test_a_stall_is_found_by_the_deadlines(hello: Path) -> None:
    settings: dict[str, Any] = {"speed": 0, "retry": NO_RETRY}
    for at, wait in ((0, "first_content"), (len(HEL), "gap")):
        soon = Deadlines(**{wait: 0.05})
        with pytest.raises(DeadlineExceeded) as caught:
            await Cassette(hello, fault=Stall(at), deadlines=soon, **settings).complete(ASK)
        assert caught.value.wait == wait


async def test_a_reset_before_the_head_is_no_connection_and_later_truncation(hello: Path) -> None:
    with pytest.raises(ConnectionFailed):
        await Cassette(hello, speed=0, fault=Reset(0), retry=NO_RETRY).complete(ASK)
    assert (await Cassette(hello, speed=0, fault=Reset(0), times=1).complete(ASK)).text == "Hello"
    with pytest.raises(StreamTruncated):
        await Cassette(hello, speed=0, fault=Reset(1), retry=NO_RETRY).complete(ASK)


async def test_a_frame_that_comes_twice(hello: Path) -> None:
    turn = await Cassette(hello, speed=0, fault=Duplicate(2)).complete(ASK)
    assert turn.text == "Hellolo"


async def test_leaving_a_stalled_answer_is_prompt(hello: Path) -> None:
    model = Cassette(hello, speed=0, fault=Stall(len(HEL)))
    async with Agent(model=model).start("Hi") as run:
        async for batch in run.batches():
            if any(isinstance(event, Token) for event in batch):
                break
        receipt = await run.cancel("enough")
    assert receipt is not None


# --- wrong use ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("speed=-1", "speed of a cassette"),
        ("speed=fast", "speed of a cassette"),
        ("speed=inf", "speed of a cassette"),
        ("speed=nan", "speed of a cassette"),
        ("fault=melt:1", "no fault 'melt:1'"),
        ("times=two", "number of playings"),
        ("pitch=2", "no setting pitch"),
        ("nothing", "no setting"),
        ("", "no setting"),
    ],
)
def test_a_wrong_setting_is_told(hello: Path, query: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        Cassette(f"{hello}?{query}")


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        resolve_model(f"cassette:{tmp_path}/none")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        Cassette(tmp_path)
    (tmp_path / "x").write_text("hello")
    with pytest.raises(ConfigurationError, match="is no cassette"):
        Cassette(tmp_path / "x")
    with pytest.raises(ConfigurationError, match="CASSETTE_MODEL"):
        resolve_model("cassette", env={})


def test_an_unknown_wire_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a", HELLO, wire="carrier_pigeon")
    with pytest.raises(ConfigurationError, match=r"wire 'carrier_pigeon'.*openai_chat"):
        Cassette(path)
    with pytest.raises(ConfigurationError, match="does not know the wire ''"):
        reader("", "openai")


WIRES = {row.module.split(".")[-2]: row.name for row in ROWS if row.module.endswith(".client")}


@pytest.mark.parametrize("wire", sorted(WIRES))
def test_every_wire_of_the_table_can_be_played(wire: str) -> None:
    for provider in (WIRES[wire], "somebody"):
        decoder = reader(wire, provider).decoder()
        assert decoder.feed(b"") == []
        (last,) = decoder.close()
        assert provider in str(getattr(last, "error", ""))
