"""ReAct on a real server without its tool calling: a grammar makes a random model keep the form."""

from __future__ import annotations

from headrace import ReActAgent, resolve_model, tool
from headrace.events import Complete, Event, StepEnd, Thought, Token, ToolEnd, ToolStart
from headrace.testing.laws import check_events
from tests.e2e.llama_server import LlamaServer

ACTION = r"""
root ::= "Thought: " [a-z ]{1,40} "\nAction: flip\nAction Input: " input end
input ::= "{\"up\": " ("true" | "false") "}" | "true" | "false" | "maybe"
end ::= "\nObservation: " [a-z ]{1,20} "\nFinal Answer: " [a-z ]{1,20}
"""
ANSWER = r"""
root ::= "**Thought:** " [a-z ]{1,40} "\n\n**Final Answer:** " [a-z] [a-z ]{30,60}
"""


@tool
def flip(up: bool) -> str:
    """Flip the switch."""
    return "it is up" if up else "it is down"


async def events_of(server: LlamaServer, grammar: str, **options: object) -> list[Event]:
    model = resolve_model("llamacpp:tiny", base_url=server.base_url)
    extra = {"grammar": grammar, "seed": 7}
    agent = ReActAgent("thinker", model, tools=[flip], max_tokens=300, extra=extra, **options)  # type: ignore[arg-type]
    async with agent.start("Flip the switch.") as run:
        events = [event async for event in run.events()]
    check_events(events)
    return events


async def test_actions_run_and_their_observations_go_back(llama_tools: LlamaServer) -> None:
    events = await events_of(llama_tools, ACTION, max_steps=3)
    starts = [event for event in events if isinstance(event, ToolStart)]
    ends = [event for event in events if isinstance(event, ToolEnd)]
    steps = [event for event in events if isinstance(event, StepEnd)]
    assert [start.name for start in starts] == ["flip"] * 3
    for end in ends:
        assert end.output in ("it is up", "it is down") or "valid boolean" in (end.error or "")
    assert "".join(event.content for event in events if isinstance(event, Thought)).strip()
    assert not any(
        isinstance(event, Token) for event in events
    )  # its own answer is behind the stop
    assert [step.finish_reason for step in steps] == ["tool_calls"] * 3
    assert all(step.usage.exact for step in steps)  # the server itself stopped at the observation
    assert steps[2].usage.input > steps[1].usage.input > steps[0].usage.input
    last = events[-1]
    assert isinstance(last, Complete)
    assert last.finish_reason == "max_steps"


async def test_an_answer_streams_without_its_marks(llama_tools: LlamaServer) -> None:
    events = await events_of(llama_tools, ANSWER)
    tokens = [event.content for event in events if isinstance(event, Token)]
    said = "".join(tokens)
    assert len(tokens) > 1
    assert said[0].isalpha()
    assert not set(said) & set("*:\n")
    last = events[-1]
    assert isinstance(last, Complete)
    assert last.finish_reason == "stop"
    assert last.usage.exact


async def test_text_without_the_form_is_the_answer(llama: LlamaServer) -> None:
    model = resolve_model("llamacpp:tiny", base_url=llama.base_url)
    agent = ReActAgent("thinker", model, tools=[flip], max_tokens=40, extra={"ignore_eos": True})
    response = await agent.run("Tell me something.")
    assert response.content
    assert (response.finish_reason, response.usage.output) == ("length", 40)
