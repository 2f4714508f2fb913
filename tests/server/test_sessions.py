"""Sessions over HTTP: each user has names of their own."""

from __future__ import annotations

from headrace import Agent
from headrace.events import RunStart
from headrace.runs.sessions import name_of, session_of
from headrace.testing import ScriptedModel, Step
from tests.server.reading import asked, reading
from tests.server.serving import Served, serving

TOKENS = {"ann": "ann-has-a-long-token", "bob": "bob-has-a-long-token"}


async def say(server: Served, text: str, user: str = "") -> str:
    """One message in the session `main`; gives the run."""
    headers = {"Authorization": f"Bearer {TOKENS[user]}"} if user else {}
    body = {"input": text, "session": "main"}
    status, told = await asked(f"{server.url}/v1/runs", body, headers=headers)
    assert status == 201, told
    await server.runtime.wait(told["run_id"])
    return str(told["run_id"])


def bot() -> tuple[Agent, ScriptedModel]:
    model = ScriptedModel([Step(text=f"answer {n}") for n in range(3)])
    return Agent("bot", model), model


async def test_a_session_goes_on_over_runs() -> None:
    agent, model = bot()
    async with serving([agent]) as server:
        await say(server, "one")
        await say(server, "two")
        status, told = await asked(f"{server.url}/v1/runs?session=main")
        assert [run["title"] for run in told["runs"]] == ["two", "one"]
    assert [message.text for message in model.requests[1].messages] == ["one", "answer 0", "two"]
    assert status == 200


async def test_two_users_may_give_one_name() -> None:
    agent, model = bot()
    async with serving([agent], tokens=TOKENS) as server:
        await say(server, "of ann", "ann")
        run_id = await say(server, "of bob", "bob")
        headers = {"Authorization": f"Bearer {TOKENS['bob']}"}
        _, listed = await asked(f"{server.url}/v1/runs?session=main", headers=headers)
        _, shown = await asked(f"{server.url}/v1/runs/{run_id}", headers=headers)
        (start, *_) = await server.runtime.store.read(run_id, 0)
    assert [message.text for message in model.requests[1].messages] == ["of bob"]
    assert [(run["title"], run["session"]) for run in listed["runs"]] == [("of bob", "main")]
    assert shown["session"] == "main"
    assert isinstance(start, RunStart)
    assert start.session == "main"  # in every format: only the store has the long name


async def test_a_list_is_bounded_and_says_what_it_cannot_read() -> None:
    agent, _ = bot()
    async with serving([agent]) as server:
        for text in ("one", "two"):
            await say(server, text)
        _, told = await asked(f"{server.url}/v1/runs?limit=1")
        assert [run["title"] for run in told["runs"]] == ["two"]
        status, told = await asked(f"{server.url}/v1/runs?limit=abc")
        assert (status, told["code"]) == (400, "invalid_request")
        assert told["message"] == "'abc' is no limit."


def test_names_come_back_as_they_were_given() -> None:
    for user, name in (("ann", "main"), ("", "main"), ("ann", "ann:main")):
        assert name_of(user, session_of(user, name)) == name
    assert session_of("ann", "x") != session_of("bob", "x") != session_of("", "x")
    assert name_of("ann", None) is None


async def test_a_chat_that_was_edited_is_what_the_session_holds() -> None:
    agent, _ = bot()
    async with serving([agent]) as server:
        for text in ("one?", "One?"):
            said = [{"id": "1", "role": "user", "parts": [{"type": "text", "text": text}]}]
            async with reading(f"{server.url}/api/chat", {"id": "main", "messages": said}) as told:
                await told.all()
        session = await server.runtime.store.session("main")
    assert [message.text for message in session.messages] == ["One?", "answer 1"]
