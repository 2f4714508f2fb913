"""How a model is asked for a structured answer, by what it can be asked for."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel as Typed

from headrace import fallback
from headrace.agents.output import TOOL, Output, OutputBy
from headrace.agents.output.model import OutputModel
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest, ToolSpec
from headrace.providers.table import resolve_model
from headrace.testing import Cut, FaultyModel, ScriptedModel

LOOK = ToolSpec("look", "Look it up.", {"type": "object", "properties": {}})
KEYS = {
    "OPENAI_API_KEY": "k",
    "ANTHROPIC_API_KEY": "k",
    "GEMINI_API_KEY": "k",
    "GROQ_API_KEY": "k",
    "DEEPSEEK_API_KEY": "k",
    "AZURE_OPENAI_API_KEY": "k",
    "AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com",
    "AZURE_OPENAI_DEPLOYMENT": "d",
}


class Person(Typed):
    """Someone."""

    name: str


def able(*features: str) -> BaseModel:
    model = ScriptedModel()
    model.features = frozenset(features)
    return model


def rewritten(model: Any, *, by: OutputBy | None = None, **options: Any) -> ModelRequest:
    request = ModelRequest.of("hi", **options)
    return OutputModel(model, Output(Person, by=by)).rewrite(request)


def test_by_schema_where_the_model_takes_one() -> None:
    asked = rewritten(able("schema"), temperature=0.5)
    assert asked.options.response_format == Output(Person).response_format
    assert (asked.tools, asked.options.tool_choice, asked.options.temperature) == ((), None, 0.5)


def test_by_tool_where_it_takes_none() -> None:
    asked = rewritten(able("tools", "tool_choice"))
    (spec,) = asked.tools
    assert (spec.name, spec.parameters) == (TOOL, Output(Person).schema)
    assert spec.description.endswith("Someone.")
    assert asked.options.tool_choice == "required"
    assert asked.options.response_format is None


def test_beside_tools_by_schema_only_where_both_go() -> None:
    both = rewritten(able("schema", "schema+tools"), tools=[LOOK])
    assert (both.tools, both.options.response_format) == ((LOOK,), Output(Person).response_format)
    one = rewritten(able("tools", "tool_choice", "schema"), tools=[LOOK])
    assert [spec.name for spec in one.tools] == ["look", TOOL]
    assert (one.options.tool_choice, one.options.response_format) == ("required", None)


def test_an_open_schema_goes_only_where_it_is_taken() -> None:
    output, request = Output(dict[str, int]), ModelRequest.of("hi")
    assert OutputModel(able("schema"), output).by(request) == "tool"
    assert OutputModel(able("schema", "open schema"), output).by(request) == "schema"


def test_a_call_is_forced_only_where_it_can_be() -> None:
    assert rewritten(able("tools")).options.tool_choice is None
    thinking = rewritten(able("tools", "tool_choice"), reasoning_effort="high")
    assert thinking.options.tool_choice is None
    plain = rewritten(able("tools", "tool_choice"), reasoning_effort="none")
    assert plain.options.tool_choice == "required"


def test_a_choice_of_the_callers_own_holds() -> None:
    model = able("tools", "tool_choice")
    assert rewritten(model, tools=[LOOK], tool_choice="look").options.tool_choice == "look"
    none = rewritten(model, tools=[LOOK], tool_choice="none")
    assert ([spec.name for spec in none.tools], none.options.tool_choice) == ([TOOL], "required")


def test_the_caller_may_say_how() -> None:
    assert rewritten(able("schema"), by="tool").tools
    assert rewritten(able("tools"), by="schema").options.response_format


@pytest.mark.parametrize(
    ("name", "alone", "beside_tools"),
    [
        ("openai", "schema", "schema"),
        ("openai-responses", "schema", "schema"),
        ("azure", "schema", "schema"),
        ("anthropic", "schema", "schema"),
        ("gemini", "schema", "tool"),
        ("groq", "schema", "tool"),
        ("deepseek", "tool", "tool"),
        ("ollama:llama3.2", "schema", "tool"),
        ("llamacpp:x", "schema", "tool"),
        ("vllm:x", "schema", "tool"),
        ("lmstudio", "schema", "tool"),
        ("demo", "tool", "tool"),
    ],
)
def test_how_each_provider_is_asked(name: str, alone: str, beside_tools: str) -> None:
    model = OutputModel(resolve_model(name, env=KEYS), Output(Person))
    assert model.by(ModelRequest.of("hi")) == alone
    assert model.by(ModelRequest.of("hi", tools=[LOOK])) == beside_tools


def test_only_anthropic_takes_no_open_schema() -> None:
    output, request = Output(dict[str, int]), ModelRequest.of("hi")
    asked = {
        name: OutputModel(resolve_model(name, env=KEYS), output).by(request)
        for name in ("openai", "anthropic", "gemini", "llamacpp:x")
    }
    assert [name for name, by in asked.items() if by == "tool"] == ["anthropic"]


def test_nobody_is_forced_who_cannot_be() -> None:
    model = OutputModel(resolve_model("ollama:llama3.2", env=KEYS), Output(Person))
    asked = model.rewrite(ModelRequest.of("hi", tools=[LOOK]))
    assert asked.options.tool_choice is None


def test_several_models_are_asked_as_all_of_them_can_be() -> None:
    one, other = able("schema", "schema+tools"), able("schema", "tools")
    both = OutputModel(fallback(one, other), Output(Person))
    assert both.by(ModelRequest.of("hi")) == "schema"
    assert both.by(ModelRequest.of("hi", tools=[LOOK])) == "tool"


def test_a_model_that_cannot_be_made_is_not_counted() -> None:
    both = fallback("anthropic", able("schema"), env={})
    assert "schema" in OutputModel(both, Output(Person)).features


def test_a_broken_model_can_what_its_inner_one_can() -> None:
    broken = FaultyModel(able("schema"), Cut(1))
    assert OutputModel(broken, Output(Person)).features == {"schema"}
