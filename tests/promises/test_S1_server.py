"""What users of Cogent know, over HTTP."""

from __future__ import annotations

from headrace import Agent
from headrace.testing import ScriptedModel, Step
from tests.promises.story import NEWS, QUESTION, held, researcher
from tests.server.reading import reading
from tests.server.serving import serving


async def test_S1_16_post_chat_stream_answers_with_plain_text_as_it_comes() -> None:
    model, gate = held("One ")
    async with serving([Agent("bot", model)]) as server:
        # `message: str` of a FastAPI route is a query parameter; a JSON body works as well.
        url = f"{server.url}/chat/stream?message=Count"
        async with reading(url, {}) as reader:
            assert reader.response.headers["content-type"] == "text/plain; charset=utf-8"
            assert await reader.response.content.readany() == b"One "
            gate.open()
            assert await reader.response.content.read() == b" more"
        assert model.requests[0].messages[-1].text == "Count"


async def test_S1_16_plain_text_is_the_whole_answer_through_tools() -> None:
    async with serving([researcher()]) as server:
        async with reading(f"{server.url}/chat/stream", {"message": QUESTION}) as reader:
            assert (await reader.response.read()).decode() == NEWS


async def test_S1_17_post_chat_sse_sends_tokens_and_then_done() -> None:
    agent = Agent("bot", ScriptedModel([Step(text=["Hello", " world", "!\n", "[DONE]"])]))
    async with serving([agent]) as server:
        async with reading(f"{server.url}/chat/sse", {"message": "Hi"}) as reader:
            frames = await reader.all()
    assert [(f.event, f.data) for f in frames[:-1]] == [
        ("token", "Hello"),
        ("token", " world"),
        ("token", "!\n"),
        ("token", "[DONE]"),  # a model may say this; the end is an event, not a word
    ]
    assert frames[-1].event == "done"
