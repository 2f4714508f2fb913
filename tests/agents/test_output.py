"""The type of an answer: its schema, and the check of what a model wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from msgspec import UNSET
from pydantic import AfterValidator, BaseModel, Field, computed_field
from typing_extensions import TypedDict

from headrace.agents.output import MAX_FAULTS, RETRIES, Output
from headrace.errors import InvalidOutput, UsageError
from headrace.models.request import Options
from headrace.tools.tool import tool


class Mood(Enum):
    GLAD = "glad"
    SAD = "sad"


class Pet(BaseModel):
    """An animal of someone's."""

    name: str
    born: date | None = None


class Person(BaseModel):
    name: str
    age: Annotated[int, Field(ge=0)]
    mood: Mood = Mood.GLAD
    pets: list[Pet] = []


@dataclass
class Place:
    city: str
    tags: list[str] = field(default_factory=list)


class Point(TypedDict):
    x: int
    y: int


class Node(BaseModel):
    name: str
    below: list[Node] = []


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (Person, '{"name": "Ada", "age": 36}', Person(name="Ada", age=36)),
        (Place, '{"city": "Rome", "tags": ["old"]}', Place("Rome", ["old"])),
        (Point, '{"x": 1, "y": 2}', {"x": 1, "y": 2}),
        (Node, '{"name": "a", "below": [{"name": "b"}]}', Node(name="a", below=[Node(name="b")])),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (list[Pet], '{"result": [{"name": "Rex"}]}', [Pet(name="Rex")]),
        (list[Pet], '[{"name": "Rex"}]', [Pet(name="Rex")]),
        (Pet | Place, '{"result": {"city": "Rome"}}', Place("Rome")),
        (Pet | Place, '{"city": "Rome"}', Place("Rome")),
        (int, '{"result": 3}', 3),
        (int | None, '{"result": null}', None),
        (Literal["a", "b"], '{"result": "b"}', "b"),
        (Mood, '{"result": "sad"}', Mood.SAD),
        (list[list[int]], '{"result": [[1], []]}', [[1], []]),
    ],
)
def test_an_answer_is_an_instance_of_the_type(type_: Any, text: str, value: object) -> None:
    output = Output(type_)
    given = output.value(text)
    assert (type(given), given) == (type(value), value)
    assert output.restored(text, "told") == value


def test_its_json_value_is_plain() -> None:
    person = Person(name="Ada", age=36, pets=[Pet(name="Rex", born=date(2020, 1, 2))])
    assert Output(Person).json_value(person) == {
        "name": "Ada",
        "age": 36,
        "mood": "glad",
        "pets": [{"name": "Rex", "born": "2020-01-02"}],
    }
    assert Output(list[Place]).json_value([Place("Rome")]) == [{"city": "Rome", "tags": []}]


def test_an_ended_run_of_another_type_keeps_its_json() -> None:
    class Strict(BaseModel, extra="forbid"):
        name: str

        @computed_field
        def length(self) -> int:
            return len(self.name)

    output = Output(Strict)
    value = output.value('{"name": "Ada"}')
    told = output.json_value(value)
    assert told == {"name": "Ada", "length": 3}
    assert output.restored('{"name": "Ada"}', told) == value
    assert output.restored('{"title": "Ada"}', told) == told


# What the model is told -------------------------------------------------------------------------


def test_each_fault_is_named() -> None:
    with pytest.raises(InvalidOutput) as caught:
        Output(Person).value('{"age": -3, "mood": "angry", "pets": [{"name": "a"}, {"name": 7}]}')
    lines = caught.value.message.splitlines()
    assert lines[0] == "The answer is no valid Person:"
    assert [line.split(":")[0] for line in lines[1:]] == [
        "- name",
        "- age",
        "- mood",
        "- pets[1].name",
    ]
    assert "got -3" in lines[2]
    assert caught.value.code == "invalid_output"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "There is no JSON of Person in the answer."),
        (" \n", "There is no JSON of Person in the answer."),
        ('{"name": "Ada", ', "Invalid JSON"),
        ("[]", "object"),
        ('{"name": "Ada", "age": 1} and more', "Invalid JSON"),
    ],
)
def test_what_is_no_json_is_told(text: str, told: str) -> None:
    with pytest.raises(InvalidOutput, match=told):
        Output(Person).value(text)


def test_many_long_faults_are_cut() -> None:
    text = '{"result": [' + ",".join(['"' + "é" * 500 + '"'] * 500) + "]}"
    with pytest.raises(InvalidOutput) as caught:
        Output(list[int]).value(text)
    assert len(caught.value.message) <= MAX_FAULTS
    assert caught.value.message.endswith("- and more")


def test_a_validator_that_breaks_is_told() -> None:
    def broken(value: int) -> int:
        raise KeyError("gone")

    class Odd(BaseModel):
        a: Annotated[int, AfterValidator(broken)]

    with pytest.raises(InvalidOutput, match="could not be checked as Odd: KeyError: 'gone'"):
        Output(Odd).value('{"a": 1}')


# The schema -------------------------------------------------------------------------------------


def test_the_schema_is_closed_and_untitled() -> None:
    assert Output(Pet).schema == {
        "title": "Pet",
        "description": "An animal of someone's.",
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "born": {
                "anyOf": [{"type": "string", "format": "date"}, {"type": "null"}],
                "default": None,
            },
        },
        "required": ["name"],
        "additionalProperties": False,
    }
    assert Output(Person).schema["$defs"]["Pet"]["additionalProperties"] is False


def test_fields_may_be_called_as_the_words_of_a_schema() -> None:
    class Odd(BaseModel):
        type: str
        properties: Point
        default: Literal["a"] = "a"

    schema = Output(Odd).schema
    assert list(schema["properties"]) == ["type", "properties", "default"]
    assert schema["properties"]["default"]["default"] == "a"
    assert Output(Odd).value('{"type": "t", "properties": {"x": 1, "y": 2}}').type == "t"


def test_what_is_no_object_is_wrapped() -> None:
    output = Output(list[Pet])
    assert output.wrapped
    assert (output.schema["type"], output.schema["required"]) == ("object", ["result"])
    assert output.schema["properties"]["result"]["items"] == {"$ref": "#/$defs/Pet"}
    assert "Pet" in output.schema["$defs"]
    assert output.unwrapped({"result": [1]}) == [1]
    assert output.unwrapped({}) is UNSET
    assert output.unwrapped([1]) == [1]
    assert Output(Pet).unwrapped({"result": 1}) == {"result": 1}


def test_a_type_that_holds_itself_is_an_object() -> None:
    output = Output(Node)
    assert not output.wrapped
    assert output.schema["properties"]["below"]["items"] == {"$ref": "#/$defs/Node"}
    assert output.schema["$defs"]["Node"]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("type_", "is_open"),
    [(Person, False), (list[Place], False), (Node, True), (dict[str, int], True), (dict, True)],
)
def test_open_schemas_are_known(type_: Any, is_open: bool) -> None:
    assert Output(type_).is_open == is_open


@pytest.mark.parametrize("type_", [Person, list[Person], Pet | None, dict[str, Any], int])
def test_names_are_such_as_providers_take(type_: Any) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", Output(type_).name)
    assert Output(type_).response_format["name"] == Output(type_).name


def test_a_local_types_label_has_no_module() -> None:
    class Inner(BaseModel):
        a: int

    assert Output(list[Inner]).label == "list[Inner]"


# Bad input --------------------------------------------------------------------------------------


class Nothing:
    """A class that pydantic knows nothing of."""


def give(city: str) -> str:
    """A function, which pydantic would take for the type of its arguments."""
    return city


class Holds(BaseModel, arbitrary_types_allowed=True):
    nothing: Nothing


@pytest.mark.parametrize(
    "type_",
    [Nothing, Holds, list[Nothing], give, "Person", 3, {"type": "object"}, Person(name="a", age=1)],
)
def test_a_type_without_a_schema_is_refused(type_: Any) -> None:
    with pytest.raises(UsageError, match=r"output_type .* has no JSON Schema"):
        Output(type_)


def test_bad_settings_are_refused() -> None:
    assert Output(Person).retries == RETRIES == 2
    with pytest.raises(UsageError, match="at least 0"):
        Output(Person, retries=-1)
    with pytest.raises(UsageError, match='"schema" or "tool"'):
        Output(Person, by="json")  # type: ignore[arg-type]


def test_what_stands_in_the_way_is_refused() -> None:
    @tool
    def final_answer(text: str) -> str:
        """Give it."""
        return text

    output = Output(Person)
    with pytest.raises(UsageError, match="cannot be named 'final_answer'"):
        output.check_agent({"final_answer": final_answer}, Options())
    with pytest.raises(UsageError, match="both say what the answer is"):
        output.check_agent({}, Options(response_format="json_object"))
    output.check_agent({}, Options(temperature=0))
