"""A model without tool calling, wrapped: what it is asked, when it is stopped, how it breaks."""

from __future__ import annotations

import pytest

from headrace.errors import (
    ConnectionFailed,
    ProviderError,
    ProviderUnavailable,
    RequestRejected,
    StreamTruncated,
    UsageError,
)
from headrace.models.assembler import Turn
from headrace.models.fallback import Fallback
from headrace.models.model import Model
from headrace.models.react.model import ReActModel
from headrace.models.react.prompt import STOP
from headrace.models.request import ModelRequest, ToolSpec
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.providers.openai_responses.client import OpenAIResponses
from headrace.testing import Gate, ScriptedModel, Step
from headrace.usage import Usage
from tests.providers.chat_bodies import DONE, chunk
from tests.providers.chat_bodies import STOP as STOPPED
from tests.support.fake_model import AT_ONCE
from tests.support.loopback import Loopback, reply, stream

CLOCK = ToolSpec("clock", "Tell the time.", {"type": "object", "properties": {}})
ASK = ModelRequest.of("What time is it?", tools=[CLOCK])
ACTION = "Thought: Look.\nAction: clock\nAction Input: {}\n"


async def turn_of(model: Model, request: ModelRequest = ASK) -> Turn:
    return await ReActModel(model).complete(request)


async def test_it_calls_tools_though_the_model_has_none() -> None:
    with ScriptedModel([Step(text=list(ACTION), usage=Usage(9, 7))]) as model:
        turn = await turn_of(model)
    assert [(call.name, call.arguments) for call in turn.tool_calls] == [("clock", "{}")]
    assert (turn.reasoning, turn.text, turn.usage) == ("Look.", "", Usage(9, 7))
    (request,) = model.requests
    assert request.tools == ()
    assert request.options.stop == (STOP,)


async def test_it_has_the_models_name_and_can_be_asked_for_tools_alone() -> None:
    model = ReActModel(ScriptedModel())
    assert model.name == "scripted:scripted"
    assert model.features == {"tools"}


async def test_each_call_of_a_conversation_has_an_id_of_its_own() -> None:
    model = ReActModel(ScriptedModel([Step(text=ACTION)] * 3))
    first = await model.complete(ASK)
    again = await model.complete(ASK)
    second = await model.complete(ModelRequest((*ASK.messages, first.message), (CLOCK,)))
    assert first.tool_calls[0].id == again.tool_calls[0].id != second.tool_calls[0].id


async def test_a_model_that_ignores_the_stop_is_stopped_at_its_observation() -> None:
    gate = Gate()
    model = ScriptedModel([Step(text=[ACTION, "Observation:", gate, " noon\nFinal Answer: noon"])])
    turn = await turn_of(model)
    assert (turn.text, len(turn.tool_calls)) == ("", 1)
    assert not gate.reached.is_set()
    assert model.open_streams == 0


@pytest.mark.parametrize("message", ["Unsupported parameter: 'stop'", "scripted takes no stop."])
@pytest.mark.parametrize("kind", [RequestRejected, UsageError])
async def test_where_a_stop_is_refused_it_is_asked_without(
    message: str, kind: type[RequestRejected] | type[UsageError]
) -> None:
    def refuses(request: ModelRequest) -> Step:
        if kind is UsageError:
            raise UsageError(message)
        return Step(error=RequestRejected(message, status=400))

    inner = ScriptedModel([refuses, Step(text=ACTION), Step(text=ACTION)])
    with inner:
        model = ReActModel(inner)
        assert len((await model.complete(ASK)).tool_calls) == 1
        assert len((await model.complete(ASK)).tool_calls) == 1
    assert [request.options.stop for request in inner.requests] == [(STOP,), (), ()]
    assert inner.open_streams == 0


async def test_a_stop_that_is_refused_behind_a_retry_is_left_out_too() -> None:
    busy = Step(error=ProviderUnavailable("503"))
    refused = Step(error=RequestRejected("no stop"))
    with ScriptedModel([busy, refused, Step(text=ACTION)], retry=AT_ONCE) as model:
        assert len((await turn_of(model)).tool_calls) == 1


async def test_a_refusal_in_the_answer_is_the_models_own() -> None:
    refused = RequestRejected("stop")
    with ScriptedModel([Step(text="It is", error=refused)]) as model:
        with pytest.raises(RequestRejected):
            await turn_of(model)


@pytest.mark.parametrize("stop", [[], ["END"]])
async def test_another_refusal_is_the_models_own(stop: list[str]) -> None:
    error = RequestRejected("no such parameter: stop" if stop else "The prompt is too long.")
    request = ModelRequest.of("Hi", tools=[CLOCK], stop=stop)
    with ScriptedModel([Step(error=error)]) as model, pytest.raises(RequestRejected) as caught:
        await turn_of(model, request)
    assert caught.value is error


async def test_where_openai_refuses_a_stop_it_is_asked_without() -> None:
    message = "Unsupported parameter: 'stop' is not supported with this model."
    refused = reply(400, {"error": {"message": message, "param": "stop"}})
    async with Loopback(refused, stream(chunk(ACTION), STOPPED, DONE)) as server:
        turn = await turn_of(OpenAIChat("gpt-5", base_url=server.url))
    assert len(turn.tool_calls) == 1
    assert [request.json.get("stop") for request in server.requests] == [[STOP], None]


async def test_the_responses_api_has_no_stop() -> None:
    refused = reply(400, {"error": {"message": "Your prompt is bad."}})
    async with Loopback(refused) as server:
        with pytest.raises(ProviderError, match="Your prompt is bad"):
            await turn_of(OpenAIResponses("gpt-5", base_url=server.url, api_key="sk-test"))
    (request,) = server.requests
    assert "stop" not in request.json
    assert "tools" not in request.json


async def test_what_was_said_before_a_break_is_kept() -> None:
    gone = ConnectionFailed("gone", retryable=False)
    for step in (
        Step(text="Final Answer: It is\nT", error=gone),
        Step(text="It is\nT", error=gone),
    ):
        with pytest.raises(ConnectionFailed) as caught:
            await turn_of(ScriptedModel([step]))
        assert isinstance(caught.value.turn, Turn)
        assert caught.value.turn.text == "It is\nT"


async def test_a_stream_that_just_ends_is_truncated() -> None:
    with pytest.raises(StreamTruncated):
        await turn_of(ScriptedModel([Step(text=ACTION, finish_reason=None)]))


async def test_what_a_fallback_has_left_is_read_in_the_same_way() -> None:
    gone = ConnectionFailed("gone")
    models = [
        ScriptedModel([Step(text="Thought: x", error=gone)]),
        ScriptedModel([Step(text=ACTION)]),
    ]
    with pytest.raises(ConnectionFailed) as caught:
        await turn_of(Fallback(models, midstream="retry"))
    assert isinstance(caught.value.instead, ReActModel)
    assert len((await caught.value.instead.complete(ASK)).tool_calls) == 1
