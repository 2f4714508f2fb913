"""`headrace run` and `headrace chat` on a real model server, as a person uses them."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

from headrace.events import AnyEvent, Complete, Token, ToolArgs, decode
from headrace.testing.laws import check_events
from tests.cli.shell import ended, headrace, start, terminal
from tests.e2e.llama_server import LlamaServer

FOREVER = ("-o", 'extra={"ignore_eos": true}', "--max-tokens", "100000")


def _at(server: LlamaServer) -> tuple[str, ...]:
    return ("--model", "llamacpp:tiny", "--base-url", server.base_url)


def _talk(tokens: int) -> tuple[str, ...]:
    return ("-o", 'extra={"ignore_eos": true}', "--max-tokens", str(tokens))


def _events(output: str) -> list[AnyEvent]:
    events = [decode(line) for line in output.splitlines()]
    check_events(events)
    return events


def test_run_prints_the_answer_and_its_exit_code_tells_of_the_cut(llama: LlamaServer) -> None:
    done = headrace("run", "Say something.", *_at(llama), *_talk(30), code=3)
    assert len(done.stdout.split()) > 5
    assert "length" in done.stderr


def test_run_with_json_tells_every_event(llama: LlamaServer) -> None:
    done = headrace("run", "Say something.", "--json", *_at(llama), *_talk(30), code=3)
    events = _events(done.stdout)
    end = events[-1]
    assert isinstance(end, Complete)
    assert (end.finish_reason, end.usage.output, end.usage.exact) == ("length", 30, True)


def test_tool_calls_stream_to_the_terminal_as_the_model_writes_them(
    llama_tools: LlamaServer,
) -> None:
    forced = 'extra={"tool_choice": "required", "parallel_tool_calls": false}'
    arguments = ("--json", "--tools", "-o", forced, "--max-tokens", "60", "--max-steps", "1")
    done = headrace("run", "Use a tool.", *_at(llama_tools), *arguments, code=3)
    assert any(isinstance(event, ToolArgs) for event in _events(done.stdout))


def test_ctrl_c_in_run_frees_the_slot(llama: LlamaServer) -> None:
    process = start("run", "Talk for ever.", "--json", *_at(llama), *FOREVER)
    assert process.stdout is not None
    for line in process.stdout:
        if isinstance(decode(line), Token):
            break
    assert llama.busy_slots() == 1
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130
    _slots_become_free(llama)


def test_ctrl_c_in_chat_frees_the_slot_and_keeps_the_prompt(llama: LlamaServer) -> None:
    with terminal("chat", *_at(llama), *FOREVER) as child:
        child.expect("you> ")
        child.sendline("Talk for ever.")
        while not llama.busy_slots():
            time.sleep(0.01)
        child.expect(r"\w+ \w+ \w+")
        child.sendintr()
        child.expect("stopped")
        child.expect("you> ")
        _slots_become_free(llama)
        child.sendintr()
        assert ended(child) == 0


def test_commands_side_by_side_are_each_whole(llama: LlamaServer) -> None:
    def ask(number: int) -> str:
        question = f"Number {number}."
        return headrace("run", question, "--json", *_at(llama), *_talk(40), code=3).stdout

    with ThreadPoolExecutor(4) as pool:
        for output in pool.map(ask, range(8)):
            end = _events(output)[-1]
            assert isinstance(end, Complete)
            assert end.usage.output == 40


def _slots_become_free(server: LlamaServer) -> None:
    """The server looks at a closed socket between two tokens; it has five seconds for it."""
    deadline = time.monotonic() + 5
    while server.busy_slots():
        assert time.monotonic() < deadline, "the server goes on generating after Ctrl-C"
        time.sleep(0.01)
