"""`headrace chat --mcp`: tools of a real MCP server in a conversation."""

from __future__ import annotations

import sys

import pytest

from tests.cli.shell import Served, ended, headrace, terminal
from tests.providers.chat_bodies import CALLED, STOP, call, calls, chunk
from tests.support.loopback import stream
from tests.tools.mcp.serving import PROGRAM

MCP = ("--mcp", f"{sys.executable} {PROGRAM}")
ADDS = stream(calls(call(0, "c1", "add", '{"a": 2, "b": 3}')), CALLED)


def test_the_model_gets_its_tools_and_their_results() -> None:
    with Served(ADDS, stream(chunk("Five."), STOP)) as server:
        done = headrace("chat", *server.at, *MCP, stdin="2+3?\n")
    assert "Five." in done.stdout
    first, second = server.requests
    assert "files_list" in {tool["function"]["name"] for tool in first.json["tools"]}
    assert second.json["messages"][-1]["content"] == "5"


def test_in_a_terminal_it_lives_as_long_as_the_conversation() -> None:
    answers = [ADDS, stream(chunk("Five."), STOP), ADDS, stream(chunk("Again five."), STOP)]
    with Served(*answers) as server, terminal("chat", *server.at, *MCP) as child:
        for said in ("Five.", "Again five."):
            child.expect("you> ")
            child.sendline("2+3?")
            child.expect("✓ add")
            child.expect(said)
        child.expect("you> ")
        child.sendintr()
        assert ended(child) == 0


@pytest.mark.parametrize(
    ("command", "says", "code"),
    [
        ("'", "as a shell reads it", 2),
        (" ", "not nothing", 2),
        ("http://", "one of http or https", 2),
        ("/no/such/program", "cannot be started: No such file", 1),
    ],
)
def test_a_server_that_is_none(command: str, says: str, code: int) -> None:
    assert says in headrace("chat", "--model", "demo", "--mcp", command, code=code).stderr
