"""The board: what runs say of themselves, as the overview shows it; by values, with a clock."""

from __future__ import annotations

from typing import Any

import pytest

from headrace import events as e
from headrace.events import Event
from headrace.messages import Message
from headrace.runs.metrics import Meter
from headrace.runs.run import Run, RunInfo
from headrace.server.overview import LiveRun, SlotFigures
from headrace.server.overview_board import MOST_SHOWN, Board, Viewing
from headrace.server.overview_run import Followed
from headrace.testing import check_events
from headrace.usage import Metrics, Receipt, Timing, Usage
from tests.support.drivers import hello

NOW = 1_000_000.0
MODEL = "scripted:one"


class World:
    """A board with a clock and viewers of the test's own."""

    def __init__(self) -> None:
        self.now = NOW
        self.viewing: dict[str, Viewing] = {}
        self.asked = 0
        self.board = Board(self.viewers, lambda: self.now)

    def viewers(self) -> dict[str, Viewing]:
        self.asked += 1
        return self.viewing

    def begin(self, run_id: str = "run_1", model: str = MODEL, user: str = "ann") -> Story:
        return Story(self, run_id, model, user)

    def rows(self, model: str = "") -> list[SlotFigures]:
        return [row for row in self.board.overview(0.0).series if row.model == model]

    def row(self, model: str = "") -> SlotFigures:
        (found,) = self.rows(model)
        return found


class Story:
    """A run that does what the test says; its clock is the world's."""

    def __init__(self, world: World, run_id: str, model: str, user: str) -> None:
        self.world = world
        self.run = Run(hello, RunInfo("guide", model, "trip"), id=run_id)
        self.run.user = user
        self.run.writer.meter = Meter(world.now)
        self.followed: Followed = world.board.watch(self.run)
        self.tell(e.RunStart, run_id, "guide", model)

    def tell(self, kind: type[Event], *fields: Any, agent: str = "") -> None:
        self.followed.event(kind(1, self.world.now, agent, *fields))

    def step(self, agent: str = "", model: str = MODEL) -> None:
        self.tell(e.StepStart, 1, model, agent=agent)

    def step_end(self, agent: str = "") -> None:
        nothing = Message("assistant")
        self.tell(e.StepEnd, 1, "stop", Usage(), Timing(1.0), nothing, agent=agent)

    def says(self, count: int = 1, agent: str = "") -> None:
        """Pieces of the answer, in one batch."""
        if not agent:
            self.run.writer.meter.tokens(count, count, self.world.now)
        self.followed.content(agent, count, self.world.now)

    def thinks(self, count: int = 1) -> None:
        self.followed.content("", count, self.world.now)

    def ends(self) -> None:
        self.tell(e.Complete, "stop", Usage(), Metrics())

    def fails(self, code: str) -> None:
        self.tell(e.Error, code, "It broke.", True, Metrics())

    @property
    def row(self) -> LiveRun:
        (found,) = (run for run in self.world.board.overview(0.0).runs if run.run_id == self.run.id)
        return found


def test_a_live_run_tells_who_it_is() -> None:
    story = World().begin()
    row = story.row
    assert (row.agent, row.model, row.provider) == ("guide", MODEL, "scripted")
    assert (row.user, row.session, row.started_at) == ("ann", "trip", NOW)
    assert (row.tokens, row.tokens_per_second, row.steps) == (0, 0.0, 0)
    assert (row.viewers, row.lag) == (0, 0)


def test_a_run_tells_what_it_does() -> None:
    story = World().begin()
    states = [story.row.state]

    def then(tell: Any, *arguments: Any) -> None:
        tell(*arguments)
        states.append(story.row.state)

    then(story.step)
    then(story.thinks)
    then(story.says)
    then(story.thinks)  # the arguments of a call
    then(story.step_end)
    then(story.tell, e.ToolStart, "c1", "search", {})
    then(story.tell, e.ToolStart, "c2", "fetch", {})
    then(story.tell, e.ToolEnd, "c2", "fetch", "", 1.0)
    then(story.tell, e.ApprovalNeeded, "c3", "pay", {})
    then(story.tell, e.Approval, "c3", True)
    then(story.tell, e.ToolEnd, "c1", "search", "", 1.0)
    then(story.tell, e.AgentStart, "helper", "Look.")
    then(story.says, 3, "helper")
    then(story.tell, e.AgentEnd, "helper", "Done.", 1.0)
    then(story.step)
    assert states == [
        "waiting",
        "waiting",
        "thinking",
        "answering",
        "thinking",
        "waiting",
        "tool:search",
        "tool:fetch",
        "tool:search",
        "approval:pay",
        "tool:search",
        "waiting",
        "agent:helper",
        "agent:helper",
        "waiting",
        "waiting",
    ]
    assert (story.row.steps, story.row.tokens) == (2, 6)


@pytest.mark.parametrize("lost", [False, True])
def test_a_run_that_is_over_or_elsewhere_is_not_live(lost: bool) -> None:
    world = World()
    story = world.begin()
    story.followed.lost() if lost else story.ends()
    told = world.board.overview(0.0)
    assert (told.runs, told.totals.live) == ([], 0)
    assert told.series[0].runs == ({} if lost else {"complete": 1})
    assert told.series[0].started == 1


def test_ends_count_by_status_and_errors_by_code() -> None:
    world = World()
    world.begin().ends()
    for code in ("overloaded", "overloaded", "stream_truncated"):
        world.begin().fails(code)
    world.begin().tell(e.Cancelled, "stop", Usage(), Metrics(), Receipt())
    row = world.row(MODEL)
    assert row.runs == {"complete": 1, "error": 3, "cancelled": 1}
    assert row.errors == {"overloaded": 2, "stream_truncated": 1}
    totals = world.board.overview(0.0).totals
    assert (totals.runs, totals.errors) == (row.runs, row.errors)
    assert totals.errors_per_minute == 3
    world.now += 61.0
    totals = world.board.overview(0.0).totals
    assert (totals.errors_per_minute, totals.errors) == (0, row.errors)
    world.now += totals.seconds
    assert world.board.overview(0.0).totals.errors == {}


def test_retries_and_withdrawals_count_and_other_warnings_do_not() -> None:
    story = World().begin()
    story.step()
    for code in ("retry", "retry", "fallback", "reconnect", "slow", "gap"):
        story.tell(e.Warn, code, "…")
    story.tell(e.Retract, 1, "stream_truncated")
    row = story.world.row(MODEL)
    assert row.retries == {"retry": 2, "fallback": 1, "reconnect": 1}
    assert row.retracts == {"stream_truncated": 1}
    assert row.recovered == 0


def test_a_run_that_is_taken_up_goes_on_with_its_count() -> None:
    world = World()
    run = Run(hello, RunInfo("guide", MODEL), id="run_1")
    followed = world.board.watch(run)  # before its account is restored
    run.writer.restore([e.RunStart(1, NOW - 60.0, "", "run_1", "guide", MODEL)])
    run.writer.meter.tokens(5, 5, NOW - 50.0)
    followed.event(e.Warn(7, NOW, "", "recovered", "…"))
    run.writer.meter.tokens(1, 1, NOW)
    followed.content("", 1, NOW)
    (row,) = world.board.overview(0.0).runs
    assert (row.started_at, row.tokens, row.state) == (NOW - 60.0, 6, "answering")
    assert (world.row(MODEL).recovered, world.row(MODEL).started) == (1, 0)
    assert world.row(MODEL).ttft_ms.count == 0  # its first word was long ago


def test_the_time_to_the_first_token_is_from_the_begin_to_the_answer() -> None:
    world = World()
    story = world.begin()
    story.step()
    world.now += 0.2
    story.thinks()
    world.now += 0.3
    story.says()
    world.now += 0.1
    story.says()
    told = world.row(MODEL).ttft_ms
    assert told.p50 == pytest.approx(500, rel=0.05)
    assert told.count == 1


def test_gaps_are_those_within_a_model_call() -> None:
    world = World()
    story = world.begin()
    story.step()
    story.says()
    world.now += 0.1
    story.thinks()
    world.now += 0.1
    story.says(3)  # one read: two of them have no gap
    story.step_end()
    world.now += 5.0  # a tool, and the next answer's first piece
    story.step()
    story.says()
    told = world.row(MODEL).gap_ms
    assert told.count == 4
    assert told.p50 == 0.0
    assert told.p99 == pytest.approx(100, rel=0.05)


def test_gaps_of_agents_that_speak_at_once_are_apart() -> None:
    world = World()
    story = world.begin()
    story.step("one", "a:one")
    story.step("two", "b:two")
    for _ in range(11):
        story.says(1, "one")
        world.now += 0.05
        story.says(1, "two")
        world.now += 0.05
    for model in ("a:one", "b:two"):
        told = world.row(model)
        assert (told.tokens, told.gap_ms.count) == (11, 10)
        assert told.gap_ms.p50 == pytest.approx(100, rel=0.05)
    assert world.row().tokens == 22


def test_the_server_s_pace_is_that_of_its_live_runs() -> None:
    world = World()
    one, two = world.begin("run_1"), world.begin("run_2")
    for _ in range(100):
        one.says(2)
        two.says(1)
        world.now += 0.1
    told = world.board.overview(0.0)
    assert {run.run_id: run.tokens_per_second for run in told.runs} == {
        "run_1": pytest.approx(20, rel=0.05),
        "run_2": pytest.approx(10, rel=0.05),
    }
    assert told.totals.tokens_per_second == pytest.approx(30, rel=0.05)


# Viewers ---------------------------------------------------------------------------------------


def written(story: Story, events: int) -> None:
    """Let the run's log have so many events that viewers may see."""
    while story.run.last_seq < events:
        story.run.writer.put(e.Thought, "", "Hm.")


def test_viewers_and_how_far_the_slowest_is_behind() -> None:
    world = World()
    one, two, quiet = world.begin("run_1"), world.begin("run_2", "b:two"), world.begin("run_3")
    written(one, 100)
    written(two, 10)
    world.viewing = {
        "run_1": Viewing(3, 40),
        "run_2": Viewing(1, 10),
        "run_9": Viewing(5, 1),  # of a run that is over: no one is behind
    }
    told = world.board.overview(0.0)
    assert {run.run_id: (run.viewers, run.lag) for run in told.runs} == {
        "run_1": (3, 60),
        "run_2": (1, 0),
        "run_3": (0, 0),
    }
    assert (told.totals.viewers, told.totals.lag) == (9, 60)
    by_model = {row.model: (row.viewers, row.lag) for row in told.series}
    assert by_model == {"": (4, 60), MODEL: (3, 60), "b:two": (1, 0)}
    assert quiet.row.viewers == 0


def test_who_watches_is_asked_once_a_slot_while_no_one_looks() -> None:
    world = World()
    story = world.begin()
    story.step()
    world.viewing = {"run_1": Viewing(2, 0)}
    for _ in range(1000):
        story.says()
        story.tell(e.Warn, "slow", "…")
    assert world.asked == 0
    world.now += 10.0
    for _ in range(1000):
        story.says()
    assert world.asked == 1
    assert [row.viewers for row in world.board.ring.rows(0.0) if not row.model] == [0, 2]


def test_an_event_costs_the_same_however_many_runs_there_are() -> None:
    world = World()
    for i in range(5000):
        world.begin(f"run_{i}")
    slots = len(world.board.ring._slots)
    story = world.begin("run_x")
    for _ in range(100):
        story.step()
        story.says(100)
        story.tell(e.ToolStart, "c1", "search", {})
        story.tell(e.ToolEnd, "c1", "search", "", 1.0)
        story.step_end()
    assert world.asked == 0  # nothing was gone through
    assert len(world.board.ring._slots) == slots == 1
    assert not story.followed._open
    assert not story.followed._steps


# The whole -------------------------------------------------------------------------------------


def test_the_live_runs_that_are_shown_are_bounded_and_the_last_begun() -> None:
    world = World()
    for i in range(MOST_SHOWN + 50):
        world.begin(f"run_{i}")
        world.now += 1.0
    told = world.board.overview(0.0)
    assert len(told.runs) == MOST_SHOWN == 200
    assert told.totals.live == MOST_SHOWN + 50
    assert [told.runs[0].run_id, told.runs[-1].run_id] == ["run_249", "run_50"]


def test_an_overview_has_the_slots_that_are_asked_for() -> None:
    world = World()
    for _ in range(4):
        world.begin().ends()
        world.now += 10.0
    assert [row.at - NOW for row in world.rows()] == [0, 10, 20, 30]
    told = world.board.whole(30.0)
    assert (told.since - NOW, told.window_seconds, told.at - NOW) == (20, 30.0, 40.0)
    assert [row.at - NOW for row in told.series if not row.model] == [20, 30]
    assert world.board.whole().since == NOW + 50.0 - 3600.0
    assert len(world.board.whole(10.0).series) == 0


async def test_a_real_run_tells_all_this_by_itself() -> None:
    world = World()
    run = Run(hello, RunInfo("guide", MODEL), id="run_1")
    run.observe([world.board.watch])
    world.now = run.writer.meter.started
    check_events([event async for event in run.events()])
    row = world.board.ring.rows(0.0)[0]
    assert (row.started, row.runs) == (1, {"complete": 1})
    assert world.board.overview(0.0).runs == []
