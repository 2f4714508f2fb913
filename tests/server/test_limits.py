"""How much one user may begin; what is counted, and when a place is free again."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from headrace import Runtime
from headrace.errors import RequestRefused, StoreUnavailable
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.record import RunRecord
from headrace.server import Settings, app
from headrace.server.limits import MINUTE, Limits
from headrace.testing import Gate
from tests.server.asking import ALICE, BOB, TOKENS, Client, asking, speaker, waiter
from tests.server.serving import running, serving, until


class World:
    """Limits over runs and a clock of its own."""

    def __init__(self, live_runs: int = 10, new_runs: int = 60) -> None:
        self.live: set[str] = set()
        self.now = 1000.0
        self.made = 0
        settings = Settings(live_runs=live_runs, new_runs=new_runs)
        self.limits = Limits(settings, lambda: self.live, lambda: self.now)

    def begin(self, user: str = "", ends: bool = True) -> str:
        with self.limits.admit(user) as admission:
            self.made += 1
            admission.run_id = f"run_{self.made}"
            if not ends:
                self.live.add(admission.run_id)
        return admission.run_id

    def refusal(self, user: str = "") -> RequestRefused:
        with pytest.raises(RequestRefused) as caught, self.limits.admit(user):
            raise AssertionError("it was admitted")
        assert caught.value.status == 429
        assert caught.value.hint
        return caught.value


def test_the_defaults_are_10_live_and_60_a_minute() -> None:
    assert (Settings().live_runs, Settings().new_runs) == (10, 60)


def test_10_live_runs_and_no_more() -> None:
    world = World()
    first, *_ = [world.begin(ends=False) for _ in range(10)]
    assert world.refusal().code == "too_many_live_runs"
    world.begin("bob", ends=False)
    world.live.discard(first)
    world.begin(ends=False)
    assert world.refusal().code == "too_many_live_runs"


def test_60_new_runs_in_any_minute_and_no_more() -> None:
    world = World()
    for _ in range(30):
        world.begin()
    world.now += 20.0
    for _ in range(30):
        world.begin()
    error = world.refusal()
    assert (error.code, error.retry_after) == ("too_many_new_runs", 40.0)
    assert "40 s" in error.hint
    world.begin("bob")
    world.now += 40.0
    for _ in range(30):
        world.begin()
    assert world.refusal().retry_after == 20.0


@pytest.mark.parametrize("passed", [0.0, 0.4, 17.3, 59.2, 59.999])
def test_who_waits_as_long_as_told_is_admitted(passed: float) -> None:
    world = World(new_runs=3)
    world.begin()
    world.now += 0.1
    world.begin()
    world.begin()
    world.now += passed
    while world.now < 1000.0 + MINUTE:
        wait = world.refusal().retry_after
        assert wait is not None
        world.now += math.ceil(wait)
    world.begin()


def test_a_place_without_a_run_is_free_again() -> None:
    world = World(live_runs=1, new_runs=2)
    for _ in range(5):
        with pytest.raises(StoreUnavailable), world.limits.admit(""):
            raise StoreUnavailable("It is full.")
        with world.limits.admit(""):
            pass  # the run of an idempotency key: it was there before
    world.begin()
    world.begin()
    assert world.refusal().code == "too_many_new_runs"


def test_a_place_that_is_being_filled_counts() -> None:
    world = World(live_runs=2, new_runs=3)
    with world.limits.admit(""), world.limits.admit(""):
        assert world.refusal().code == "too_many_live_runs"
    world.begin()


def test_what_it_remembers_is_bounded() -> None:
    world = World(live_runs=10, new_runs=60)
    for _ in range(50):
        for user in ("alice", "bob"):
            for _ in range(60):
                world.begin(user)
        world.now += MINUTE
    kept = vars(world.limits)
    for user in ("alice", "bob"):
        assert len(kept["_begun"][user]) <= 60
        assert len(kept["_runs"][user]) <= 60
        assert kept["_pending"][user] == 0
    assert all(set(kept[name]) == {"alice", "bob"} for name in ("_begun", "_runs", "_pending"))


# Over HTTP ------------------------------------------------------------------------------------


async def begun(ask: Client, count: int, token: str = "") -> list[int]:
    """The answers' statuses of so many submits at once."""
    tasks = [ask("POST", "/v1/runs", {"input": "x"}, token=token) for _ in range(count)]
    return sorted(answer.status for answer in await asyncio.gather(*tasks))


async def test_submits_at_once_do_not_slip_past() -> None:
    gate = Gate()
    async with (
        serving([waiter(gate)], live_runs=3, tokens=TOKENS) as server,
        asking(server.url) as ask,
    ):
        assert await begun(ask, 12, ALICE) == [201] * 3 + [429] * 9
        assert await begun(ask, 2, BOB) == [201] * 2
        assert len(server.runtime.live) == 5
        refused = await ask("POST", "/v1/runs", {"input": "x"}, token=ALICE)
        assert (refused.status, refused.code) == (429, "too_many_live_runs")
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json["hint"]
        [run, *_] = (await ask("GET", "/v1/runs", token=ALICE)).json["runs"]
        await ask.end(run["run_id"], token=ALICE)
        assert await begun(ask, 2, ALICE) == [201, 429]
        gate.open()
        await until(lambda: not server.runtime.live)
        assert await begun(ask, 3, ALICE) == [201] * 3


async def test_every_way_to_begin_is_counted() -> None:
    ways: list[tuple[str, str, Any]] = [
        ("POST", "/v1/runs", {"input": "x"}),
        ("POST", "/chat/stream", {"message": "x"}),
        ("POST", "/chat/sse", {"message": "x"}),
        ("GET", "/api/chat/stream?message=x", None),
        ("POST", "/api/chat/stream", {"message": "x"}),
    ]
    tokens = {f"user{number}": f"token-0123456789-{number}" for number in range(len(ways))}
    async with (
        serving([speaker()], new_runs=2, tokens=tokens) as server,
        asking(server.url) as ask,
    ):
        for (method, path, body), token in zip(ways, tokens.values(), strict=True):
            for _ in range(2):
                assert (await ask(method, path, body, token=token)).status in (200, 201)
            refused = await ask(method, path, body, token=token)
            assert (refused.status, refused.code) == (429, "too_many_new_runs")
            assert 50 <= int(refused.headers["retry-after"]) <= 60


class FullStore(MemoryStore):
    """Takes no run while it is full."""

    full = False

    async def create(self, record: RunRecord) -> RunRecord:
        if self.full:
            raise StoreUnavailable("The store is full.")
        return await super().create(record)


async def test_a_submit_that_failed_takes_no_place() -> None:
    store = FullStore()
    async with (
        serving([speaker()], store=store, live_runs=1, new_runs=2) as server,
        asking(server.url) as ask,
    ):
        store.full = True
        for body in ({"input": "x"}, {"input": "x", "session": "\t"}, {"input": " "}):
            for _ in range(3):
                answer = await ask("POST", "/v1/runs", body)
                assert answer.status == (503 if body == {"input": "x"} else 400)
        assert int((await ask("POST", "/v1/runs", {"input": "x"})).headers["retry-after"]) == 5
        store.full = False
        run_id = await ask.start(idempotency_key="k")
        await until(lambda: not server.runtime.live)
        for _ in range(5):  # the same run, and not a new one
            again = await ask("POST", "/v1/runs", {"input": "Go", "idempotency_key": "k"})
            assert again.json == {
                "run_id": run_id,
                "created": False,
                "events": f"/v1/runs/{run_id}/events",
            }
        await ask.start()
        await until(lambda: not server.runtime.live)
        assert await begun(ask, 1) == [429]


async def test_the_server_as_a_whole_takes_so_many() -> None:
    gate = Gate()
    agent = waiter(gate)
    runtime = Runtime(agents=[agent], max_live=1, grace=0.1)
    async with running(app([agent], runtime=runtime, grace=0.1)) as url, asking(url) as ask:
        await ask.start()
        refused = await ask("POST", "/v1/runs", {"input": "x"})
        assert (refused.status, refused.code) == (429, "too_many_runs")
        assert "retry-after" in refused.headers
