"""`headrace watch` and `headrace replay RUN`: another process looks at a run."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.cli.replay import paced
from headrace.events import Complete, Event, RunStart, Token, decode
from headrace.runs.stores.record import RunRecord
from headrace.testing.clock import FakeClock
from tests.cli.kept import Kept
from tests.cli.shell import Served, ended, terminal
from tests.providers.chat_bodies import STOP, chunk, finish
from tests.support.loopback import FIN, STALL, reply, stream

HELLO = stream(chunk("Hel"), chunk("lo."), STOP)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def events_of(lines: str) -> list[Event]:
    return [decode(line) for line in lines.splitlines()]


def text_of(events: list[Event]) -> str:
    return "".join(event.content for event in events if isinstance(event, Token))


def test_a_live_run_is_watched_from_another_process_to_its_end(kept: Kept) -> None:
    go_on = asyncio.Event()
    answer = stream(chunk("Once upon "), go_on, chunk("a time."), STOP)
    with Served(answer) as server, kept.start("run", "x", *server.at) as run:
        assert run.stdout
        assert run.stdout.read(4) == "Once"
        with kept.start("watch", kept.run()) as watch:
            assert watch.stdout
            assert watch.stdout.read(10) == "Once upon "
            server.set(go_on)
            assert watch.stdout.read() == "a time.\n"
            assert watch.wait(20) == 0
        assert run.wait(20) == 0


def test_what_is_watched_is_what_was_shown(kept: Kept) -> None:
    shown = kept.headrace("run", "--json", "What is 123*456?").stdout
    run_id = kept.run()
    assert events_of(kept.headrace("watch", run_id, "--json").stdout) == events_of(shown)
    assert "56088" in kept.headrace("watch", run_id).stdout
    with terminal("watch", run_id, **kept.env) as child:
        child.expect("✓ calculator")
        child.expect("56,?088")
        child.expect("first token")
        assert ended(child) == 0


def test_a_look_goes_on_where_the_last_one_ended(kept: Kept) -> None:
    go_on = asyncio.Event()
    answer = stream(chunk("Once upon "), go_on, chunk("a time."), STOP)
    with Served(answer) as server, kept.start("run", "x", *server.at) as run:
        assert run.stdout
        assert run.stdout.read(4) == "Once"
        run_id = kept.run()
        with kept.start("watch", run_id, "--json") as watch:
            assert watch.stdout
            seen: list[Event] = []
            while not text_of(seen):
                seen.append(decode(watch.stdout.readline()))
            watch.kill()
        server.set(go_on)
        after = seen[-1].seq
        seen += events_of(kept.headrace("watch", run_id, "--after", str(after), "--json").stdout)
        assert run.wait(20) == 0
    assert text_of(seen) == "Once upon a time."
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert isinstance(seen[-1], Complete)


def test_ctrl_c_ends_the_look_and_the_run_goes_on(kept: Kept) -> None:
    go_on = asyncio.Event()
    answer = stream(chunk("Once upon "), go_on, chunk("a time."), STOP)
    with Served(answer) as server, kept.start("run", "x", *server.at) as run:
        assert run.stdout
        assert run.stdout.read(4) == "Once"
        run_id = kept.run()
        with kept.start("watch", run_id) as watch:
            assert watch.stdout
            assert watch.stderr
            assert watch.stdout.read(10) == "Once upon "
            watch.send_signal(signal.SIGINT)
            assert watch.wait(20) == 130
            assert watch.stdout.read() == "\n"
            told = f"headrace: The run goes on; headrace cancel {run_id} ends it.\n"
            assert watch.stderr.read() == told
        server.set(go_on)
        assert run.wait(20) == 0
        assert run.stdout.read() == " upon a time.\n"


def test_a_reader_that_leaves_ends_the_look_and_the_run_goes_on(kept: Kept) -> None:
    go_on = asyncio.Event()
    answer = stream(chunk("Once upon "), go_on, chunk("a time."), STOP)
    with Served(answer) as server, kept.start("run", "x", *server.at) as run:
        assert run.stdout
        assert run.stdout.read(4) == "Once"
        with kept.start("watch", kept.run()) as watch:
            assert watch.stdout
            assert watch.stderr
            assert watch.stdout.read(10) == "Once upon "
            watch.stdout.close()
            assert watch.wait(20) == 141
            assert watch.stderr.read() == ""
        server.set(go_on)
        assert run.wait(20) == 0


def test_the_exit_code_is_the_runs(kept: Kept) -> None:
    with Served(stream(chunk("H"), finish("length"))) as server:
        kept.headrace("run", "x", *server.at, code=3)
    done = kept.headrace("watch", kept.run(), code=3)
    assert done.stdout == "H\n"
    with Served(stream(chunk("H"), end=FIN)) as server:
        kept.headrace("run", "x", *server.at, code=1)
    for look in (["watch", kept.run()], ["replay", kept.run(), "--speed", "0"]):
        done = kept.headrace(*look, code=1)
        assert done.stdout == "H\n"
        assert "ended before the answer did" in done.stderr


def test_behind_the_last_event_there_is_only_the_end(kept: Kept) -> None:
    with Served(HELLO) as server:
        kept.headrace("run", "x", *server.at)
    (run,) = kept.runs()
    done = kept.headrace("watch", run["id"], "--after", str(run["last_seq"]))
    assert (done.stdout, done.stderr) == ("", "")


def test_from_any_event_on_each_screen_shows_the_rest(kept: Kept) -> None:
    kept.headrace("run", "What is 123*456?")
    (run,) = kept.runs()
    whole = events_of(kept.headrace("watch", run["id"], "--json").stdout)
    begun = next(e.seq for e in whole if type(e).__name__ == "ToolStart")
    late = kept.headrace("watch", run["id"], "--after", str(begun), "--json").stdout
    assert events_of(late) == whole[begun:]
    assert "56088" in kept.headrace("watch", run["id"], "--after", str(begun)).stdout
    with terminal("watch", run["id"], "--after", str(begun), **kept.env) as child:
        child.expect("✓ calculator")
        assert ended(child) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run_nobody"], "There is no run 'run_nobody'."),
        (["../etc"], "'../etc' cannot be a run's id."),
        (["a\x1b[31m"], "cannot be a run's id."),
        (["RUN", "--after", "-1"], "A cursor is not negative."),
        (["RUN", "--after", "9" * 30], "past the run's last event"),
        (["RUN", "--after", "x"], "--after"),
    ],
)
def test_what_cannot_be_watched_is_told(kept: Kept, arguments: list[str], says: str) -> None:
    with Served(HELLO) as server:
        kept.headrace("run", "x", *server.at)
    run_id = kept.run()
    named = [run_id if word == "RUN" else word for word in arguments]
    done = kept.headrace("watch", *named, code=2)
    assert done.stdout == ""
    assert says in done.stderr
    assert "\x1b" not in done.stderr


def test_a_run_of_another_program_that_has_no_process_is_told_and_left(kept: Kept) -> None:
    lost = RunRecord("run_1", "clerk", "m", 1.0, host="shop", owner="gone", lease_until=2.0)
    begun = RunStart(1, 1.0, "", "run_1", "clerk", "m")
    kept.keep(lost, begun, Token(2, 1.0, "", "Once", 0))
    with kept.start("watch", "run_1") as watch:
        assert watch.stdout
        assert watch.stderr
        assert watch.stdout.read(4) == "Once"
        assert "No process has this run now." in watch.stderr.readline()
        watch.send_signal(signal.SIGINT)
        assert watch.wait(20) == 130
    assert kept.runs()[0]["status"] == "lost"


def test_replay_shows_the_same_again(kept: Kept) -> None:
    shown = kept.headrace("run", "--json", "What is 123*456?").stdout
    run_id = kept.run()
    again = kept.headrace("replay", run_id, "--json", "--speed", "0").stdout
    assert events_of(again) == events_of(shown)
    plain = kept.headrace("watch", run_id).stdout
    assert kept.headrace("replay", run_id, "--speed", "1000").stdout == plain
    with terminal("replay", run_id, "--speed", "0", **kept.env) as child:
        child.expect("✓ calculator")
        assert ended(child) == 0


def test_replay_asks_no_one_and_stops_on_ctrl_c(kept: Kept) -> None:
    with Served(stream(chunk("Once"), 0.5, chunk(" upon"), STOP)) as server:
        kept.headrace("run", "x", *server.at)
        with kept.start("replay", kept.run(), "--speed", "0.001") as replay:
            assert replay.stdout
            assert replay.stderr
            assert replay.stdout.read(4) == "Once"
            replay.send_signal(signal.SIGINT)
            assert replay.wait(20) == 130
            assert (replay.stdout.read(), replay.stderr.read()) == ("\n", "")
        assert len(server.requests) == 1


def test_a_run_that_is_live_is_replayed_as_far_as_it_is(kept: Kept) -> None:
    with (
        Served(stream(chunk("Once upon"), end=STALL)) as server,
        kept.start("run", "x", *server.at) as run,
    ):
        assert run.stdout
        assert run.stdout.read(4) == "Once"
        done = kept.headrace("replay", kept.run(), "--speed", "0", code=3)
        assert done.stdout == "Once upon\n"
        assert "The run has not ended." in done.stderr
        run.terminate()
        assert run.wait(20) == 143


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run_nobody"], "There is no file and no run run_nobody."),
        (["no/where"], "There is no file and no run no/where."),
        (["RUN", "--speed", "-1"], "The speed is 0"),
        (["RUN", "--speed", "nan"], "The speed is 0"),
        (["RUN", "--fault", "cut:1"], "--fault breaks a cassette"),
    ],
)
def test_what_cannot_be_replayed_is_told(kept: Kept, arguments: list[str], says: str) -> None:
    with Served(reply(400, {"error": {"message": "no"}})) as server:
        kept.headrace("run", "x", *server.at, code=1)
    run_id = kept.run()
    done = kept.headrace("replay", *(run_id if a == "RUN" else a for a in arguments), code=2)
    assert says in done.stderr


def played(ats: list[list[float]], speed: float) -> list[tuple[float, float]]:
    """When each event came, and its `at`, on a clock that starts at 0."""

    async def source() -> AsyncGenerator[list[Event]]:
        for batch in ats:
            yield [Token(1, at, "", "x", 0) for at in batch]

    async def play() -> list[tuple[float, float]]:
        loop = asyncio.get_running_loop()
        return [(loop.time(), e.at) async for batch in paced(source(), speed) for e in batch]

    with asyncio.Runner(loop_factory=FakeClock) as runner:
        return runner.run(play())


GAPS = st.lists(st.lists(st.floats(0, 100), min_size=1, max_size=4), min_size=1, max_size=6)


@given(GAPS, st.sampled_from([0.5, 1.0, 4.0]))
def test_each_event_comes_when_its_time_over_the_speed_has_come(
    gaps: list[list[float]], speed: float
) -> None:
    now, ats = 1000.0, []
    for batch in gaps:
        ats.append([now := now + gap for gap in batch])
    first = ats[0][0]
    came = played(ats, speed)
    assert [at for _, at in came] == [at for batch in ats for at in batch]
    assert [when for when, _ in came] == pytest.approx([(at - first) / speed for _, at in came])


def test_speed_0_does_not_wait() -> None:
    assert played([[1.0, 2.0], [99.0]], 0) == [(0.0, 1.0), (0.0, 2.0), (0.0, 99.0)]
