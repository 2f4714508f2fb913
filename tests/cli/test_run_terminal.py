"""`headrace run` in a real pseudo-terminal."""

from __future__ import annotations

import re

from tests.cli.shell import Served, before, ended, terminal, unstyled
from tests.providers.chat_bodies import STOP, chunk
from tests.support.loopback import FIN, STALL, reply, stream


def test_a_tool_a_markdown_answer_and_the_footer() -> None:
    with terminal("run", "What is 123*456?") as child:
        child.expect(r"✓ calculator \([0-9.]+ ms\)")
        child.expect("56,?088")
        child.expect(r"first token [0-9.]+ ms.*tokens")
        assert ended(child) == 0


def test_blocks_are_styled_and_printed_once() -> None:
    with (
        Served(stream(chunk("A **bold** word.\n\n"), chunk("The end."), STOP)) as server,
        terminal("run", "x", *server.at) as child,
    ):
        assert ended(child) == 0
        assert "\x1b[1mbold\x1b[0m" in before(child)
        assert unstyled(before(child)).count("A bold word.") == 1


def test_no_color_and_dumb_terminals() -> None:
    answer = stream(chunk("A **bold** word.\n\n```py\nx = 1\n```\n"), STOP)
    with Served(answer) as server, terminal("run", "x", *server.at, NO_COLOR="1") as child:
        assert ended(child) == 0
        sgr = {
            int(n)
            for found in re.findall(r"\x1b\[([0-9;]+)m", before(child))
            for n in found.split(";")
        }
        assert not sgr & {*range(30, 50), *range(90, 108)}
    with Served(answer) as server, terminal("run", "x", *server.at, TERM="dumb") as child:
        assert ended(child) == 0
        assert "\x1b" not in before(child)
        assert "A bold word." in before(child)


def test_what_broke_is_withdrawn_and_asked_again() -> None:
    with (
        Served(stream(chunk("Half an ans"), end=FIN), stream(chunk("Whole."), STOP)) as server,
        terminal("run", "x", *server.at) as child,
    ):
        child.expect("↺ withdrawn: stream_truncated")
        child.expect("Whole.")
        assert ended(child) == 0


def test_ctrl_c_keeps_what_was_shown() -> None:
    with (
        Served(stream(chunk("Once upon"), end=STALL)) as server,
        terminal("run", "x", *server.at) as child,
    ):
        child.expect("Once upon")
        child.sendintr()
        child.expect("Once upon")  # printed for good
        child.expect("stopped")
        server.closed()
        assert ended(child) == 130
        assert "\x1b[?25h" in before(child)  # the cursor is back


def test_an_error_is_one_line() -> None:
    with (
        Served(reply(400, {"error": {"message": "no \x1b[31msuch thing"}})) as server,
        terminal("run", "x", *server.at) as child,
    ):
        assert ended(child) == 1
        assert re.search("no .*such thing", before(child))
        assert "\x1b[31m" not in before(child)


def test_a_hostile_model_sends_no_controls() -> None:
    evil = ["\x1b", "]0;owned\x07", "\x9b31m", "\x1b[2J", "\u202e", "`&#x202e;`", " end"]
    with (
        Served(stream(*map(chunk, evil), STOP)) as server,
        terminal("run", "x", *server.at) as child,
    ):
        assert ended(child) == 0
        assert "owned" in before(child)
        assert not re.search("\x1b\\]|\x1b\\[2J|[\x07\x80-\x9f\u202e]", before(child))


def test_progress_in_a_terminal() -> None:
    with (
        Served(stream(chunk("Hel"), chunk("lo."), STOP)) as server,
        terminal("run", "x", *server.at, "--progress") as child,
    ):
        child.expect("Complete: 2 chunks, 6 chars")
        assert ended(child) == 0


def test_no_question_in_a_terminal() -> None:
    with terminal("run") as child:
        child.expect("There is no question")
        assert ended(child) == 2
