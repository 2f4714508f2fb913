"""Plain text, JSON lines and progress, for pipes."""

from __future__ import annotations

import io

import pytest

from headrace.events import Event, Retract, Thought, Token, ToolEnd, ToolStart, decode
from headrace.frontends.plain import JSONScreen, PlainScreen, ProgressScreen


def token(seq: int, content: str, agent: str = "") -> Token:
    return Token(seq, 1.0, agent, content, seq)


def plain(*batches: list[Event]) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    screen = PlainScreen(out, err)
    for batch in batches:
        screen.add(batch)
    screen.close()
    return out.getvalue(), err.getvalue()


def test_only_the_answer_and_a_newline_at_its_end() -> None:
    out, err = plain(
        [Thought(1, 1.0, "", "hmm"), token(2, "Hel"), ToolStart(3, 1.0, "", "a", "search", {})],
        [ToolEnd(4, 1.0, "", "a", "search", "x", 1.0), token(5, "aside", "helper"), token(6, "lo")],
    )
    assert (out, err) == ("Hello\n", "")


@pytest.mark.parametrize(("said", "out"), [("done\n", "done\n"), ("", ""), ("x\r\n", "x\n")])
def test_no_newline_too_many(said: str, out: str) -> None:
    assert plain([token(1, said)])[0] == out


def test_a_terminal_behind_the_pipe_is_safe_too() -> None:
    assert plain([token(1, "\x1b"), token(2, "[31mred\u202e")])[0] == "␛[31mred�\n"


def test_text_comes_out_with_each_batch() -> None:
    out = io.StringIO()
    screen = PlainScreen(out, io.StringIO())
    screen.add([token(1, "now")])
    assert out.getvalue() == "now"


def test_what_cannot_be_taken_back_is_told_and_written_again() -> None:
    out, err = plain([token(1, "keep "), token(2, "drop")], [Retract(3, 1.0, "", 2, "stall")])
    assert out == "keep drop\nkeep \n"
    assert err == "↺ withdrawn: stall\n"


def test_json_lines_decode_to_the_same_events() -> None:
    events: list[Event] = [token(1, "a\n\x1b\x9b\u202e\u2028世"), Thought(2, 1.0, "", "x")]
    out = io.StringIO()
    JSONScreen(out).add(events)
    lines = out.getvalue().split("\n")
    assert lines.pop() == ""
    assert [decode(line) for line in lines] == events
    assert not {"\x1b", "\x9b", "\u202e"} & set(out.getvalue())


def test_progress_every_half_second_and_at_the_end() -> None:
    now = 0.0
    err = io.StringIO()
    screen = ProgressScreen(err, now=lambda: now)
    screen.add([token(1, "four")])
    assert err.getvalue() == ""
    now = 0.5
    screen.tick()
    screen.tick()
    assert err.getvalue() == "Received 1 chunks, 4 chars…\n"
    screen.add([token(2, "ab"), token(3, "x", "helper")])
    screen.close()
    assert err.getvalue().splitlines()[1:] == ["Complete: 2 chunks, 6 chars"]


def test_quiet_progress_tells_the_end_only() -> None:
    now = 0.0
    err = io.StringIO()
    screen = ProgressScreen(err, quiet=True, now=lambda: now)
    screen.add([token(1, "four")])
    now = 9.0
    screen.tick()
    assert err.getvalue() == ""
    assert screen.line == "Received 1 chunks, 4 chars…"
    screen.close()
    assert err.getvalue() == "Complete: 1 chunks, 4 chars\n"
