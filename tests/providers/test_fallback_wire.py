"""A fallback over real sockets: what makes it switch, what it sends, and what it leaves open."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from headrace import Agent, Deadlines, RetryPolicy, fallback, fold, resolve_model
from headrace.errors import ConnectionFailed, ProviderError
from headrace.events import Complete, Error, Event, Retract, StepEnd, Warn
from headrace.models.model import Model
from headrace.models.request import ModelRequest
from headrace.models.retry import NO_RETRY
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.providers.openai_chat.dialect import DEEPSEEK_BETA
from headrace.testing import check_events
from tests.laws.left import leaves_nothing
from tests.providers.chat_bodies import STOP, chunk, event
from tests.support.loopback import FIN, RESET, STALL, Loopback, Script, http_chunk, reply, stream

CANARY = "sk-canary-0123456789abcdef"
ANSWER = "Water carries the wheel.\n\nThe wheel grinds 無理."
FINE = stream(chunk("ok"), STOP)
REQUEST = ModelRequest.of("hi")


def model_at(server: Loopback, name: str, **settings: Any) -> Model:
    settings = {"retry": NO_RETRY, "api_key": CANARY, **settings}
    return resolve_model(name, base_url=server.url, **settings)


def cut(*items: object, end: object = FIN) -> Script:
    return stream(*items, end=end)


async def run(agent: Agent, **options: Any) -> list[Event]:
    async with agent.start("hi", **options) as running:
        events = [event async for event in running.events()]
    check_events(events)
    return events


ERROR = {"error": {"message": f"No, not with {CANARY}.", "type": "some_error"}}
SPENT = {"error": {"message": "Spent.", "type": "insufficient_quota", "code": "insufficient_quota"}}
TROUBLES: dict[str, Script] = {
    **{
        str(status): reply(status, ERROR)
        for status in (401, 403, 404, 408, 409, 429, 500, 503, 529)
    },
    "spent": reply(429, SPENT),
    "told not to retry": reply(500, ERROR, headers={"x-should-retry": "false"}),
    "a page": reply(200, "<html><title>Log in</title></html>", "text/html"),
    "whole": reply(200, {"choices": [{"message": {"content": "whole"}}]}),
    "reset": [RESET],
    "closed": [FIN],
    "cut": cut(chunk({"role": "assistant"})),
    "an error within": stream(event(ERROR)),
    "garbage": stream(b"data: {{{\n\n"),
    "silence": stream(b": alive\n\n", end=STALL),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_trouble_before_content_leads_on(trouble: str) -> None:
    async with leaves_nothing(), Loopback(TROUBLES[trouble]) as bad, Loopback(FINE) as good:
        waits = Deadlines(first_content=0.2) if trouble == "silence" else Deadlines()
        models = model_at(bad, "openai:a", deadlines=waits), model_at(good, "groq:b")
        events = await run(Agent(model=fallback(*models)))
        assert fold(events).text == "ok"
        (warning,) = [e.message for e in events if isinstance(e, Warn)]
        assert warning.startswith("openai:a failed: ")
        assert warning.endswith(" Asking groq:b instead.")
        assert CANARY not in str(events)
        if trouble == "silence":
            await bad.all_closed()
        else:
            assert len(bad.requests) == 1
    assert len(good.requests) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_request_that_is_refused_is_asked_of_nobody_else(status: int) -> None:
    async with Loopback(reply(status, ERROR)) as bad, Loopback(FINE) as good:
        events = await run(Agent(model=fallback(model_at(bad, "openai:a"), model_at(good, "groq"))))
    assert isinstance(events[-1], Error)
    assert events[-1].code == "request_rejected"
    assert good.requests == []


async def test_nobody_listens() -> None:
    async with Loopback(FINE) as gone:
        pass
    async with Loopback(FINE) as good:
        both = fallback(model_at(gone, "openai:a"), model_at(good, "openai:b"))
        assert (await both.complete(REQUEST)).text == "ok"
    with pytest.raises(ConnectionFailed) as caught:
        await fallback(model_at(gone, "openai:a"), model_at(gone, "openai:b")).complete(REQUEST)
    assert len(caught.value.__notes__) == 1


async def test_named_models_take_the_settings_and_their_retries_come_first() -> None:
    async with Loopback(reply(503, ERROR)) as bad:
        both = fallback(
            "openai:a", "groq:b", base_url=bad.url, api_key="k", retry=RetryPolicy(1, base=0.0)
        )
        with pytest.raises(ProviderError) as caught:
            await both.complete(REQUEST)
        assert [r.json["model"] for r in bad.requests] == ["a", "a", "b", "b"]
    assert caught.value.provider == "groq"
    assert CANARY not in "".join([str(caught.value), *caught.value.__notes__])


@pytest.mark.parametrize("end", [FIN, RESET, None])
async def test_a_break_in_mid_stream_is_withdrawn_and_the_next_model_asked(end: object) -> None:
    async with leaves_nothing(), Loopback(cut(chunk("Half"), end=end)) as bad:
        async with Loopback(FINE) as good:
            models = model_at(bad, "openai:a"), model_at(good, "groq:b")
            events = await run(Agent(model=fallback(*models, midstream="retry")))
    assert (fold(events).text, fold(events).model) == ("ok", "groq:b")
    assert sum(isinstance(e, Retract) for e in events) == 1


async def test_a_gap_in_mid_stream_leads_on_too() -> None:
    async with Loopback(stream(chunk("Half"), end=STALL)) as bad, Loopback(FINE) as good:
        slow = model_at(bad, "openai:a", deadlines=Deadlines(gap=0.1))
        events = await run(Agent(model=fallback(slow, model_at(good, "groq"), midstream="retry")))
        await bad.closed(0)
    assert fold(events).text == "ok"


class GoesOn(Loopback):
    """Goes on with the answer that it is given, as a server that says it again, or does not."""

    echoes = False

    def take(self, request: Any) -> Script:
        super().take(request)
        last = request.json["messages"][-1]
        begun = last["content"] if last["role"] == "assistant" else ""
        if not isinstance(begun, str):
            begun = "".join(block["text"] for block in begun)
        assert ANSWER.startswith(begun)
        return self.answer(ANSWER if self.echoes else ANSWER[len(begun) :])

    def answer(self, rest: str) -> Script:
        told = {"usage": {"prompt_tokens": 20, "completion_tokens": 5}}
        return stream(*(chunk(c) for c in rest), event({"choices": [], **told}), STOP)


class Echoes(GoesOn):
    echoes = True


@pytest.mark.parametrize(
    ("name", "kind", "marks", "body"),
    [
        ("llamacpp", Echoes, {}, {}),
        ("llamacpp", GoesOn, {}, {}),
        ("mistral", Echoes, {"prefix": True}, {}),
        ("mistral", GoesOn, {"prefix": True}, {}),
        ("vllm:x", GoesOn, {}, {"continue_final_message": True, "add_generation_prompt": False}),
    ],
)
async def test_an_answer_goes_on_at_every_cut(
    name: str, kind: type[GoesOn], marks: dict[str, Any], body: dict[str, Any]
) -> None:
    for at in range(1, len(ANSWER)):
        half = ANSWER[:at]
        async with Loopback(cut(chunk(half), end=RESET)) as bad, kind(FINE) as good:
            models = model_at(bad, "openai:a"), model_at(good, name)
            events = await run(Agent(model=fallback(*models, midstream="continue")), retract=False)
            assert fold(events).text == ANSWER
            sent = good.requests[0].json
        assert sent["messages"][-1] == {"role": "assistant", "content": half.rstrip(), **marks}
        assert {key: sent[key] for key in body} == body
        assert isinstance(events[-1], Complete)
        assert (events[-1].usage.output >= 5, events[-1].usage.exact) == (True, False)


class Anthropic(GoesOn):
    def answer(self, rest: str) -> Script:
        usage = {"input_tokens": 20, "output_tokens": 5}
        deltas = [{"type": "text_delta", "text": c} for c in rest]
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": {"usage": {"input_tokens": 20}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}},
            *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
            {"type": "message_stop"},
        ]
        return stream(*(event(value, name=value["type"]) for value in events))


class Ollama(GoesOn):
    def answer(self, rest: str) -> Script:
        counts = {"prompt_eval_count": 20, "eval_count": 5, "done_reason": "stop"}
        lines = [{"message": {"role": "assistant", "content": c}, "done": False} for c in rest]
        last = {"message": {"role": "assistant", "content": ""}, "done": True, **counts}
        body = [json.dumps(line).encode() + b"\n" for line in [*lines, last]]
        return stream(*body, content_type="application/x-ndjson")


@pytest.mark.parametrize(
    ("name", "kind"), [("anthropic:claude-sonnet-4-5", Anthropic), ("ollama:x", Ollama)]
)
async def test_an_answer_goes_on_in_other_wires_at_every_cut(name: str, kind: type[GoesOn]) -> None:
    for at in range(1, len(ANSWER)):
        async with Loopback(cut(chunk(ANSWER[:at]), end=RESET)) as bad, kind(FINE) as good:
            models = model_at(bad, "openai:a"), model_at(good, name)
            response = await Agent(model=fallback(*models, midstream="continue")).run("hi")
            assert (response.content, response.model) == (ANSWER, name)
            assert response.usage.output >= 5


async def test_only_an_answer_begun_is_marked_as_one() -> None:
    async with Loopback(FINE) as good:
        for name in ("llamacpp", "mistral", "vllm:x"):
            assert (await model_at(good, name).complete(REQUEST)).text == "ok"  # type: ignore[attr-defined]
    for request in good.requests:
        assert "continue_final_message" not in request.json
        assert "prefix" not in request.json["messages"][-1]


def test_who_goes_on() -> None:
    def goes_on(name: str, **settings: Any) -> bool:
        made = resolve_model(name, api_key="k", **settings)
        return bool(getattr(made, "continues", None))

    able = ("llamacpp", "vllm:x", "mistral", "ollama", "anthropic:claude-sonnet-4-5")
    assert all(map(goes_on, able))
    assert not goes_on("anthropic:claude-opus-4-6")
    assert not any(map(goes_on, ("openai:gpt-5", "groq", "deepseek", "xai", "lmstudio", "demo")))
    assert OpenAIChat("deepseek-chat", dialect=DEEPSEEK_BETA).continues


async def test_a_model_that_refuses_the_answer_begun_is_asked_afresh() -> None:
    class Refuses(Loopback):
        def take(self, request: Any) -> Script:
            super().take(request)
            begun = request.json["messages"][-1]["role"] == "assistant"
            return reply(400, ERROR) if begun else FINE

    async with Loopback(cut(chunk("Half"))) as bad, Refuses(FINE) as good:
        models = model_at(bad, "openai:a"), model_at(good, "llamacpp")
        events = await run(Agent(model=fallback(*models, midstream="continue")))
    assert (fold(events).text, len(good.requests)) == ("ok", 2)
    assert sum(isinstance(e, Retract) for e in events) == 1


@pytest.mark.parametrize("midstream", ["error", "retry", "continue"])
async def test_a_cancel_during_a_switch_closes_the_socket(midstream: Any) -> None:
    broken = reply(503, ERROR) if midstream == "error" else cut(chunk("Half"))
    async with leaves_nothing(), Loopback(broken) as bad, Loopback([STALL]) as good:
        models = model_at(bad, "openai:a"), model_at(good, "llamacpp")
        async with Agent(model=fallback(*models, midstream=midstream)).start("hi") as running:
            reading = asyncio.create_task(_all(running.events()))
            await good.asked(1)
            await running.cancel("enough")
            events = await reading
        await good.closed(0)
    check_events(events)
    assert [e.finish_reason for e in events if isinstance(e, StepEnd)][-1] == "cancelled"


async def _all(events: Any) -> list[Event]:
    return [event async for event in events]


async def test_the_chunked_body_may_end_without_an_end_of_the_answer() -> None:
    half = [stream(chunk("x"))[0], http_chunk(chunk("Half")), http_chunk(b"")]
    async with Loopback(half) as bad, Loopback(FINE) as good:
        models = model_at(bad, "openai:a"), model_at(good, "groq")
        response = await Agent(model=fallback(*models, midstream="retry")).run("hi")
    assert (response.content, response.model) == ("ok", "groq:openai/gpt-oss-20b")
