"""Many requests and runs over one socket: what is asked is done, and each run comes whole."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest

from headrace import Agent
from headrace import events as e
from headrace.events import Event
from headrace.runs.fold import fold
from headrace.runs.policies import MERGE_OVER
from headrace.testing import Gate, ScriptedModel, Step, check_events
from tests.promises.story import NEWS, held, researcher
from tests.server.asking import ALICE, BOB, MISSING, TOKENS, speaker, waiter
from tests.server.reading import asked, reading, started
from tests.server.serving import no_viewers, serving, until
from tests.server.socket_client import socket
from tests.server.test_cuts import Chatty
from tests.support.loop import leftovers


async def test_a_run_is_started_and_shown_to_its_end() -> None:
    async with serving([researcher()]) as server:
        async with socket(server.url) as client:
            told = await client.answer("start", "a", input="News?")
            assert told == {
                "op": "started",
                "ref": "a",
                "run_id": told["run_id"],
                "created": True,
            }
            ended = await client.until("ended")
            assert ended == {"op": "ended", "ref": "a", "run_id": told["run_id"]}
        check_events(client.events["a"])
        state = fold(client.events["a"])
        assert (state.text, state.run_id) == (NEWS, told["run_id"])
        assert state == await server.runtime.snapshot(told["run_id"])
    assert leftovers() == []


async def test_the_events_are_those_of_the_native_stream_to_the_byte() -> None:
    async with serving([researcher()]) as server:
        run_id = await started(server.url)
        async with reading(f"{server.url}/v1/runs/{run_id}/events") as reader:
            native = [frame.data async for frame in reader.frames()]
        async with socket(server.url) as client:
            await client.ask("subscribe", 'quo"te\\無', run_id=run_id)
            text = await client.socket.recv()
        assert isinstance(text, str)
        assert text.endswith(f'"events":[{",".join(native)}]}}')
        assert json.loads(text)["ref"] == 'quo"te\\無'


async def test_three_runs_go_on_at_once_over_one_socket() -> None:
    async with serving([Agent("bot", Chatty(120))]) as server, socket(server.url) as client:
        order: list[str] = []
        for ref in "abc":
            await client.ask("start", ref, input=f"Go {ref}")
        while len({told["ref"] for told in client.told if told["op"] == "ended"}) < 3:
            message = await client.next()
            if message["op"] == "events":
                order.append(message["ref"])
        switches = sum(one != other for one, other in pairwise(order))
        assert switches > 30
        for told in client.told:
            if told["op"] == "started":
                check_events(client.events[told["ref"]])
                state = await server.runtime.snapshot(told["run_id"])
                assert fold(client.events[told["ref"]]) == state


async def test_a_run_may_be_started_without_being_shown() -> None:
    async with serving([speaker()]) as server, socket(server.url) as client:
        told = await client.answer("start", "a", input="Hi", subscribe=False)
        await server.runtime.wait(told["run_id"])
        assert (await client.answer("ping", "p")) == {"op": "pong", "ref": "p"}
        assert client.events == {}


async def test_a_start_takes_what_the_route_takes() -> None:
    async with serving([speaker(), speaker(name="other")]) as server, socket(server.url) as client:
        wanted = {
            "input": [
                {"role": "user", "content": "One?"},
                {"role": "assistant", "content": "One."},
                {"role": "user", "content": [{"type": "text", "text": "Two?"}]},
            ],
            "agent": "other",
            "session": "talk",
            "idempotency_key": "k",
            "subscribe": False,
        }
        first = await client.answer("start", "a", **wanted)
        again = await client.answer("start", "b", **wanted)
        assert (first["created"], again["created"]) == (True, False)
        assert again["run_id"] == first["run_id"]
        record = await server.runtime.store.run(first["run_id"])
        assert (record.agent, record.session) == ("other", "talk")


@pytest.mark.parametrize(
    ("op", "fields", "code"),
    [
        ("start", {"input": " "}, "invalid_request"),
        ("start", {"input": []}, "invalid_request"),
        ("start", {"input": "x", "agent": "nobody"}, "agent_unknown"),
        ("start", {"input": "x", "model": "gpt-5"}, "model_not_allowed"),
        ("start", {"input": "x", "session": "\n"}, "invalid_id"),
        ("start", {"input": "x", "api_key": "sk"}, "invalid_request"),
        ("start", {"input": "x", "base_url": "http://x"}, "invalid_request"),
        ("start", {"input": [{"role": "user", "content": [{"type": "image"}]}]}, "invalid_request"),
        ("subscribe", {"run_id": MISSING}, "run_not_found"),
        ("subscribe", {"run_id": "../../etc"}, "run_not_found"),
        ("subscribe", {"run_id": MISSING, "after": -1}, "invalid_request"),
        ("subscribe", {"run_id": MISSING, "after": 10**30}, "invalid_request"),
        ("subscribe", {"run_id": MISSING, "policy": "block"}, "invalid_request"),
        ("cancel", {"run_id": MISSING}, "run_not_found"),
        ("input", {"run_id": MISSING, "content": "x"}, "run_not_found"),
        ("approve", {"run_id": MISSING, "call_id": "c", "approved": True}, "run_not_found"),
        ("approve", {"run_id": MISSING, "call_id": "c", "approved": "yes"}, "invalid_request"),
        ("unsubscribe", {"run_id": MISSING}, "invalid_request"),
        ("explode", {}, "invalid_request"),
    ],
)
async def test_what_cannot_be_done_is_an_error(
    op: str, fields: dict[str, object], code: str
) -> None:
    async with serving([speaker()]) as server, socket(server.url) as client:
        told = await client.answer(op, "mine", **fields)
        assert set(told) == {"op", "ref", "code", "message", "hint"}
        assert (told["op"], told["ref"], told["code"]) == ("error", "mine", code)
        assert told["message"]
        assert (await client.answer("ping")) == {"op": "pong"}


async def test_a_subscription_begins_behind_any_event() -> None:
    async with serving([researcher()]) as server, socket(server.url) as client:
        run_id = (await client.answer("start", "a", input="Go"))["run_id"]
        await client.until("ended")
        whole = client.events["a"]
        for after in range(len(whole) + 1):
            await client.ask("subscribe", "b", run_id=run_id, after=after)
            await client.until("ended", "b")
            assert client.events.pop("b", []) == whole[after:]
        told = await client.answer("subscribe", "b", run_id=run_id, after=len(whole) + 1)
        assert (told["op"], told["code"]) == ("error", "invalid_cursor")


async def test_a_live_run_is_seen_by_everyone_as_it_goes() -> None:
    model, gate = held("One ")
    async with serving([Agent("bot", model)]) as server, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(socket(server.url)) for _ in range(3)]
        run_id = await started(server.url)
        for client in clients:
            await client.ask("subscribe", "s", run_id=run_id)
            await client.until_text("s", "One ")
        gate.open()
        for client in clients:
            await client.until("ended")
            assert fold(client.events["s"]).text == "One  more"


async def test_cancel_gives_the_end_which_the_subscription_shows_too() -> None:
    model, _ = held("One ")
    async with serving([Agent("bot", model)]) as server, socket(server.url) as client:
        run_id = (await client.answer("start", "a", input="Go"))["run_id"]
        await client.until_text("a", "One ")
        await client.ask("cancel", "c", run_id=run_id, reason="enough")
        while not {told["op"] for told in client.told} >= {"done", "ended"}:
            await client.next()
        [done] = [told for told in client.told if told["op"] == "done"]
        end = e.decode(json.dumps(done["event"]))
        assert isinstance(end, e.Cancelled)
        assert (end.reason, done["ref"], done["run_id"]) == ("enough", "c", run_id)
        assert client.events["a"][-1] == end
        again = await client.answer("cancel", "c", run_id=run_id, reason="other")
        assert again == done


async def test_a_cancel_does_not_wait_for_what_was_asked_before() -> None:
    model, _ = held("One ")
    async with serving([Agent("bot", model)]) as server, socket(server.url) as client:
        run_id = (await client.answer("start", "a", input="Go", session="talk"))["run_id"]
        await client.until_text("a", "One ")
        for number in range(10):
            await client.ask("input", str(number), run_id=run_id, content="more")
        await client.ask("cancel", "c", run_id=run_id)
        assert (await client.until("done", "c"))["event"]["type"] == "cancelled"


async def test_what_is_said_into_a_run_comes_in_the_order_it_was_said() -> None:
    model, gate = held("One ")
    async with serving([Agent("bot", model)]) as server, socket(server.url) as client:
        run_id = (await client.answer("start", "a", input="Go"))["run_id"]
        await client.until_text("a", "One ")
        said = [f"and {number}" for number in range(20)]
        for number, content in enumerate(said):
            await client.ask("input", str(number), run_id=run_id, content=content)
        await client.until("done", "19")
        state = await server.runtime.snapshot(run_id)
        heard = [event for event in client.events["a"] if isinstance(event, e.Input)]
        assert [event.content for event in heard] == said
        assert state.status == "running"
        empty = await client.answer("input", "x", run_id=run_id, content=" ")
        assert (empty["op"], empty["code"]) == ("error", "invalid_request")
        gate.open()
        await client.until("ended")
        late = await client.answer("input", "x", run_id=run_id, content="late")
        assert (late["op"], late["code"]) == ("error", "run_ended")


async def test_a_decision_that_no_call_waits_for_is_told() -> None:
    async with serving([speaker()]) as server, socket(server.url) as client:
        run_id = await started(server.url)
        told = await client.answer("approve", "x", run_id=run_id, call_id="c1", approved=True)
        assert (told["op"], told["code"]) == ("error", "no_approval_needed")


async def test_nothing_comes_after_unsubscribing_and_the_ref_is_free_again() -> None:
    async with serving([Agent("bot", Chatty(400))]) as server, socket(server.url) as client:
        run_id = (await client.answer("start", "a", input="Go"))["run_id"]
        taken = await client.answer("subscribe", "a", run_id=run_id)
        assert (taken["op"], taken["code"]) == ("error", "ref_in_use")
        await client.until("events", "a")
        assert await client.answer("unsubscribe", "a") == {"op": "done", "ref": "a"}
        seen = client.events.pop("a")
        await client.answer("ping")
        assert client.events == {}
        await client.ask("subscribe", "a", run_id=run_id, after=seen[-1].seq)
        await client.until("ended")
        whole = seen + client.events["a"]
        check_events(whole)
        assert fold(whole) == await server.runtime.snapshot(run_id)
        assert await client.answer("unsubscribe", "a") == {"op": "done", "ref": "a"}


async def test_leaving_does_not_touch_the_runs() -> None:
    gate = Gate()
    async with serving([waiter(gate)]) as server:
        ids = []
        for way in ("close", "abort"):
            async with socket(server.url) as client:
                for ref in "ab":
                    ids.append((await client.answer("start", ref, input="Go"))["run_id"])
                await gate.reached.wait()
                if way == "abort":
                    client.abort()
            await no_viewers(server)
        assert sorted(server.runtime.live) == sorted(ids)
        gate.open()
        for run_id in ids:
            assert isinstance(await server.runtime.wait(run_id), e.Complete)
    assert leftovers() == []


async def test_what_was_asked_before_leaving_is_done() -> None:
    model, _ = held("One ")
    async with serving([Agent("bot", model), speaker(name="two")]) as server:
        async with socket(server.url) as client:
            run_id = (await client.answer("start", "a", input="Go"))["run_id"]
            await client.until_text("a", "One ")
            await client.ask("input", "i", run_id=run_id, content="and?")
            await client.ask("cancel", "c", run_id=run_id)
            await client.ask("start", "s", input="Go", agent="two", idempotency_key="k")
        end = await server.runtime.wait(run_id)
        assert isinstance(end, e.Cancelled)
        await no_viewers(server)
        records = await server.runtime.store.runs(user="")
        assert [record.agent for record in records] == ["two", "bot"]


async def test_another_users_run_is_not_found() -> None:
    async with serving([speaker()], tokens=TOKENS) as server:
        async with socket(server.url, ALICE) as alice, socket(server.url, BOB) as bob:
            run_id = (await alice.answer("start", "a", input="Go"))["run_id"]
            requests: list[tuple[str, dict[str, object]]] = [
                ("subscribe", {}),
                ("cancel", {}),
                ("input", {"content": "x"}),
                ("approve", {"call_id": "c", "approved": True}),
            ]
            for op, fields in requests:
                his = await bob.answer(op, "x", run_id=run_id, **fields)
                none = await bob.answer(op, "x", run_id=MISSING, **fields)
                assert his["code"] == "run_not_found"
                assert json.dumps(his).replace(run_id, MISSING) == json.dumps(none)
            await alice.until("ended")


async def test_a_ticket_opens_one_socket() -> None:
    async with serving([speaker()], tokens=TOKENS) as server:
        _, told = await asked(
            f"{server.url}/v1/tickets", method="POST", headers={"Authorization": f"Bearer {ALICE}"}
        )
        async with socket(server.url, query=f"?ticket={told['ticket']}") as client:
            run_id = (await client.answer("start", "a", input="Go"))["run_id"]
        assert (await server.runtime.store.run(run_id)).user == "alice"


async def test_a_viewer_that_drops_is_told_of_the_gap_and_hurts_no_other() -> None:
    gate = Gate()
    text = ["x" * 1000] * (2 * MERGE_OVER // 1000)
    agent = Agent("bot", ScriptedModel([Step(text=["One ", gate, *text])]))
    async with serving([agent]) as server, socket(server.url) as client:
        run_id = (await client.answer("start", "a", input="Go"))["run_id"]
        await client.until_text("a", "One ")
        await client.ask("subscribe", "drop", run_id=run_id, policy="drop")
        await client.until_text("drop", "One ")
        gate.open()
        while sum(told["op"] == "ended" for told in client.told) < 2:
            await client.next()
        assert fold(client.events["a"]).text == "One " + "".join(text)
        whole = [event for event in client.events["drop"] if not isinstance(event, e.Token)]
        assert [event for event in whole if not is_gap(event)] == [
            event for event in client.events["a"] if not isinstance(event, e.Token)
        ]


def is_gap(event: Event) -> bool:
    return isinstance(event, e.Warn) and event.code == "gap"


async def test_a_subscription_that_fails_says_where_to_go_on() -> None:
    async with serving([researcher()]) as server, socket(server.url) as client:
        run_id = (await client.answer("start", "a", input="Go"))["run_id"]
        await client.until("ended")
        await until(lambda: not server.runtime.live)
        await server.runtime.store.cut(run_id, 3)
        cut = (await server.runtime.store.run(run_id)).cut  # batches go whole: it may be less
        assert 0 < cut <= 3
        told = await client.answer("subscribe", "b", run_id=run_id)
        assert (told["op"], told["code"], told["after"]) == ("failure", "replay_gap", 0)
        assert (told["ref"], told["run_id"], told["retryable"]) == ("b", run_id, False)
        assert f"after {cut}" in told["hint"]
        await client.ask("subscribe", "b", run_id=run_id, after=cut)
        await client.until("ended", "b")
        assert client.events["b"] == client.events["a"][cut:]
