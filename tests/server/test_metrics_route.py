"""``/metrics``: for whom, and what it says of a server with runs and viewers."""

from __future__ import annotations

import asyncio

from headrace.testing import Gate
from tests.server.asking import ALICE, BOB, TOKENS, asking, speaker, waiter
from tests.server.serving import no_viewers, serving, until
from tests.telemetry.test_exposition import of, read


async def test_anyone_may_see_it_where_there_are_no_tokens() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        run = await ask.start()
        await ask("GET", f"/v1/runs/{run}/events")
        answer = await ask("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    found = read(answer.body.decode())
    labels = {"agent": "bot", "provider": "scripted", "model": "scripted"}
    assert found["headrace_runs_total"] == {of(**labels, status="complete", reason="stop"): 1}
    assert found["headrace_viewers"] == {of(): 0}
    assert found["headrace_viewer_lag_events"] == {of(): 0}


async def test_with_tokens_only_operators_see_it() -> None:
    async with (
        serving([speaker()], tokens=TOKENS, operators=("bob",)) as server,
        asking(server.url) as ask,
    ):
        assert (await ask("GET", "/metrics")).status == 401
        refused = await ask("GET", "/metrics", token=ALICE)
        assert (refused.status, refused.code) == (403, "operators_only")
        assert (await ask("GET", "/metrics", token=BOB)).status == 200


async def test_without_operators_no_user_sees_it() -> None:
    async with serving([speaker()], tokens=TOKENS) as server, asking(server.url) as ask:
        assert (await ask("GET", "/metrics", token=ALICE)).status == 403


async def test_live_runs_and_their_viewers() -> None:
    gate = Gate()
    async with serving([waiter(gate)]) as server, asking(server.url) as ask:
        run = await ask.start()
        await gate.reached.wait()
        watching = asyncio.ensure_future(ask("GET", f"/v1/runs/{run}/events"))
        await until(lambda: server.app.service.watchers)
        found = read((await ask("GET", "/metrics")).body.decode())
        assert found["headrace_runs_live"] == {of(agent="bot"): 1}
        assert found["headrace_viewers"] == {of(): 1}
        gate.open()
        await watching
        await no_viewers(server)
        found = read((await ask("GET", "/metrics")).body.decode())
        assert found["headrace_runs_live"] == {of(agent="bot"): 0}
        assert found["headrace_viewers"] == {of(): 0}


class Behind:
    """A viewer that has seen so much."""

    def __init__(self, after: int) -> None:
        self.after = after

    def stop(self) -> None:
        """Nothing to stop."""


async def test_the_lag_is_that_of_the_slowest_viewer_of_a_live_run() -> None:
    gate = Gate()
    async with serving([waiter(gate)]) as server, asking(server.url) as ask:
        run = await ask.start()
        await gate.reached.wait()
        live = server.app.service.figures.runs[run]
        await until(lambda: live.last_seq >= 3)
        slow, fast = Behind(1), Behind(live.last_seq)
        for viewer in (slow, fast):
            server.app.service.watch(run, viewer)
        found = read((await ask("GET", "/metrics")).body.decode())
        assert found["headrace_viewer_lag_events"] == {of(): live.last_seq - 1}
        gate.open()
        await until(lambda: not server.runtime.live)
        found = read((await ask("GET", "/metrics")).body.decode())
        assert found["headrace_viewer_lag_events"] == {of(): 0}
        for viewer in (slow, fast):
            server.app.service.unwatch(run, viewer)


async def test_two_servers_in_one_process_count_for_themselves() -> None:
    async with serving([speaker()]) as one, serving([speaker()]) as other, asking(one.url) as ask:
        run = await ask.start()
        await ask("GET", f"/v1/runs/{run}/events")
        assert "headrace_runs_total{" in one.app.service.figures.text()
        assert "headrace_runs_total{" not in other.app.service.figures.text()
