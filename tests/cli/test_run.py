"""`headrace run` through pipes: what comes out, and the exit code."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import pytest

from headrace.events import Complete, Error, RunStart, Token, decode
from tests.cli.shell import COMMAND, Served, environment, headrace, start
from tests.providers.chat_bodies import DONE, STOP, call, calls, chunk, finish
from tests.support.loopback import FIN, STALL, reply, stream

HELLO = stream(chunk("Hel"), chunk("lo."), STOP)
ENDLESS = stream(chunk("Once upon"), end=STALL)


@pytest.fixture
def hello() -> Iterator[Served]:
    with Served(HELLO) as server:
        yield server


def test_a_pipe_gets_the_answer_alone_and_a_newline(hello: Served) -> None:
    done = headrace("run", "Say hello", *hello.at)
    assert (done.stdout, done.stderr) == ("Hello.\n", "")
    assert hello.requests[0].json["messages"] == [{"role": "user", "content": "Say hello"}]


def test_the_demo_calls_a_tool_and_answers_without_a_key() -> None:
    done = headrace("run", "What is 123*456?")
    assert "56,088" in done.stdout or "56088" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["-"], []])
def test_the_question_may_be_piped_in(hello: Served, arguments: list[str]) -> None:
    done = headrace("run", *arguments, *hello.at, stdin="What now?\nAnd then?\n")
    assert done.stdout == "Hello.\n"
    assert hello.requests[0].json["messages"][0]["content"] == "What now?\nAnd then?\n"


def test_json_is_every_event_and_folds_to_the_same_text() -> None:
    lines = headrace("run", "--json", "What is 123*456?").stdout.splitlines()
    events = [decode(line) for line in lines]
    assert isinstance(events[0], RunStart)
    assert isinstance(events[-1], Complete)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    text = "".join(event.content for event in events if isinstance(event, Token))
    assert text.strip() == headrace("run", "What is 123*456?").stdout.strip()


def test_options_reach_the_model(hello: Served) -> None:
    more = ["--max-tokens", "5", "-t", "0.5", "-s", "Be brief.", "-o", "stop=END"]
    headrace("run", "x", *hello.at, *more, "-o", 'extra={"ignore_eos": true}', "-o", "seed=3")
    body = hello.requests[0].json
    assert body["temperature"] == 0.5
    assert body["seed"] == 3
    assert body["ignore_eos"] is True
    assert body["stop"] in ("END", ["END"])
    assert 5 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}


def test_tools_are_there_when_they_are_asked_for() -> None:
    call_it = stream(
        calls(call(0, "a", "calculator", '{"expression": "6*7"}')), finish("tool_calls"), DONE
    )
    with Served(call_it, HELLO) as server:
        headrace("run", "x", *server.at, "--tools")
        assert server.requests[1].json["messages"][-1]["content"] == "42"
    with Served(HELLO) as server:
        headrace("run", "x", *server.at)
        assert "tools" not in server.requests[0].json


def test_the_environment_names_the_model(hello: Served) -> None:
    named = {"LLM_PROVIDER": "openai", "OPENAI_MODEL": "my-model"}
    place = {"OPENAI_BASE_URL": hello.url, "OPENAI_API_KEY": "sk-not-a-key"}
    assert headrace("run", "x", env=named | place).stdout == "Hello.\n"
    assert hello.requests[0].json["model"] == "my-model"
    assert hello.requests[0].headers["authorization"] == "Bearer sk-not-a-key"


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_ended_early_is_code_3(reason: str) -> None:
    with Served(stream(chunk("Hal"), finish(reason), DONE)) as server:
        assert headrace("run", "x", *server.at, code=3).stdout == "Hal\n"


def test_too_many_steps_is_code_3() -> None:
    again = stream(calls(call(0, "a", "clock", "{}")), finish("tool_calls"), DONE)
    with Served(again) as server:
        headrace("run", "x", *server.at, "--tools", "--max-steps", "2", code=3)
        assert len(server.requests) == 2


def test_a_wrong_key_is_one_clear_line_without_the_key() -> None:
    refusal = reply(401, {"error": {"message": "Incorrect API key provided: sk-secret-123"}})
    with Served(refusal) as server:
        done = headrace("run", "x", *server.at, code=1, env={"OPENAI_API_KEY": "sk-secret-123"})
    assert done.stdout == ""
    assert done.stderr.startswith("headrace: ")
    assert "401" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "sk-secret" not in done.stderr


def test_a_cut_answer_is_shown_once_and_is_an_error() -> None:
    with Served(stream(chunk("Half an ans"), end=FIN)) as server:
        done = headrace("run", "x", *server.at, code=1)
        assert done.stdout == "Half an ans\n"
        assert len(done.stderr.splitlines()) == 1
        assert len(server.requests) == 1


def test_json_may_take_back_what_broke_and_ask_again() -> None:
    with Served(stream(chunk("Half an ans"), end=FIN), HELLO) as server:
        lines = headrace("run", "--json", "x", *server.at).stdout.splitlines()
    assert [decode(line).__class__.__name__ for line in lines].count("Retract") == 1


def test_json_of_a_failed_run_ends_with_the_error() -> None:
    with Served(reply(400, {"error": {"message": "no"}})) as server:
        done = headrace("run", "--json", "x", *server.at, code=1)
    assert isinstance(decode(done.stdout.splitlines()[-1]), Error)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], "The question is empty."),
        (["run"], "pipe it in"),
        (["run", "  "], "The question is empty."),
        (["run", "x", "--model", "nobody:x"], "Unknown provider 'nobody'"),
        (["run", "x", "-o", "temprature=1"], "temperature"),
        (["run", "x", "-o", "temperature"], "NAME=VALUE"),
        (["run", "x", "-t", "7"], "temperature"),
        (["run", "x", "--timeout", "0"], "--timeout"),
        (["run", "x", "--speed", "-1"], "speed"),
        (["run", "x", "--model", "openai"], "OPENAI_API_KEY"),
        (["run", "x", "--no-such-option"], "--no-such-option"),
        (["run", "x", "--max-steps", "0"], "--max-steps"),
        (["no-such-command"], "no-such-command"),
    ],
)
def test_wrong_use_is_code_2_and_says_what_to_do(arguments: list[str], says: str) -> None:
    done = headrace(*arguments, code=2)
    assert done.stdout == ""
    assert says in done.stderr


def test_speed_belongs_to_the_demo(hello: Served) -> None:
    assert "--speed" in headrace("run", "x", *hello.at, "--speed", "2", code=2).stderr
    assert "HEADRACE_SPEED" in headrace("run", "x", code=2, env={"HEADRACE_SPEED": "fast"}).stderr


def test_debug_shows_where() -> None:
    done = headrace("run", "x", "--model", "nobody:x", code=1, env={"HEADRACE_DEBUG": "1"})
    assert "Traceback" in done.stderr


def test_ctrl_c_closes_the_upstream_keeps_the_text_and_is_code_130() -> None:
    with Served(ENDLESS) as server, start("run", "x", *server.at) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(4) == "Once"
        process.send_signal(signal.SIGINT)
        server.closed()
        assert process.stdout.read() == " upon\n"
        assert process.stderr.read() == "headrace: The run was cancelled: user pressed stop.\n"
        assert process.wait(20) == 130


def test_sigterm_is_code_143() -> None:
    with Served(ENDLESS) as server, start("run", "x", *server.at) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(4) == "Once"
        process.send_signal(signal.SIGTERM)
        server.closed()
        assert process.wait(20) == 143
        assert process.stderr.read() == "headrace: The run was cancelled: terminated.\n"


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_a_reader_that_leaves_ends_it_quietly_and_at_once(json: list[str]) -> None:
    with Served(ENDLESS) as server, start("run", "x", *server.at, *json) as process:
        assert process.stdout
        assert process.stderr
        seen = ""
        while "Once" not in seen:
            seen += process.stdout.read(1)
        process.stdout.close()
        server.closed()  # although the model says nothing more
        assert process.wait(20) == 141
        assert process.stderr.read() == ""


def test_a_reader_that_leaves_a_talkative_model_ends_it_too() -> None:
    with start("run", "Write 5,000 words.") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(1)
        process.stdout.close()
        assert process.wait(20) in (0, 141)  # 0: it was done before the pipe was shut
        assert process.stderr.read() == ""


def test_a_full_disk_is_one_clear_line(hello: Served) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(  # noqa: S603
            [*COMMAND, "run", "x", *hello.at],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "headrace: No space left on device.\n"


def test_progress_on_standard_error(hello: Served) -> None:
    done = headrace("run", "x", *hello.at, "--progress")
    assert done.stdout == "Hello.\n"
    assert done.stderr == "Complete: 2 chunks, 6 chars\n"


def test_progress_every_half_second() -> None:
    with Served(stream(chunk("Hel"), 1.2, chunk("lo."), STOP)) as server:
        done = headrace("run", "x", *server.at, "--progress")
    first, *_, last = done.stderr.splitlines()
    assert first == "Received 1 chunks, 3 chars…"
    assert last == "Complete: 2 chunks, 6 chars"


def test_a_hostile_model_does_not_reach_the_terminal_behind_a_pipe() -> None:
    evil = "\x1b]0;owned\x07\x9b2J\u202e"
    with Served(stream(chunk(evil[:1]), chunk(evil[1:]), STOP)) as server:
        plain = headrace("run", "x", *server.at).stdout
        lines = headrace("run", "x", *server.at, "--json").stdout
    assert plain == "␛]0;owned␇�2J�\n"
    assert not set(evil[:1] + "\x07\x9b\u202e") & set(lines)
    events = [decode(line) for line in lines.splitlines()]
    assert "".join(e.content for e in events if isinstance(e, Token)) == evil


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_output_that_knows_few_characters_gets_question_marks(encoding: str) -> None:
    with Served(stream(chunk("世✓e"), STOP)) as server:
        done = headrace(
            "run", "x", *server.at, env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
        )
    assert done.stdout == "??e\n"
