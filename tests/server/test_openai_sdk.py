"""OpenAI's own SDK on a real server: it believes that it talks to OpenAI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from headrace import Agent
from headrace import events as e
from headrace.testing import ScriptedModel, Step
from tests.promises.story import NEWS, QUESTION, held, research, search
from tests.server.reading import asked
from tests.server.serving import PATIENCE, Served, serving, until

ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": QUESTION}]


@asynccontextmanager
async def client_of(server: Served, **more: Any) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{server.url}/v1", api_key="none", max_retries=0, **more
    ) as client:
        yield client


def researcher() -> Agent:
    return Agent("researcher", research(), tools=[search])


async def test_it_streams_text_tools_and_usage() -> None:
    async with serving([researcher()]) as server, client_of(server) as client:
        stream = client.chat.completions.stream(
            model="researcher", messages=ASK, stream_options={"include_usage": True}
        )
        async with stream as events:
            done = await events.get_final_completion()
    choice = done.choices[0]
    assert choice.message.content == NEWS
    assert choice.finish_reason == "stop"
    (call,) = choice.message.tool_calls or []
    assert (call.function.name, call.function.arguments) == ("search", '{"query": "AI news"}')
    assert done.usage is not None
    assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (60, 14)


async def test_pieces_come_as_the_model_says_them() -> None:
    model, gate = held("One ")
    async with serving([Agent("bot", model)]) as server, client_of(server) as client:
        stream = await client.chat.completions.create(model="bot", messages=ASK, stream=True)
        text = ""
        async for chunk in stream:
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            if text == "One ":
                gate.open()
        assert text == "One  more"


async def test_it_answers_whole() -> None:
    async with serving([researcher()]) as server, client_of(server) as client:
        done = await client.chat.completions.create(model="researcher", messages=ASK)
    assert done.choices[0].message.content == NEWS
    assert done.usage is not None
    assert done.usage.total_tokens == 74


async def test_a_conversation_goes_on_with_what_the_client_sends() -> None:
    model = ScriptedModel([Step(text="Ada."), Step(text="Yes.")])
    async with serving([Agent("bot", model)]) as server, client_of(server) as client:
        said: list[Any] = [{"role": "user", "content": "Who?"}]
        first = await client.chat.completions.create(model="bot", messages=said)
        said += [first.choices[0].message.to_dict(), {"role": "user", "content": "Sure?"}]
        await client.chat.completions.create(model="bot", messages=said)
    assert [(m.role, m.text) for m in model.requests[1].messages] == [
        ("user", "Who?"),
        ("assistant", "Ada."),
        ("user", "Sure?"),
    ]


async def test_it_raises_what_failed() -> None:
    broken = Agent("bot", ScriptedModel([Step(text=["Half"], finish_reason=None)] * 2))
    async with serving([broken]) as server, client_of(server) as client:
        stream = await client.chat.completions.create(model="bot", messages=ASK, stream=True)
        with pytest.raises(openai.APIError) as raised:
            async for _ in stream:
                pass
        assert raised.value.code == "stream_truncated"
        with pytest.raises(openai.InternalServerError) as whole:
            await client.chat.completions.create(model="bot", messages=ASK)
        assert whole.value.code == "stream_truncated"


async def test_refusals_are_of_their_kinds() -> None:
    async with serving([Agent("bot", ScriptedModel())], new_runs=1) as server:
        async with client_of(server) as client:
            with pytest.raises(openai.NotFoundError, match="no model 'gpt-9'") as missing:
                await client.chat.completions.create(model="gpt-9", messages=ASK)
            assert missing.value.code == "model_not_found"
            with pytest.raises(openai.BadRequestError, match="option `n`"):
                await client.chat.completions.create(model="bot", messages=ASK, n=2)
            await client.chat.completions.create(model="bot", messages=ASK, stream=True)
            with pytest.raises(openai.RateLimitError, match="within a minute"):
                await client.chat.completions.create(model="bot", messages=ASK)


async def test_models_are_the_agents_and_what_a_request_may_name() -> None:
    agents = [Agent("bot", ScriptedModel()), Agent("other", ScriptedModel())]
    async with serving(agents, models=("demo",)) as server, client_of(server) as client:
        listed = [model.id async for model in client.models.list()]
        assert listed == ["bot", "other", "bot@demo", "other@demo"]
        assert (await client.models.retrieve("bot@demo")).id == "bot@demo"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("bot@gpt-9")
        done = await client.chat.completions.create(model="bot@demo", messages=ASK)
        assert "demo model" in (done.choices[0].message.content or "")


async def test_tokens_are_its_api_keys() -> None:
    token = "a-token-that-is-long-enough"
    async with serving([researcher()], tokens={"ann": token}) as server:
        async with client_of(server) as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
            known = client.with_options(api_key=token)
            done = await known.chat.completions.create(model="researcher", messages=ASK)
        assert done.choices[0].message.content == NEWS
        (record,) = await server.runtime.store.runs()
        assert record.user == "ann"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_cancels_where_it_asks_for_that(stream: bool) -> None:
    model, gate = held("One ")
    async with serving([Agent("bot", model)]) as server, client_of(server) as client:
        leave = {"on_leave": "cancel"}
        asking = asyncio.ensure_future(
            client.chat.completions.create(
                model="bot", messages=ASK, stream=stream, extra_query=leave
            )
        )
        await gate.reached.wait()
        await until(lambda: server.runtime.live)
        (run_id,) = server.runtime.live
        if stream:
            await (await asking).close()  # type: ignore[union-attr]
        else:
            asking.cancel()
        async with asyncio.timeout(PATIENCE):
            end = await server.runtime.wait(run_id)
        assert isinstance(end, e.Cancelled)
        status, told = await asked(f"{server.url}/v1/runs/{run_id}")
        assert (status, told["status"], told["text"]) == (200, "cancelled", "One ")
