"""The checker over every run of every test finds what it is there for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.events import StepEnd, StepStart, Token, ToolEnd, ToolStart, Warn
from headrace.messages import Message
from headrace.runs.log import Log
from headrace.runs.run import Outcome, Run
from headrace.runs.writer import Writer
from headrace.usage import Timing, Usage
from tests.support.drivers import DONE, Act, begin_step, begin_tool, hello, run_of, say
from tests.support.law_watch import LONGEST, Follower, check_log, verdict

ROOT = Path(__file__).parents[2]


async def found_in(act: Act, **options: bool) -> list[str]:
    """What a follower finds in a run that does this."""
    found: list[str] = []

    async def driver(writer: Writer) -> Outcome:
        await act(writer)
        return DONE

    run = run_of(driver, **options)
    run.observe([lambda run: Follower(run, found)])
    await run.result()
    return found


async def test_a_good_run_is_passed() -> None:
    assert await found_in(hello) == []


async def ends_what_never_began(writer: Writer) -> None:
    writer.put(ToolEnd, "", "c1", "look", "", 1.0)


async def ends_a_tool_twice(writer: Writer) -> None:
    begin_tool(writer)
    await ends_what_never_began(writer)
    await ends_what_never_began(writer)


async def begins_a_step_in_a_step(writer: Writer) -> None:
    begin_step(writer)
    writer.put(StepStart, "", 2, "scripted:one")


async def leaves_a_tool_open(writer: Writer) -> None:
    begin_tool(writer)
    writer._open.clear()  # so that the run does not close it


async def speaks_below_no_one(writer: Writer) -> None:
    writer.put(StepStart, "helper", 1, "scripted:one")


@pytest.mark.breaks_laws("the checker is to find it")
@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize(
    ("act", "why"),
    [
        (ends_what_never_began, "there is no start of c1"),
        (ends_a_tool_twice, "there is no start of c1"),
        (begins_a_step_in_a_step, "step 1 has not ended"),
        (leaves_a_tool_open, "complete: still open at the end"),
        (speaks_below_no_one, "'helper' has not begun"),
    ],
)
async def test_a_broken_pair_is_found_in_any_run(act: Act, why: str, private: bool) -> None:
    (breach,) = await found_in(act, private=private)
    assert why in breach
    assert "of 'bot'" in breach


async def speaks_outside_a_step(writer: Writer) -> None:
    say(writer, "too early")


@pytest.mark.breaks_laws("the checker is to find it")
async def test_content_out_of_its_place_is_found_where_the_log_is_kept() -> None:
    (breach,) = await found_in(speaks_outside_a_step)
    assert "event 1 (token): no step of '' runs" in breach


async def test_a_long_log_is_not_read_again() -> None:
    log = Log()
    log.append(0, [Token(seq, 0.0, "", "x", 0) for seq in range(1, LONGEST + 2)])
    check_log(Run(hello, run_of(hello).info, log=log))


async def test_a_run_that_was_taken_up_goes_on_with_what_it_had_open() -> None:
    found: list[str] = []
    run = run_of(hello)
    begin_tool(run.writer)  # before it is followed, as by another process
    follower = Follower(run, found)
    follower.event(run.writer.put(Warn, "", "recovered", "Another goes on."))
    follower.event(ToolEnd(3, 0.0, "", "c1", "look", "", 1.0))
    assert found == []
    follower.event(ToolStart(4, 0.0, "b", "c2", "look", {}))
    (breach,) = found
    assert "tool_start: agent 'b' has not begun" in breach
    follower.event(StepEnd(5, 0.0, "", 1, "stop", Usage(), Timing(1.0), Message("assistant")))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("found", "reasons", "wrong"),
    [
        ([], [], None),
        (["run r: x"], [], "A law of the log was broken:\nrun r: x"),
        (["run r: x"], [("a fake",)], None),
        (["run r: x"], [()], "needs a reason"),
        ([], [("",)], "needs a reason"),
        ([], [("a fake",)], "broke none"),
    ],
)
def test_the_verdict_over_a_test(
    found: list[str], reasons: list[tuple[object, ...]], wrong: str | None
) -> None:
    said = verdict(found, reasons)
    assert said == wrong if wrong is None else wrong in (said or "")


CASES = """
import asyncio
import pytest
from headrace.events import ToolEnd
from tests.support.drivers import hello, run_of

async def bad(writer):
    writer.put(ToolEnd, "", "c1", "look", "", 1.0)
    return await hello(writer)

def run(driver):
    async def main():
        async with run_of(driver) as run:
            await run.result()
    asyncio.run(main())

def test_good(): run(hello)
def test_bad(): run(bad)
@pytest.mark.breaks_laws("to show it")
def test_told(): run(bad)
@pytest.mark.breaks_laws("nothing")
def test_stale(): run(hello)
@pytest.mark.breaks_laws
def test_unsaid(): run(bad)
"""


def test_every_test_is_watched(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    (tmp_path / "test_cases.py").write_text(CASES)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.law_watch"]
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "-p", "no:cacheprovider", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    failed = [
        line.split("::")[1].split()[0]
        for line in done.stdout.splitlines()
        if "ERROR " in line and "::" in line
    ]
    assert failed == ["test_bad", "test_stale", "test_unsaid"]
    assert "5 passed, 3 errors" in done.stdout
    assert "tool_end: there is no start of c1" in done.stdout
