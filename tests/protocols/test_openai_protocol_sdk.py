"""OpenAI's own SDK reads our streams, whole answers, errors and models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Any

import openai
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI

from headrace import Agent, tool
from headrace import events as e
from headrace.errors import StoreUnavailable, UsageError
from headrace.protocols.openai_chat.encode import OpenAIChatEncoder
from headrace.protocols.openai_chat.errors import error_body
from headrace.protocols.openai_chat.request import CompletionRequest, parse_request
from headrace.protocols.openai_chat.whole import models_list, whole_answer
from headrace.runs.fold import RunState, fold
from headrace.testing import ScriptedModel, Step, check_events
from headrace.usage import Metrics, Receipt, Usage
from tests.promises.story import NEWS, QUESTION, events_of, researcher
from tests.protocols.openai_chunks import encoded, taken_back
from tests.strategies import Scribe, logs
from tests.support.loopback import Loopback, reply, stream

ASKED: Any = [{"role": "user", "content": QUESTION}]


def client(server: Loopback) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="k", base_url=server.url, max_retries=0)


def cut(data: bytes, seed: int) -> list[bytes]:
    """The bytes in pieces of any size, characters cut in two not excepted."""
    random = Random(seed)  # noqa: S311 - no secret
    places = sorted({0, len(data), *(random.randrange(len(data)) for _ in range(12))})
    return [data[start:end] for start, end in pairwise(places)]


async def chunks(data: bytes, seed: int = 0) -> list[Any]:
    """What the SDK makes of a stream."""
    async with Loopback(stream(*cut(data, seed))) as server, client(server) as sdk:
        answer = await sdk.chat.completions.create(model="m", messages=ASKED, stream=True)
        return [chunk async for chunk in answer]


async def accumulated(data: bytes, seed: int = 0) -> Any:
    """The completion that the SDK's own helper folds a stream to."""
    async with Loopback(stream(*cut(data, seed))) as server, client(server) as sdk:
        manager = sdk.chat.completions.stream(model="m", messages=ASKED)
        async with manager as events:
            async for _ in events:
                pass
            return await events.get_final_completion()


async def raised(data: bytes) -> tuple[str, openai.APIError]:
    """The text before the SDK raised, and what it raised."""
    text = ""
    async with Loopback(stream(data)) as server, client(server) as sdk:
        answer = await sdk.chat.completions.create(model="m", messages=ASKED, stream=True)
        try:
            async for chunk in answer:
                text += chunk.choices[0].delta.content or ""
        except openai.APIError as error:
            return text, error
    pytest.fail("The SDK took the stream for a whole answer.")


def same_calls(calls: Sequence[Any] | None, state: RunState) -> bool:
    """Whether the SDK has the run's calls, with arguments of the same value."""
    mine = [(tool.call_id, tool.name, tool.input) for tool in state.tools if not tool.agent]
    theirs = [(c.id, c.function.name, json.loads(c.function.arguments)) for c in calls or ()]
    return mine == theirs


def check(completion: Any, state: RunState) -> None:
    """The SDK's completion, streamed or whole, against the log's fold."""
    [choice] = completion.choices
    assert choice.message.role == "assistant"
    assert choice.message.content == state.text
    assert choice.message.reasoning_content == state.reasoning
    assert choice.finish_reason == state.finish_reason
    assert choice.message.headrace["finish_reason"] == state.finish_reason
    assert same_calls(choice.message.tool_calls, state)
    results = choice.message.headrace["tool_results"]
    assert [(r["tool_call_id"], r["content"]) for r in results] == [
        (tool.call_id, tool.output) for tool in state.tools
    ]
    usage = completion.usage
    assert usage.prompt_tokens == state.usage.input
    assert usage.completion_tokens == state.usage.output
    assert usage.total_tokens == state.usage.total
    assert usage.prompt_tokens_details.cached_tokens == state.usage.cached
    assert usage.completion_tokens_details.reasoning_tokens == state.usage.reasoning
    assert completion.id == f"chatcmpl-{state.run_id}"
    assert completion.model == state.model


@pytest.mark.parametrize("seed", range(5))
async def test_its_helper_folds_a_run_with_tools_to_the_logs_fold(seed: int) -> None:
    log = await events_of(researcher())
    completion = await accumulated(encoded(log, include_usage=True), seed)
    assert completion.choices[0].message.content == NEWS
    check(completion, fold(log))


async def test_a_whole_answer_is_the_same() -> None:
    log = await events_of(researcher())
    answer = whole_answer(fold(log), created=log[0].at)
    async with Loopback(reply(answer.status, answer.body)) as server, client(server) as sdk:
        completion = await sdk.chat.completions.create(model="m", messages=ASKED)
    check(completion, fold(log))
    streamed = await accumulated(encoded(log, include_usage=True))
    assert completion.created == streamed.created
    assert completion.choices[0].message.model_extra == streamed.choices[0].message.model_extra


async def test_calls_in_parallel_and_one_that_fails() -> None:
    @tool
    def half(number: int) -> str:
        """Halve it.

        Args:
            number: What to halve.
        """
        if number % 2:
            raise ValueError("odd")
        return str(number // 2)

    calls = [("half", {"number": number}) for number in (4, 5, 6)]
    model = ScriptedModel(
        [Step(text=["One moment. "], tool_calls=calls), Step(tool_calls=calls[:1]), Step(text="2")]
    )
    log = await events_of(Agent(model=model, tools=[half]))
    state = fold(log)
    message = (await accumulated(encoded(log))).choices[0].message
    assert message.content == state.text == "One moment. 2"
    assert len(message.tool_calls) == 4
    assert same_calls(message.tool_calls, state)
    assert [r["is_error"] for r in message.headrace["tool_results"]].count(True) == 1


async def test_a_plain_loop_sees_role_text_finish_and_usage() -> None:
    log = await events_of(researcher())
    got = await chunks(encoded(log, include_usage=True))
    assert got[0].choices[0].delta.role == "assistant"
    assert {(c.id, c.created, c.model, c.object) for c in got} == {
        (f"chatcmpl-{fold(log).run_id}", int(log[0].at), fold(log).model, "chat.completion.chunk")
    }
    assert [c.choices[0].finish_reason for c in got[:-1]][-1] == "stop"
    assert all(c.usage is None for c in got[:-1])
    assert got[-1].choices == []
    assert got[-1].usage.total_tokens == fold(log).usage.total


@settings(max_examples=12)
@given(log=logs(), seed=st.integers(0, 2**32))
def test_any_log_in_any_pieces(log: list[e.Event], seed: int) -> None:
    assume(not taken_back(log))
    state = fold(log)
    got = asyncio.run(chunks(encoded(log), seed))
    assert "".join(c.choices[0].delta.content or "" for c in got) == state.text
    assert got[-1].choices[0].finish_reason == "stop"
    message = asyncio.run(accumulated(encoded(log), seed)).choices[0].message
    assert message.content == state.text
    tools = [tool for tool in state.tools if not tool.agent]
    assert sorted(c.id for c in message.tool_calls or ()) == sorted(t.call_id for t in tools)


@pytest.mark.parametrize(
    ("reason", "seen"),
    [("length", "length"), ("max_steps", "length"), ("content_filter", "content_filter")],
)
async def test_finish_reasons(reason: str, seen: str) -> None:
    log = begun("Hi")
    log.put(e.Complete, reason, Usage(), Metrics())
    last = (await chunks(encoded(log.events)))[-1].choices[0]
    assert last.finish_reason == seen
    assert last.delta.headrace == {"finish_reason": reason}


def begun(text: str) -> Scribe:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "scripted:one")
    scribe.put(e.StepStart, 1, "scripted:one")
    scribe.put(e.Token, text, 0)
    return scribe


async def test_an_error_is_raised_with_its_code_and_message() -> None:
    log = begun("So far ")
    log.put(e.Error, "stream_truncated", "The model broke off.", True, Metrics())
    text, error = await raised(encoded(log.events))
    assert text == "So far "
    assert error.code == "stream_truncated"
    assert error.type == "server_error"
    assert error.message == "The model broke off."


async def test_a_cancel_is_raised() -> None:
    log = begun("So far ")
    log.put(e.Cancelled, "user pressed stop", Usage(), Metrics(), Receipt("So far "))
    text, error = await raised(encoded(log.events))
    assert (text, error.code) == ("So far ", "cancelled")
    assert error.message == "The run was cancelled: user pressed stop."


async def test_a_withdrawn_text_is_raised() -> None:
    log = begun("So far ")
    log.put(e.Retract, 3, "recovered")
    log.put(e.StepStart, 1, "scripted:one")
    log.put(e.Token, "Anew.", 0)
    log.put(e.Complete, "stop", Usage(), Metrics())
    text, error = await raised(encoded(log.events))
    assert (text, error.code) == ("So far ", "withdrawn")


async def test_a_failure_of_the_server_is_raised() -> None:
    encoder = OpenAIChatEncoder()
    data = encoder.encode(begun("So far ").events)
    text, error = await raised(data + encoder.fail(StoreUnavailable("The disk is full.")))
    assert (text, error.code) == ("So far ", "store_unavailable")


async def test_a_failed_run_is_raised_once_as_a_whole_answer() -> None:
    log = begun("So far ")
    log.put(e.Error, "rate_limited", "Too many requests.", True, Metrics())
    answer = whole_answer(fold(log.events), created=0)
    script = reply(answer.status, answer.body, headers=dict(answer.headers))
    async with Loopback(script) as server:
        async with AsyncOpenAI(api_key="k", base_url=server.url, max_retries=2) as sdk:
            with pytest.raises(openai.RateLimitError) as caught:
                await sdk.chat.completions.create(model="m", messages=ASKED)
        assert len(server.requests) == 1
    assert caught.value.code == "rate_limited"
    assert "Too many requests." in caught.value.message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ],
)
async def test_refusals_are_raised_by_their_status(
    status: int, kind: type[openai.APIStatusError]
) -> None:
    body = error_body(UsageError("That is nothing.", hint="Send something."), status)
    async with Loopback(reply(status, body)) as server, client(server) as sdk:
        with pytest.raises(kind) as caught:
            await sdk.chat.completions.create(model="m", messages=ASKED)
    assert caught.value.code == "usage"
    assert "That is nothing. Send something." in caught.value.message


async def test_the_list_of_models() -> None:
    body = models_list(["assistant", "an/other"], 1000.5)
    async with Loopback(reply(200, body)) as server, client(server) as sdk:
        found = [model async for model in sdk.models.list()]
    assert [(m.id, m.created, m.object, m.owned_by) for m in found] == [
        ("assistant", 1000, "model", "headrace"),
        ("an/other", 1000, "model", "headrace"),
    ]


async def asked(**fields: Any) -> CompletionRequest:
    """The request that the SDK sends, as it is understood."""
    data = encoded([*begun("Hi").events, e.Complete(4, 1001.0, "", "stop", Usage(), Metrics())])
    async with Loopback(stream(data)) as server, client(server) as sdk:
        await sdk.chat.completions.create(**fields)
        return parse_request(server.requests[0].body)


async def test_its_request_is_understood() -> None:
    request = await asked(
        model="assistant",
        messages=ASKED,
        stream=True,
        stream_options={"include_usage": True},
        temperature=0.2,
        max_completion_tokens=100,
        user="someone",
    )
    assert (request.model, request.stream, request.include_usage) == ("assistant", True, True)
    assert request.input.text == QUESTION


async def test_a_conversation_goes_on_with_the_answer_as_it_came() -> None:
    """Its calls ran on the server: the client has no results for them, and needs none."""
    log = await events_of(researcher())
    message = (await accumulated(encoded(log))).choices[0].message
    more: Any = {"role": "user", "content": "And now?"}
    request = await asked(model="assistant", messages=[*ASKED, message, more], stream=True)
    said = [*request.history, request.input]
    assert [m.text for m in said] == [QUESTION, NEWS, "And now?"]
    assert not any(m.tool_calls for m in said)
    again = ScriptedModel([Step(text="More.")])
    async with Agent(model=again).start(request.input, history=request.history) as run:
        events = [event async for event in run.events()]
    check_events(events)
    assert fold(events).text == "More."
