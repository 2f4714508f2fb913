"""What stands in a terminal after a run, and on the way."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from headrace.events import (
    Cancelled,
    Complete,
    Error,
    Event,
    Retract,
    RunStart,
    StepEnd,
    StepStart,
    Thought,
    Token,
    ToolArgs,
    ToolEnd,
    ToolProgress,
    ToolStart,
    Warn,
)
from headrace.frontends.terminal import TerminalScreen
from headrace.messages import Message
from headrace.usage import Metrics, Receipt, Timing, Usage
from tests.frontends.little_terminal import LittleTerminal

USAGE = Usage(10, 34)
METRICS = Metrics(12.3, 700.0, 34, 100, 56.4)
SGR = re.compile(r"\x1b\[[0-9;]*m")
OURS = re.compile(r"\x1b\[(?:\d*A|2K|\?25[hl])")
HOSTILE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class _Output(io.StringIO):
    """Where the stage's screen writes: each write takes some of the stage's time."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def write(self, text: str) -> int:
        self._stage.now += self._stage.drawing_takes
        return self._stage.raw.write(text)


class Stage:
    """A terminal screen with a clock of its own, fed event by event."""

    def __init__(self, width: int = 60, height: int = 24, colours: bool = True) -> None:
        self.raw = io.StringIO()
        self.now = 100.0
        self.drawing_takes = 0.0
        self.terminal = LittleTerminal(height)
        self._seq = 0
        self._read = 0
        console = Console(
            file=_Output(self),
            force_terminal=True,
            width=width,
            height=height,
            color_system="standard" if colours else None,
            highlight=False,
            markup=False,
            emoji=False,
            _environ={},
        )
        self.screen = TerminalScreen(console, now=lambda: self.now)

    def play(self, *events: tuple[Any, ...]) -> str:
        """Add events (class, fields…), let time pass; gives what stands there then."""
        for kind, *fields in events:
            self._seq += 1
            self.screen.add([kind(self._seq, 1.0, "", *fields)])
        return self.tick()

    def tick(self) -> str:
        self.now += 0.1
        self.screen.tick()
        return self.look()

    def end(self) -> str:
        self.screen.close()
        return self.look()

    def look(self) -> str:
        everything = self.raw.getvalue()
        self.terminal.feed(everything[self._read :])
        self._read = len(everything)
        return self.terminal.text


START = ((RunStart, "run_1", "assistant", "demo"), (StepStart, 1, "demo"))


def step_end(reason: str = "stop") -> tuple[Any, ...]:
    return (StepEnd, 1, reason, USAGE, Timing(1.0), Message.assistant("…"))


def tokens(*pieces: str) -> list[tuple[Any, ...]]:
    return [(Token, piece, i) for i, piece in enumerate(pieces)]


def complete(reason: str = "stop") -> tuple[Any, ...]:
    return (Complete, reason, USAGE, METRICS)


def test_an_answer_with_its_footer() -> None:
    stage = Stage()
    assert "waiting for demo" in stage.play(*START)
    assert stage.play(*tokens("Hel", "lo **wor")) == "Hello **wor\n"
    stage.play(*tokens("ld**.\n"), step_end(), complete())
    assert stage.end() == "Hello world.\n\nfirst token 12 ms · 34 tokens · 56 tokens/s\n"
    assert stage.terminal.cursor_shown
    assert "\x1b[1mworld" in stage.raw.getvalue()


def test_a_finished_block_is_printed_once_and_never_touched_again() -> None:
    stage = Stage()
    stage.play(*START, *tokens("First paragraph.\n", "\n"))
    stage.terminal.deepest = 0
    for piece in ["Second ", "one ", "grows ", "and ", "grows.\n"]:
        shown = stage.play(*tokens(piece))
        assert shown.startswith("First paragraph.\n\nSecond")
    assert stage.raw.getvalue().count("First paragraph.") == 1
    assert stage.terminal.deepest <= 3  # the gap, the open line and where the cursor waits


def test_a_block_taller_than_the_terminal_shows_its_tail_while_open_and_all_of_it_after() -> None:
    stage = Stage(height=8)
    code = "".join(f"line {i}\n" for i in range(40))
    shown = stage.play(*START, *tokens("```\n", *code.splitlines(keepends=True)))
    assert "line 39" in shown
    assert len(shown.splitlines()) <= 8
    stage.play(*tokens("```\n"), step_end(), complete())
    shown = stage.end()
    assert [line.strip() for line in shown.splitlines() if "line" in line] == code.split("\n")[:40]


def test_reasoning_is_dim_and_apart_from_the_answer() -> None:
    stage = Stage()
    stage.play(*START, (Thought, "Let me"), (Thought, " think."), *tokens("Done."))
    stage.play(step_end(), complete())
    assert stage.end().startswith("  Let me think.\n\nDone.\n\nfirst token")
    assert "\x1b[2;3mLet me think." in stage.raw.getvalue()


def test_tools_spin_and_then_stand() -> None:
    stage = Stage()
    shown = stage.play(*START, *tokens("I look."), (ToolArgs, "a", "search", '{"q'))
    assert "I look.\n\n⠋ calling search" in re.sub("[⠙⠹⠸⠼⠴⠦⠧⠇⠏]", "⠋", shown)
    shown = stage.play(
        step_end("tool_calls"),
        (ToolStart, "a", "search", {}),
        (ToolStart, "b", "clock", {}),
        (ToolProgress, "a", "page 2 of 3"),
    )
    busy = re.sub("[⠙⠹⠸⠼⠴⠦⠧⠇⠏]", "⠋", shown)
    assert busy == "I look.\n\n⠋ search · page 2 of 3\n⠋ clock\n"
    shown = stage.play((ToolEnd, "b", "clock", "noon", 3.2))
    assert shown.startswith("I look.\n\n✓ clock (3 ms)\n")
    assert shown.rstrip().endswith("search · page 2 of 3")
    stage.play(
        (ToolEnd, "a", "search", "", 40.0, "no network\nat all"), *tokens("Sorry."), step_end()
    )
    stage.play(complete("length"))
    assert stage.end() == (
        "I look.\n\n✓ clock (3 ms)\n✗ search (40 ms): no network at all\n\nSorry.\n\n"
        "first token 12 ms · 34 tokens · 56 tokens/s · length\n"
    )


def test_the_spinner_moves_with_the_clock() -> None:
    stage = Stage()
    stage.play(*START, (ToolStart, "a", "search", {}))
    assert stage.tick() != stage.tick()


def test_open_text_that_is_withdrawn_vanishes() -> None:
    stage = Stage()
    stage.play(*START, *tokens("A half sen"), step_end("error"))
    stage.play((Retract, 2, "stream_truncated"), (StepStart, 1, "demo"), *tokens("Whole."))
    stage.play(step_end(), complete())
    assert stage.end().startswith("↺ withdrawn: stream_truncated\n\nWhole.\n\nfirst token")


def test_finished_text_that_is_withdrawn_is_said_so_and_the_answer_starts_again() -> None:
    stage = Stage()
    stage.play(*START, *tokens("Para one.\n\n", "Para tw"), step_end("error"))
    stage.play((Retract, 2, "stream_truncated"), (StepStart, 1, "demo"))
    stage.play(*tokens("New one.\n\n", "New two."), step_end(), complete())
    assert stage.end().startswith(
        "Para one.\n\n↺ withdrawn: stream_truncated; the answer starts again\n\n"
        "New one.\n\nNew two.\n\nfirst token"
    )


def test_what_a_retract_leaves_standing_is_kept() -> None:
    stage = Stage()
    stage.play(*START, *tokens("I look.\n\n"), step_end("tool_calls"))  # seq 3 and 4
    stage.play((StepStart, 2, "demo"), *tokens("Keep this. ", "Not this."))  # seq 5, 6 and 7
    shown = stage.play((Retract, 7, "guard"))
    assert shown == "I look.\n\n↺ withdrawn: guard\n\nKeep this.\n"


def test_a_retract_of_committed_text_starts_again_after_the_tools() -> None:
    stage = Stage()
    stage.play(*START, *tokens("I look."), step_end("tool_calls"))
    stage.play((StepStart, 2, "demo"), *tokens("One.\n\nTwo.\n\n", "Three"))  # seq 5, 6 and 7
    shown = stage.play((Retract, 5, "stall"), *tokens("Again."))
    assert shown.startswith("I look.\n\nOne.\n\nTwo.\n\n↺ withdrawn: stall")
    assert shown.endswith("again\n\nAgain.\n")
    assert shown.count("I look.") == 1


def test_warnings_and_cancel() -> None:
    stage = Stage()
    stage.play(*START, (Warn, "retry", "Asking again in 2 s."), *tokens("So f"))
    stage.play(
        step_end("cancelled"),
        (Cancelled, "user pressed stop", Usage(1, 2, exact=False), Metrics(5.0), Receipt("So f")),
    )
    assert stage.end() == (
        "⚠ Asking again in 2 s.\n\nSo f\n\nstopped · first token 5 ms · ≈2 tokens\n"
    )
    assert "\x1b[2;33m⚠" in stage.raw.getvalue()


def test_an_error_leaves_what_was_shown() -> None:
    stage = Stage()
    stage.play(*START, *tokens("So f"), step_end("error"))
    stage.play((Error, "stream_truncated", "It broke.", True, METRICS))
    assert stage.end() == "So f\n"


def test_closing_in_the_middle_clears_what_moves_and_gives_the_cursor_back() -> None:
    stage = Stage()
    stage.play(*START, *tokens("Done.\n\nhalf"), (ToolStart, "a", "search", {}))
    assert not stage.terminal.cursor_shown
    assert stage.end() == "Done.\n"
    assert stage.terminal.cursor_shown


def test_no_colour_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.StringIO()
    console = Console(
        file=raw, force_terminal=True, color_system="standard", _environ={"NO_COLOR": "1"}
    )
    screen = TerminalScreen(console)
    events: list[Event] = [
        Warn(1, 1.0, "", "x", "careful"),
        Token(2, 1.0, "", "```py\nimport x\n```\n", 0),
    ]
    screen.add(events)
    screen.close()
    colours = {int(n) for sgr in SGR.findall(raw.getvalue()) for n in re.findall(r"\d+", sgr)}
    assert "careful" in raw.getvalue()
    assert not colours & ({*range(30, 50)} | {*range(90, 108)})


NASTY = st.lists(
    st.sampled_from(
        [
            *("\x1b", "[31m", "\x1b[2J", "\x1b]0;title\x07", "\x1b]52;c;cm0=\x1b\\", "\x9b", "\r"),
            *("\u202e", "\u2066", "\x08", "\x7f", "\x00", "&#27;", "&#x202e;", "&#155;", "&#13;"),
            *("<http://a/%1b[31m>", "[x](http://a/%1b]8;;)", "![i](x%C2%9b)", "[r]: http://a%1b\n"),
            *("| a | b |\n|---|---|\n| \x1b[1m | c |\n", "```\x1b[5m\n", "```\n", "\n", "\n\n"),
            *("<b>", "- ", "# ", "> ", "`", "**", "word ", "世界 ", "[bold]", ":smile:"),
        ]
    ),
    max_size=25,
)


@given(NASTY, st.integers(20, 90))
def test_nothing_that_a_model_or_a_tool_says_reaches_the_terminal_as_a_control(
    pieces: list[str], width: int
) -> None:
    stage = Stage(width=width, colours=False)
    text = "".join(pieces)
    stage.play(*START, (Thought, text), *tokens(*pieces), (Warn, "x", text), step_end("tool_calls"))
    stage.play((ToolStart, "a", text, {}), (ToolProgress, "a", text))
    stage.play((ToolEnd, "a", text, text, 1.0, text), *tokens(*pieces), step_end())
    stage.play((Cancelled, text, USAGE, METRICS, Receipt(text)))
    stage.end()  # the little terminal refuses what it does not know
    assert not HOSTILE.search(OURS.sub("", stage.raw.getvalue()))


def words(texts: Iterable[str]) -> list[str]:
    return re.findall(r"w\d+", " ".join(texts))


@given(
    st.lists(
        st.sampled_from(
            [
                *("{} ", "**{}** ", "`{}` ", "<b>{}</b> ", "<div>{}</div>\n", "[{}](http://{}) "),
                *("![{}](http://{}) ", "\n[{}]: {}\n", "\n\n", "\n", "\n- {} ", "\n# {}\n", "> {}"),
                *("\n```\n{}\n```\n", "\n\n| {} | {} |\n|---|---|\n| {} | {} |\n", "<!-- {} -->"),
                *(
                    "<http://{}> ",
                    "\n1. {}\n\n   {}",
                    "&{}; ",
                    "\\{} ",
                    "*{} ",
                    "~~{}~~ ",
                    "\n---\n",
                ),
            ]
        ),
        max_size=20,
    )
)
def test_every_word_of_the_answer_is_seen(pieces: list[str]) -> None:
    numbers = iter(range(100_000, 200_000))
    text = "".join(re.sub("{}", lambda _: f"w{next(numbers)}", piece) for piece in pieces)
    stage = Stage(width=400)
    stage.play(*START, *tokens(text), step_end())
    assert set(words([text])) <= set(words([stage.end()]))


def test_lines_are_not_filled_up_with_blanks() -> None:
    stage = Stage(colours=False)
    stage.play(*START, (Thought, "So."), *tokens("One.\n\n- two\n\n```\nthree\n```\n\n> four\n"))
    stage.play(step_end(), complete())
    stage.end()
    assert not re.search(r" +[\r\n]", stage.raw.getvalue())


def test_a_block_that_is_slow_to_draw_is_drawn_less_often() -> None:
    stage = Stage()
    stage.drawing_takes = 0.5
    stage.play(*START)
    drawn = stage.raw.tell()
    for word in ["one ", "two ", "three "]:
        stage.play((Token, word, 0))
    assert stage.raw.tell() == drawn
    stage.now += 2
    assert "one two three" in stage.tick()


def test_a_table_too_wide_for_the_terminal_loses_nothing() -> None:
    names = [f"c{i}" for i in range(12)]
    table = f"|{'|'.join(names)}|\n|{'---|' * 12}\n|{'|'.join(n.upper() for n in names)}|\n"
    for width in (30, 59, 60, 61):
        stage = Stage(width=width, colours=False)
        stage.play(*START, *tokens(table), step_end())
        shown = stage.end().replace("\n", "")
        assert all(name in shown and name.upper() in shown for name in names)
