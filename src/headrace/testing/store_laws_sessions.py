"""Laws of a store: conversations over runs."""

from __future__ import annotations

import asyncio

from headrace.errors import LogConflict, RunNotFound, SessionBusy, SessionConflict, SessionNotFound
from headrace.events import TERMINAL
from headrace.messages import Message
from headrace.runs.stores.record import SessionRecord
from headrace.runs.stores.store import Store
from headrace.testing.store_laws_base import (
    StoreLawsBase,
    all_refused,
    begin,
    beside,
    expect,
    refused,
    same,
)
from headrace.testing.store_laws_samples import EPOCH, EVERY_MESSAGE, complete, failed, tokens

TICK = 0.02
"""Seconds in which any machine's clock moves on."""

HELLO = Message.user("hello")
ANSWER = Message.assistant("hi")


class SessionLaws(StoreLawsBase):
    """A session has its messages in order, and at most one live run."""

    async def test_messages_come_back_equal(self) -> None:
        """Parts of every kind, bytes and odd text in them."""
        async with self.opened() as store:
            await store.append_session("s", 0, EVERY_MESSAGE)
            same((await store.session("s")).messages, EVERY_MESSAGE, "the messages")

    async def test_a_run_makes_its_session(self) -> None:
        """It is empty, belongs to the run's user, and the run is its live one."""
        async with self.opened() as store:
            await begin(store, session="s", user="u")
            same(_facts(await store.session("s")), ("u", 0, "run_1", ()), "the session")

    async def test_the_end_of_a_run_adds_what_was_said_and_frees_the_session(self) -> None:
        """However it ends; the next run goes on from there."""
        async with self.opened() as store:
            await begin(store, "a", session="s")
            await store.end("a", 0, [complete(1)], [HELLO, ANSWER])
            same(_facts(await store.session("s")), ("", 2, None, (HELLO, ANSWER)), "the session")
            await begin(store, "b", session="s")
            await store.end("b", 0, [failed(1)], [HELLO])
            want = ("", 3, None, (HELLO, ANSWER, HELLO))
            same(_facts(await store.session("s")), want, "the session")
            await begin(store, "c", session="s")
            await store.end("c", 0, [complete(1)])
            same(_facts(await store.session("s")), want, "the session")

    async def test_what_was_said_may_take_the_place_of_what_was_there(self) -> None:
        """As for a caller who keeps the conversation, and has changed it."""
        async with self.opened() as store:
            await store.append_session("s", 0, [ANSWER, HELLO, ANSWER])
            await begin(store, "a", session="s")
            await store.end("a", 0, [complete(1)], [HELLO, ANSWER], instead=True)
            same(_facts(await store.session("s")), ("", 2, None, (HELLO, ANSWER)), "the session")
            await begin(store, "b", session="s")
            await store.end("b", 0, [failed(1)], instead=True)
            same(_facts(await store.session("s")), ("", 2, None, (HELLO, ANSWER)), "the session")
            same(await store.append_session("s", 2, [HELLO]), 3, "the version")

    async def test_what_both_begin_with_stays_as_it_was(self) -> None:
        """Replaced is what differs; the messages before it keep the runs that said them."""
        async with self.opened() as store:
            await store.append_session("s", 0, [HELLO])
            for run_id, said, runs in (
                ("a", [HELLO, ANSWER], ("", "a")),
                ("b", [HELLO, ANSWER, *EVERY_MESSAGE], ("", "a", *["b"] * len(EVERY_MESSAGE))),
                ("c", [HELLO, ANSWER, EVERY_MESSAGE[0], HELLO], ("", "a", "b", "c")),
                ("d", [HELLO, ANSWER], ("", "a")),  # nothing differs, and less is left
                ("e", [HELLO, HELLO, ANSWER], ("", "e", "e")),
                ("f", [ANSWER], ("f",)),
            ):
                await begin(store, run_id, session="s")
                await store.end(run_id, 0, [complete(1)], said, instead=True)
                session = await store.session("s")
                same(session.messages, tuple(said), f"the messages that the run {run_id} left")
                same(session.runs, runs, f"whose they are, after the run {run_id}")
                same(session.version, len(said), f"the version after the run {run_id}")
            await begin(store, "g", session="s")
            await store.end("g", 0, [complete(1)], [HELLO, ANSWER])
            same((await store.session("s")).runs, ("f", "g", "g"), "whose the messages are")

    async def test_each_message_tells_the_run_that_it_came_from(self) -> None:
        """Also when that is forgotten; none where it was added from outside; not in lists."""
        async with self.opened() as store:
            await begin(store, "a", session="s")
            same((await store.session("s")).runs, (), "whose the messages of a new session are")
            await store.end("a", 0, [complete(1)], [HELLO, ANSWER])
            await store.append_session("s", 2, [HELLO])
            await begin(store, "b", session="s")
            await store.end("b", 0, [failed(1)], [ANSWER])
            await store.delete_run("a")
            same((await store.session("s")).runs, ("a", "a", "", "b"), "whose the messages are")
            same([session.runs for session in await store.sessions()], [()], "the same in a list")

    async def test_a_session_has_the_title_of_its_first_question(self) -> None:
        """That of the run which began it, until another takes the place of its first message."""
        async with self.opened() as store:
            await store.append_session("s", 0, [])
            for run_id, title, said, want in (
                ("a", "", [], ""),
                ("b", "one", [HELLO, ANSWER], "one"),
                ("c", "two", [HELLO, ANSWER, HELLO], "one"),
                ("d", "three", [], "one"),
                ("e", "four", [ANSWER, HELLO], "four"),
            ):
                await begin(store, run_id, session="s", title=title)
                await store.end(run_id, 0, [complete(1)], said, instead=True)
                session, (listed,) = await store.session("s"), await store.sessions()
                same((session.title, listed.title), (want, want), f"the title after {run_id}")
            await begin(store, "f", session="new", title="new")
            same((await store.session("new")).title, "new", "the title of a session that began")

    async def test_what_was_said_is_committed_with_the_end(self) -> None:
        """Who is shown the end finds the session complete and free."""
        async with self.opened() as store:
            for number in range(5):
                run_id, version = f"run_{number}", 2 * number
                await begin(store, run_id, session="s")
                async with beside(_session_at_the_end(store, run_id)) as (task,):
                    await store.append(run_id, 0, tokens(1, 1))
                    await store.end(run_id, 1, [complete(2)], [HELLO, ANSWER])
                    session = await task
                same((session.version, session.live_run), (version + 2, None), "the session")

    async def test_an_end_that_is_refused_adds_nothing(self) -> None:
        """The session stays busy."""
        async with self.opened() as store:
            await begin(store, session="s")
            with refused(LogConflict, what="a stale end"):
                await store.end("run_1", 3, [complete(4)], [HELLO])
            same(_facts(await store.session("s")), ("", 0, "run_1", ()), "the session")

    async def test_what_is_said_without_a_session_is_no_error(self) -> None:
        """The run ends; there is nowhere to keep it."""
        async with self.opened() as store:
            await begin(store)
            await store.end("run_1", 0, [complete(1)], [HELLO])
            same((await store.run("run_1")).status, "complete", "the status")
            same(await store.sessions(), [], "sessions")

    async def test_a_session_has_one_live_run(self) -> None:
        """A second one is refused, and leaves nothing."""
        async with self.opened() as store:
            await begin(store, "a", session="s")
            with refused(SessionBusy, what="a second live run") as seen:
                await begin(store, "b", session="s", idempotency_key="k")
            same(getattr(seen[0], "run_id", None), "a", "the live run that is named")
            with refused(RunNotFound, what="the run that was refused"):
                await store.run("b")
            await begin(store, "c", session="other")
            await store.end("a", 0, [complete(1)])
            same((await begin(store, "b", session="s", idempotency_key="k")).id, "b", "the next")

    async def test_of_many_that_race_for_a_session_one_gets_it(self) -> None:
        """The others are told that it is busy."""
        async with self.opened() as store:
            got = await asyncio.gather(
                *(begin(store, f"run_{n}", session="s") for n in range(12)), return_exceptions=True
            )
            refusals = [error for error in got if isinstance(error, SessionBusy)]
            same(len(refusals), 11, "runs that were refused as busy")
            (record,) = await store.runs(session="s")
            same((await store.session("s")).live_run, record.id, "the live run")

    async def test_a_key_that_was_used_is_found_in_a_busy_session_too(self) -> None:
        """A request that is sent again gets its own live run, not a refusal."""
        async with self.opened() as store:
            first = await begin(store, "a", session="s", idempotency_key="k")
            again = await begin(store, "b", session="s", idempotency_key="k")
            same(again, first, "the record of the key")

    async def test_a_session_is_its_users_own(self) -> None:
        """For another user it is not there, for a run or an append."""
        async with self.opened() as store:
            await store.append_session("s", 0, [HELLO], user="u")
            for user in ("", "other"):
                with refused(SessionNotFound, what="another user's run in a session"):
                    await begin(store, session="s", user=user)
                for version in (0, 1):
                    with refused(SessionNotFound, what="another user's append to a session"):
                        await store.append_session("s", version, [ANSWER], user=user)
            same(_facts(await store.session("s")), ("u", 1, None, (HELLO,)), "the session")
            same(await store.runs(), [], "runs")

    async def test_an_append_to_a_session_is_compared(self) -> None:
        """It gives the new version, which counts messages; a stale one is refused."""
        async with self.opened() as store:
            same(await store.append_session("s", 0, [HELLO, ANSWER], user="u"), 2, "the version")
            same(await store.append_session("s", 2, [HELLO], user="u"), 3, "the version")
            same(await store.append_session("s", 3, [], user="u"), 3, "the version")
            for version in (0, 2, 4):
                with refused(SessionConflict, what=f"an append after {version} of 3"):
                    await store.append_session("s", version, [ANSWER], user="u")
            want = ("u", 3, None, (HELLO, ANSWER, HELLO))
            same(_facts(await store.session("s")), want, "the session")

    async def test_of_many_that_race_to_add_to_a_session_one_gets_in(self) -> None:
        """Round after round, the first of which makes it."""
        async with self.opened() as store:
            for version in range(6):
                got = await asyncio.gather(
                    *(
                        store.append_session("s", version, [Message.user(str(n))])
                        for n in range(10)
                    ),
                    return_exceptions=True,
                )
                same(got.count(version + 1), 1, "appends that got in")
                refusals = [error for error in got if isinstance(error, SessionConflict)]
                same(len(refusals), 9, "appends that were refused")
            same(len((await store.session("s")).messages), 6, "messages")

    async def test_a_busy_session_takes_no_message_from_outside(self) -> None:
        """Its run says what was said."""
        async with self.opened() as store:
            await begin(store, session="s")
            with refused(SessionBusy, what="an append to a busy session"):
                await store.append_session("s", 0, [HELLO])
            await store.end("run_1", 0, [complete(1)])
            same(await store.append_session("s", 0, [HELLO]), 1, "the version")

    async def test_a_session_that_is_not_there_is_named(self) -> None:
        """To read, to delete, or to add behind messages that it does not have."""
        async with self.opened() as store:
            await all_refused(
                SessionNotFound,
                "a session that is not there",
                store.session("s"),
                store.delete_session("s"),
                store.append_session("s", 1, [HELLO]),
            )
            same(await store.sessions(), [], "sessions")

    async def test_sessions_are_listed_last_used_first_without_messages(self) -> None:
        """Of all users or of one; at most `limit`."""
        async with self.opened() as store:
            for session, user in (("a", "u"), ("b", "u"), ("c", "")):
                await store.append_session(session, 0, [HELLO], user=user)
                await asyncio.sleep(TICK)
            await store.append_session("a", 1, [ANSWER], user="u")
            found = await store.sessions()
            same(
                [_facts(s) for s in found],
                [
                    ("u", 2, None, ()),
                    ("", 1, None, ()),
                    ("u", 1, None, ()),
                ],
                "all sessions",
            )
            same([session.id for session in found], ["a", "c", "b"], "their order")
            expect(found[0].updated_at > found[0].created_at, "an append is no use")
            same([s.id for s in await store.sessions(user="u")], ["a", "b"], "one user's")
            same([s.id for s in await store.sessions(user="x")], [], "nobody's")
            same([s.id for s in await store.sessions(limit=2)], ["a", "c"], "two sessions")

    async def test_a_deleted_session_takes_its_runs_along(self) -> None:
        """With their events; other sessions and runs stay; it can be made again."""
        async with self.opened() as store:
            for run_id, session in (("a", "s"), ("b", "s"), ("c", "other"), ("d", None)):
                await begin(store, run_id, session=session, idempotency_key=run_id)
                await store.end(run_id, 0, [complete(1)], [HELLO])
            await store.delete_session("s")
            with refused(SessionNotFound, what="a deleted session"):
                await store.session("s")
            for run_id in ("a", "b"):
                calls = (store.run(run_id), store.read(run_id, 0))
                await all_refused(RunNotFound, "a run of a deleted session", *calls)
            same(sorted(run.id for run in await store.runs()), ["c", "d"], "runs that stay")
            same([session.id for session in await store.sessions()], ["other"], "sessions")
            await begin(store, "a", session="s", user="u", idempotency_key="a")
            same(_facts(await store.session("s")), ("u", 0, "a", ()), "the session made again")

    async def test_a_busy_session_cannot_be_deleted(self) -> None:
        """Its run would have nowhere to speak."""
        async with self.opened() as store:
            await begin(store, session="s")
            with refused(SessionBusy, what="deleting a busy session"):
                await store.delete_session("s")
            same((await store.session("s")).live_run, "run_1", "the live run")
            await store.end("run_1", 0, [complete(1)])
            await store.delete_session("s")

    async def test_sessions_keep_their_messages_when_runs_are_forgotten(self) -> None:
        """By retention or by name."""
        async with self.opened() as store:
            for run_id in ("a", "b"):
                await begin(store, run_id, session="s")
                await store.end(run_id, 0, [complete(1)], [HELLO])
            await store.delete_run("a")
            same(await store.prune(EPOCH * 2, EPOCH * 2), 1, "runs that retention took")
            same(_facts(await store.session("s")), ("", 2, None, (HELLO, HELLO)), "the session")


def _facts(session: SessionRecord) -> tuple[object, ...]:
    """What does not depend on the store's clock."""
    return (session.user, session.version, session.live_run, session.messages)


async def _session_at_the_end(store: Store, run_id: str) -> SessionRecord:
    """The run's session as it is once a follower has been shown the end."""
    async for piece in store.follow(run_id):
        if isinstance(piece[-1], TERMINAL):
            expect(not (await store.run(run_id)).live, "the end is shown before the record ends")
    return await store.session("s")
