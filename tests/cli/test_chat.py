"""`headrace chat` in a real pseudo-terminal, and fed by a pipe."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pexpect
import pytest

from tests.cli.kept import Kept
from tests.cli.shell import Served, before, ended, headrace, terminal
from tests.providers.chat_bodies import STOP, chunk
from tests.support.loopback import STALL, reply, stream

PROMPT = "you> "
LONG = "Write a long text about streams."


def test_the_banner_says_which_model_and_why() -> None:
    with terminal("chat") as child:
        child.expect(r"Headrace \S+ · demo.*no API key is set")
        child.expect(PROMPT)
    with terminal("chat", "--model", "demo") as child:
        child.expect(r"demo.*it was named")


def test_ctrl_c_stops_the_answer_and_keeps_the_prompt_a_second_one_leaves() -> None:
    with terminal("chat", "--model", "demo", "--speed", "1") as child:
        child.expect(PROMPT)
        child.sendline(LONG)
        child.expect("the")  # it speaks
        child.sendintr()
        child.expect("stopped.*≈[0-9]+ tokens")
        child.expect(PROMPT)
        child.sendintr()
        assert ended(child) == 0


def test_ctrl_c_at_the_first_prompt_leaves() -> None:
    with terminal("chat") as child:
        child.expect(PROMPT)
        child.sendintr()
        assert ended(child) == 0


@pytest.mark.parametrize("how", ["\x04", "/exit\r"])
def test_ways_to_leave(how: str) -> None:
    with terminal("chat") as child:
        child.expect(PROMPT)
        child.send(how)
        assert ended(child) == 0


def test_an_answer_with_tools_and_its_footer_then_another() -> None:
    with terminal("chat") as child:
        child.expect(PROMPT)
        child.sendline("What is 123*456?")
        child.expect(r"✓ calculator")
        child.expect("56,?088")
        child.expect("first token [0-9.]+ ms")
        child.expect(PROMPT)
        child.sendline("What is 2+2?")
        child.expect(r"✓ calculator")
        child.expect(PROMPT)


def test_the_conversation_goes_on_and_new_forgets_it() -> None:
    answers = [stream(chunk(f"Answer {i}."), STOP) for i in (1, 2, 3)]
    with Served(*answers) as server, terminal("chat", *server.at) as child:
        for i, line in enumerate(["first", "second"], 1):
            child.expect(PROMPT)
            child.sendline(line)
            child.expect(f"Answer {i}.")
        child.expect(PROMPT)
        child.sendline("/new")
        child.expect("new conversation")
        child.expect(PROMPT)
        child.sendline("third")
        child.expect("Answer 3.")
        child.expect(PROMPT)
        said = [[m["content"] for m in r.json["messages"]] for r in server.requests]
    assert said == [["first"], ["first", "Answer 1.", "second"], ["third"]]


def test_a_stopped_answer_stays_in_the_conversation_as_far_as_it_was_shown() -> None:
    once = stream(chunk("Once upon"), end=STALL)
    with (
        Served(once, stream(chunk("As I said."), STOP)) as server,
        terminal("chat", *server.at) as child,
    ):
        child.expect(PROMPT)
        child.sendline("Tell me a story")
        child.expect("Once upon")
        child.sendintr()
        child.expect(PROMPT)
        server.closed(0)
        child.sendline("Go on")
        child.expect("As I said.")
        said = [m["content"] for m in server.requests[1].json["messages"]]
    assert said == ["Tell me a story", "Once upon", "Go on"]


def test_a_failed_answer_keeps_the_prompt_and_the_question_is_forgotten() -> None:
    with (
        Served(reply(400, {"error": {"message": "no"}}), stream(chunk("Yes."), STOP)) as server,
        terminal("chat", *server.at) as child,
    ):
        child.expect(PROMPT)
        child.sendline("one")
        child.expect("headrace: .*400")
        child.expect(PROMPT)
        child.sendline("two")
        child.expect("Yes.")
        child.expect(PROMPT)
        assert [m["content"] for m in server.requests[1].json["messages"]] == ["two"]
        child.sendeof()
        assert ended(child) == 0


def test_help_and_unknown_commands() -> None:
    with terminal("chat") as child:
        child.expect(PROMPT)
        child.sendline("/help")
        child.expect("/new")
        child.expect(PROMPT)
        child.sendline("/nothing")
        child.expect("no command /nothing")
        child.expect(PROMPT)


def test_keys_typed_during_an_answer_wait_for_the_prompt_unseen() -> None:
    typed = asyncio.Event()
    once = stream(chunk("Once upon"), typed, STOP)
    with Served(once, stream(chunk("Ok."), STOP)) as server, terminal("chat", *server.at) as child:
        child.expect(PROMPT)
        child.sendline("go")
        child.expect("Once upon")
        child.send("typed ahead\n")
        server.set(typed)
        child.expect("first token")
        assert "typed" not in before(child)
        child.expect("Ok.")
        assert server.requests[1].json["messages"][-1]["content"] == "typed ahead"


def test_lines_can_be_recalled() -> None:
    answers = [stream(chunk(f"Answer {i}."), STOP) for i in (1, 2)]
    with Served(*answers) as server, terminal("chat", *server.at) as child:
        child.expect(PROMPT)
        child.sendline("hello there")
        child.expect("Answer 1.")
        child.expect(PROMPT)
        child.send("\x1b[A\r")
        child.expect("Answer 2.")
        assert server.requests[1].json["messages"][-1]["content"] == "hello there"


def test_sigterm_in_an_answer_ends_it() -> None:
    with (
        Served(stream(chunk("Once upon"), end=STALL)) as server,
        terminal("chat", *server.at) as child,
    ):
        child.expect(PROMPT)
        child.sendline("go")
        child.expect("Once upon")
        child.kill(signal.SIGTERM)
        server.closed(0)
        assert ended(child) == 143


def test_lines_from_a_pipe_get_plain_answers() -> None:
    answers = [stream(chunk(f"Answer **{i}**."), STOP) for i in (1, 2)]
    with Served(*answers) as server:
        done = headrace("chat", *server.at, stdin="one\n\ntwo\n")
        assert len(server.requests[1].json["messages"]) == 3
    assert done.stdout == "Answer **1**.\nAnswer **2**.\n"
    assert done.stderr.splitlines()[1:] == []
    assert "openai:tiny" in done.stderr


def test_a_script_learns_that_an_answer_failed() -> None:
    with Served(reply(400, {"error": {"message": "no"}})) as server:
        done = headrace("chat", *server.at, stdin="one\n", code=1)
    assert done.stdout == ""


def test_a_missing_key_is_told_before_anything_else() -> None:
    done = headrace("chat", "--model", "openai", code=2)
    assert "OPENAI_API_KEY" in done.stderr


def test_the_conversation_goes_on_after_a_restart(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    with Served(*(stream(chunk(f"Answer {i}."), STOP) for i in (1, 2, 3))) as server:
        with terminal("chat", *server.at, **kept.env) as child:
            child.expect(r"session \d{4}-\d\d-\d\d-[0-9a-f]{6}\r")
            name = str(child.after).split()[1]
            child.expect(PROMPT)
            child.sendline("first")
            child.expect("Answer 1.")
            child.expect(PROMPT)
            child.sendline("/new")
            child.expect(r"A new conversation: \S+-[0-9a-f]{6}\.")
            assert name not in before(child)
            child.sendeof()
            assert ended(child) == 0
        with terminal("chat", *server.at, "--session", name, **kept.env) as child:
            child.expect(f"session {name}, 2 messages so far")
            child.expect(PROMPT)
            child.sendline("second")
            child.expect("Answer 2.")
            child.expect(PROMPT)
        kept.headrace("run", "third", *server.at, "--session", name)
        said = [m["content"] for m in server.requests[2].json["messages"]]
    assert said == ["first", "Answer 1.", "second", "Answer 2.", "third"]


def test_a_chat_that_was_killed_in_an_answer_goes_on_later(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    answers = [
        stream(chunk("Yes."), STOP),
        stream(chunk("Once"), end=STALL),
        stream(chunk("Here."), STOP),
    ]
    with Served(*answers) as server:
        chat = ("chat", *server.at, "--session", "talk")
        with terminal(*chat, **kept.env) as child:
            child.expect(PROMPT)
            child.sendline("Are you there?")
            child.expect("Yes.")
            child.expect(PROMPT)
            child.sendline("Tell me")
            child.expect("Once")
            child.kill(signal.SIGKILL)
            child.expect(pexpect.EOF)
        newest = kept.records()[0]
        assert newest.live
        # Until it is clear that no one has it, its session is not touched.
        done = kept.headrace(*chat, stdin="Still?\n", code=1)
        assert newest.id in done.stderr
        kept.forsake(newest.owner)
        assert kept.runs()[0]["status"] == "lost"
        assert kept.headrace(*chat, stdin="And now?\n").stdout == "Here.\n"
        said = [m["content"] for m in server.requests[2].json["messages"]]
    assert kept.runs()[1]["reason"] == "agent_unknown"
    assert (said[:2], said[-1]) == (["Are you there?", "Yes."], "And now?")


def test_memory_names_no_session() -> None:
    done = headrace("chat", "--store", "memory:", "--model", "demo", stdin="")
    assert "session" not in done.stderr
