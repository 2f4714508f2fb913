"""Tokens that expire, and Azure's ways of being asked."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from headrace.errors import AuthenticationFailed
from headrace.models.request import ModelRequest
from headrace.models.retry import NO_RETRY
from headrace.providers.openai_chat.azure import AzureOpenAI
from tests.providers.chat_bodies import STOP, chunk, event
from tests.support.loopback import Loopback, reply, stream

TOKEN = "canary.0123456789abcdef"
KEY = "canary-0123456789abcdef"
ASK = ModelRequest.of("Hi")


def model(server: Loopback, **settings: Any) -> AzureOpenAI:
    return AzureOpenAI("mine", base_url=server.origin, retry=NO_RETRY, **settings)


async def test_a_key_goes_into_azures_header() -> None:
    async with Loopback(stream(chunk("a"), STOP)) as server:
        assert (await model(server, api_key=KEY, api_version="v").complete(ASK)).text == "a"
    (request,) = server.requests
    assert request.target == "/openai/deployments/mine/chat/completions?api-version=v"
    assert request.headers["api-key"] == KEY
    assert "authorization" not in request.headers


async def test_a_deployments_name_is_quoted() -> None:
    async with Loopback(stream(STOP)) as server:
        one = AzureOpenAI("my model", base_url=server.origin, api_key=KEY, api_version="v")
        await one.complete(ASK)
    assert server.requests[0].target.startswith("/openai/deployments/my%20model/chat")


async def test_a_token_is_asked_for_before_each_request() -> None:
    given = iter(["one.token", "two.token"])
    async with Loopback(stream(STOP)) as server:
        one = model(server, token=lambda: next(given))
        await one.complete(ASK)
        await one.complete(ASK)
    told = [request.headers["authorization"] for request in server.requests]
    assert told == ["Bearer one.token", "Bearer two.token"]
    assert server.requests[0].target == "/openai/v1/chat/completions"
    assert server.requests[0].json["model"] == "mine"


async def test_a_token_may_be_awaited_and_a_plain_function_does_not_hold_the_loop_up() -> None:
    async def soon() -> str:
        await asyncio.sleep(0)
        return TOKEN

    threads: list[threading.Thread] = []

    def elsewhere() -> Any:
        threads.append(threading.current_thread())
        return soon()

    async with Loopback(stream(STOP)) as server:
        await model(server, token=soon).complete(ASK)
        await model(server, token=elsewhere).complete(ASK)
    told = {request.headers["authorization"] for request in server.requests}
    assert told == {f"Bearer {TOKEN}"}
    assert threads[0] is not threading.main_thread()


async def test_a_token_that_is_echoed_is_masked() -> None:
    async with Loopback(reply(401, {"error": {"message": f"bad {TOKEN}"}})) as server:
        with pytest.raises(AuthenticationFailed) as caught:
            await model(server, token=lambda: TOKEN).complete(ASK)
    assert "bad ****" in str(caught.value)
    assert TOKEN not in f"{caught.value!r} {vars(caught.value)}"


@pytest.mark.parametrize("given", ["", "  ", "a b", "x\ny", None, 7])
async def test_what_is_no_token_is_refused_before_any_request(given: Any) -> None:
    async with Loopback(stream(STOP)) as server:
        with pytest.raises(AuthenticationFailed, match="token"):
            await model(server, token=lambda: given).complete(ASK)
    assert server.requests == []


async def test_a_function_that_fails_is_told_without_what_it_held() -> None:
    def fail() -> str:
        raise LookupError(f"no account for Bearer {TOKEN}")

    async with Loopback(stream(STOP)) as server:
        with pytest.raises(AuthenticationFailed) as caught:
            await model(server, token=fail).complete(ASK)
    assert "LookupError: no account for Bearer ****" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_azures_first_chunk_tells_of_the_prompt_and_some_have_no_delta() -> None:
    filtered = {"hate": {"filtered": False, "severity": "safe"}}
    prompt = {"prompt_index": 0, "content_filter_results": filtered}
    body = [
        event({"id": "", "model": "", "choices": [], "prompt_filter_results": [prompt]}),
        chunk({"role": "assistant", "content": ""}),
        chunk("a", content_filter_results=filtered),
        event({"choices": [{"index": 0, "content_filter_offsets": {"check_offset": 1}}]}),
        event({"choices": [{"index": 0, "finish_reason": None, "content_filter_results": {}}]}),
        chunk({}, "content_filter"),
        event("[DONE]"),
    ]
    async with Loopback(stream(*body)) as server:
        turn = await model(server, api_key=KEY).complete(ASK)
    assert (turn.text, turn.finish_reason) == ("a", "content_filter")
