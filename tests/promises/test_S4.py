"""What users of sage-adk's streaming agent know: environment, callback, banner, figures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from headrace import Agent, ModelRequest, Usage, resolve_model
from headrace.errors import (
    ConfigurationError,
    ProviderError,
    UsageError,
)
from headrace.events import Cancelled
from headrace.models.assembler import Turn
from headrace.models.model import Model
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.providers.table import choose_model, find_row
from headrace.testing import (
    Gate,
    ScriptedModel,
    Step,
    check_events,
)
from tests.cli.shell import Served, before, headrace, terminal, unstyled
from tests.promises.story import PATIENCE, at, held
from tests.providers.chat_bodies import STOP, chunk, event
from tests.support.loopback import FIN, STALL, Loopback, stream

ASK = ModelRequest.of("Tell me a story about AI")
NO_OLLAMA = {"OLLAMA_HOST": "127.0.0.1:9"}
STORY = stream(
    chunk("Once"),
    chunk(" upon"),
    chunk(" a time."),
    event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}),
    STOP,
)


@pytest.mark.parametrize("provider", ["openai", "groq", "mistral", "deepseek"])
def test_S4_2_the_environment_names_provider_key_and_model(provider: str) -> None:
    keys = {"OPENAI_API_KEY": "k", "GROQ_API_KEY": "k", "MISTRAL_API_KEY": "k"}
    env = keys | {"LLM_PROVIDER": provider, f"{provider.upper()}_API_KEY": "k"}
    assert resolve_model(env=env).provider == provider  # whatever other keys there are
    env[f"{provider.upper()}_MODEL"] = "my-model"
    assert resolve_model(env=env).name == f"{provider}:my-model"


@pytest.mark.parametrize("provider", ["anthropic", "gemini"])
def test_S4_2_a_provider_that_is_named_is_never_another(provider: str) -> None:
    assert find_row(provider)[0].keys[0] == f"{provider.upper()}_API_KEY"
    env = {"LLM_PROVIDER": provider, "OPENAI_API_KEY": "k"}
    with pytest.raises(ConfigurationError, match=provider):  # no key, or no such wire yet
        resolve_model(env=env)


def test_S4_2_the_key_and_the_model_reach_the_server() -> None:
    with Served(STORY) as server:
        named = {"LLM_PROVIDER": "openai", "OPENAI_API_KEY": "sk-test", "OPENAI_MODEL": "gpt-4o"}
        done = headrace("run", "A story", env=named | {"OPENAI_BASE_URL": server.url})
        (request,) = server.requests
    assert done.stdout == "Once upon a time.\n"
    assert request.headers["authorization"] == "Bearer sk-test"
    assert request.json["model"] == "gpt-4o"


def test_S4_2_a_missing_key_names_its_variable() -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        resolve_model(env={"LLM_PROVIDER": "openai"})


@pytest.mark.parametrize("provider", ["openai", "groq", "mistral", "deepseek"])
def test_S4_3_a_model_that_is_not_named_is_the_providers_default(provider: str) -> None:
    row = find_row(provider)[0]
    env = {"LLM_PROVIDER": provider, row.keys[0]: "k"}
    assert row.model
    assert resolve_model(env=env).name == f"{provider}:{row.model}"


def test_S4_3_a_provider_that_is_not_named_is_the_first_with_a_key() -> None:
    choice = choose_model(env={"GROQ_API_KEY": "k", "MISTRAL_API_KEY": "k"})
    assert (choice.model.provider, choice.why) == ("groq", "GROQ_API_KEY is set")
    both = choose_model(env={"GROQ_API_KEY": "k", "OPENAI_API_KEY": "k"})
    assert both.model.provider == "openai"


def test_S4_3_with_nothing_set_the_embedded_model_answers() -> None:
    choice = choose_model(env=NO_OLLAMA)
    assert choice.model.name == "demo:demo"
    assert "no API key is set" in choice.why


def test_S4_4_a_message_is_one_post_and_gets_one_streamed_reply() -> None:
    more = asyncio.Event()
    body = stream(chunk("Once"), more, chunk(" upon"), STOP)
    with Served(body, STORY) as server, terminal("chat", *server.at) as child:
        child.expect("you> ")
        child.sendline("Tell me a story about AI")
        child.expect("Once")  # while the model is held
        server.set(more)
        child.expect("upon")
        child.expect("you> ")
        (request,) = server.requests
        assert request.method == "POST"
        assert request.json["messages"][-1]["content"] == "Tell me a story about AI"
        child.sendline("Go on")
        child.expect("a time")
        child.expect("you> ")
        assert len(server.requests) == 2


def test_S4_6_the_banner_says_who_speaks_and_why() -> None:
    named = {"LLM_PROVIDER": "openai", "OPENAI_API_KEY": "sk-test", "OPENAI_MODEL": "gpt-4o"}
    with terminal("chat", **named) as child:
        child.expect(r"Headrace \S+ · openai:gpt-4o \(LLM_PROVIDER is openai\)")
        child.expect("you> ")
        assert "sk-test" not in before(child)


def test_S4_7_a_turn_tells_its_first_token_and_its_total() -> None:
    with Served(STORY) as server, terminal("chat", *server.at) as child:
        child.expect("you> ")
        child.sendline("A story")
        child.expect("you> ")
        shown = unstyled(before(child))
    assert "Once upon a time." in shown
    assert re.search(r"first token [0-9.]+ ms · 5 tokens · [0-9]+ tokens/s", shown)


def test_S4_7_chunks_and_characters_are_counted_on_request() -> None:
    with Served(STORY) as server:
        done = headrace("run", "A story", *server.at, "--progress")
    assert (done.stdout, done.stderr) == ("Once upon a time.\n", "Complete: 3 chunks, 17 chars\n")


async def test_S4_8_complete_waits_for_the_whole_answer() -> None:
    gate = Gate()
    said = Step(text=["Once", gate, " upon"], usage=Usage(7, 2))
    model = ScriptedModel([said])
    asking = asyncio.create_task(model.complete(ASK))
    async with asyncio.timeout(PATIENCE):
        await gate.reached.wait()
        assert not asking.done()
        gate.open()
        turn = await asking
    assert (turn.text, turn.finish_reason, turn.usage) == ("Once upon", "stop", Usage(7, 2))


async def test_S4_8_a_failed_complete_still_has_what_came() -> None:
    async with Loopback(stream(chunk("Once"), end=FIN)) as server:
        with pytest.raises(ProviderError, match="ended before") as failed:
            await at(server).complete(ASK)
    turn = failed.value.turn
    assert isinstance(turn, Turn)
    assert (turn.text, turn.finish_reason) == ("Once", "error")


async def test_S4_9_a_callback_gets_each_piece_as_it_comes() -> None:
    model, gate = held("Once", " upon", more=" a time")
    got: list[str] = []
    asking = asyncio.ensure_future(model.stream(ASK, got.append))
    async with asyncio.timeout(PATIENCE):
        await gate.reached.wait()
        assert got == ["Once", " upon"]
        gate.open()
        turn = await asking
    assert got == ["Once", " upon", " a time"]
    assert (turn.text, turn.finish_reason) == ("Once upon a time", "stop")


async def test_S4_9_the_callback_may_be_a_coroutine_function() -> None:
    got: list[str] = []

    async def take(piece: str) -> None:
        await asyncio.sleep(0)
        got.append(piece)

    await ScriptedModel([Step(text=["Once", " upon"])]).stream(ASK, take)
    assert got == ["Once", " upon"]


async def of_a_model(model: Model, take: Callable[[str], None]) -> object:
    assert isinstance(model, OpenAIChat)
    return await model.stream(ASK, take)


async def of_an_agent(model: Model, take: Callable[[str], None]) -> object:
    return await Agent("bot", model).run_callback("A story", take)


@pytest.mark.parametrize("callback", [of_a_model, of_an_agent])
async def test_S4_10_what_the_callback_raises_stops_the_stream(
    callback: Callable[[Model, Callable[[str], None]], Awaitable[object]],
) -> None:
    error = LookupError("no room on the page")
    got: list[str] = []

    def take(piece: str) -> None:
        got.append(piece)
        if len(got) == 2:
            raise error

    async with Loopback(stream(chunk("Once"), chunk(" upon"), chunk(" a"), end=STALL)) as server:
        with pytest.raises(LookupError) as raised:
            await callback(at(server), take)
        await server.closed(0)
    assert raised.value is error
    assert got == ["Once", " upon"]


async def test_S4_11_temperature_and_max_tokens_go_out() -> None:
    async with Loopback(STORY) as server:
        await Agent("bot", at(server), temperature=0.3, max_tokens=500).run("A story")
        await at(server).complete(ModelRequest.of("A story", temperature=0.9, max_tokens=5))
        bodies = [request.json for request in server.requests]
    assert [body["temperature"] for body in bodies] == [0.3, 0.9]
    assert [body["max_tokens"] for body in bodies] == [500, 5]


async def test_S4_11_max_tokens_cuts_the_answer_and_says_so() -> None:
    model = resolve_model("demo", speed=0)
    whole = await Agent("bot", model).run("What is 2+2?")
    cut = await Agent("bot", model, max_tokens=12).run("What is 2+2?")
    assert (whole.finish_reason, cut.finish_reason) == ("stop", "length")
    assert whole.content.startswith(cut.content)
    assert cut.usage.output == 12 < whole.usage.output


@pytest.mark.parametrize("options", [{"temperature": 2.5}, {"max_tokens": 0}])
def test_S4_11_values_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        ModelRequest.of("A story", **options)


async def test_S4_12_whoever_has_read_enough_stops_the_generation() -> None:
    async with Loopback(stream(chunk("Once"), chunk(" upon"), end=STALL)) as server:
        read = ""
        async with aclosing(Agent("bot", at(server)).run_stream("A story")) as chunks:
            async for piece in chunks:
                read += piece.content
                if "upon" in read:
                    break
        await server.closed(0)
    assert read == "Once upon"


async def test_S4_12_a_stop_keeps_the_text_and_tells_what_was_used() -> None:
    async with Loopback(stream(chunk("Once upon a time"), end=STALL)) as server:
        async with asyncio.timeout(PATIENCE), Agent("bot", at(server)).start("A story") as run:
            async for piece in run.text():
                assert piece == "Once upon a time"
                break
            end = await run.cancel("enough")
            events = [e async for e in run.events()]
        await server.closed(0)
    check_events(events)
    assert isinstance(end, Cancelled)
    assert (end.reason, end.receipt.content) == ("enough", "Once upon a time")
    assert end.usage.output > 0
    assert not end.usage.exact
