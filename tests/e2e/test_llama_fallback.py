"""An answer that breaks off and that a real server goes on with."""

from __future__ import annotations

from typing import Any

from headrace import Agent, fallback, resolve_model
from headrace.testing import Cut, FaultyModel, ScriptedModel, Step
from tests.e2e.llama_server import LlamaServer

TALK: dict[str, Any] = {"max_tokens": 12, "extra": {"ignore_eos": True, "temperature": 0}}


async def test_llamacpp_goes_on_with_an_answer_begun(llama: LlamaServer) -> None:
    for begun in ("Once upon a time", "Once upon ", "Once upon a time.\n\n"):
        broken = FaultyModel(ScriptedModel([Step(text=[*begun, "!"])]), Cut(len(begun)))
        local = resolve_model("llamacpp:tiny", base_url=llama.base_url)
        both = fallback(broken, local, midstream="continue")
        chunks = [c.content async for c in Agent(model=both, **TALK).run_stream("hi")]
        text = "".join(chunks)
        assert text.startswith(begun)
        assert text.count("Once") == 1
        assert len(text.split()) >= len(begun.split()) + 6
