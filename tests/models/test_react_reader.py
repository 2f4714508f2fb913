"""ReAct's form, read as it comes: thoughts, one call, an answer; the same whatever the cuts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConnectionFailed
from headrace.messages import ToolCall
from headrace.models.assembler import Turn, assemble
from headrace.models.deltas import (
    Delta,
    Failure,
    Finish,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from headrace.models.react.action import MAX_LINE
from headrace.models.react.arguments import MAX_HELD
from headrace.models.react.marks import MAX_BLANKS, Mark, Marks
from headrace.models.react.reader import MAX_NAME, UNREADABLE, ReActReader
from headrace.models.react.sections import MAX_UNMARKED
from headrace.models.request import ToolSpec
from headrace.usage import Usage


def spec(name: str, required: Sequence[str] = (), **properties: object) -> ToolSpec:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return ToolSpec(name, "", schema)


TOOLS = [
    spec("calculator", ["expression"], expression={"type": "string"}),
    spec("clock", zone={"type": "string"}),
    spec("count", ["n"], n={"type": "integer"}),
    spec("search_docs", ["query"], query={"type": "string"}, limit={"type": "integer"}),
    spec("send", ["to", "text"], to={"type": "string"}, text={"type": "string"}),
]
STOP: list[Delta] = [Finish("stop")]


def read(pieces: Sequence[str], *, told: bool = False, end: Sequence[Delta] = STOP) -> list[Delta]:
    reader = ReActReader(TOOLS, "call_1", told=told)
    deltas: list[Delta] = []
    for piece in pieces:
        deltas += reader.feed([TextDelta(piece)])
    return [*deltas, *reader.feed(end)]


def turn_of(text: str, *, told: bool = False, end: Sequence[Delta] = STOP) -> Turn:
    """The turn of a text, which must be the same character by character."""
    turn = assemble(read([text], told=told, end=end))
    assert assemble(read(list(text), told=told, end=end)) == turn
    return turn


def called(text: str) -> tuple[str, str]:
    """Name and arguments of the one call that there is, and nothing is answered."""
    turn = turn_of(text)
    assert (turn.text, turn.finish_reason) == ("", "tool_calls")
    ((call),) = turn.tool_calls
    return call.name, call.arguments


MULTIPLY = '{"expression": "123 * 456"}'


def test_a_thought_an_action_and_its_input() -> None:
    turn = turn_of(f"Thought: I must multiply.\nAction: calculator\nAction Input: {MULTIPLY}")
    assert turn.reasoning == "I must multiply."
    assert turn.tool_calls == (ToolCall("call_1", "calculator", MULTIPLY),)
    assert (turn.text, turn.finish_reason) == ("", "tool_calls")


def test_a_thought_and_an_answer() -> None:
    turn = turn_of("Thought: I know.\nFinal Answer: It is 42.\n\n- for sure: yes\n")
    assert (turn.reasoning, turn.text) == ("I know.", "It is 42.\n\n- for sure: yes")
    assert (turn.tool_calls, turn.finish_reason) == ((), "stop")


def test_each_piece_comes_as_it_is_written() -> None:
    pieces = ["Thought: I ", "think.\nAct", "ion: calc", "ulator\nAction Input: ", '{"expr']
    reader = ReActReader(TOOLS, "c")
    assert [reader.feed([TextDelta(piece)]) for piece in pieces] == [
        [ReasoningDelta("I ")],
        [ReasoningDelta("think.")],
        [],
        [ToolCallDelta(0, "c", "calculator", "")],
        [ToolCallDelta(0, "c", "calculator", '{"expr')],
    ]
    reader = ReActReader(TOOLS, "c")
    assert reader.feed([TextDelta("Final Answer: It ")]) == [TextDelta("It ")]
    assert reader.feed([TextDelta("is\nF")]) == [TextDelta("is")]  # may become a mark
    assert reader.feed([TextDelta("o")]) == [TextDelta("\n"), TextDelta("Fo")]


@pytest.mark.parametrize(
    "marks",
    [
        ("thought:", "ACTION:", "action input:"),
        ("  Thought :", "Action :", "Action Input :"),
        ("**Thought:**", "**Action:**", "**Action Input:**"),
        ("**Thought**:", "**Action**:", "**Action Input**:"),
        ("### Thought:", "### Action:", "### Action Input:"),
        ("- Thought:", "- **Action:**", "- Action_Input:"),
        ("> Thought:", "__Action:__", "`Action Input:`"),
        ("Thought 1:", "Action 1:", "Action Input 1:"),
        ("Thought\uff1a", "Action\uff1a", "ActionInput\uff1a"),
    ],
    ids=str,
)
def test_marks_as_models_write_them(marks: tuple[str, str, str]) -> None:
    thought, action, given = marks
    turn = turn_of(f"{thought} I must.\n\n{action} calculator\n{given} {MULTIPLY}\n")
    assert (turn.reasoning, turn.text) == ("I must.", "")
    assert turn.tool_calls == (ToolCall("call_1", "calculator", MULTIPLY),)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("**Final Answer: 42**", "42"),
        ("**Final Answer:** **42**", "**42**"),
        ("Final Answer: **42**", "**42**"),
        ("FINAL ANSWER:\n\n42", "42"),
        ("Answer: 42", "42"),
        ("Final Answer: a * b ** c", "a * b ** c"),
        ("Final Answer: Thoughts: none. Action: none.", "Thoughts: none. Action: none."),
        ("Final Answer: Minutes\nAction: Bob calls.\nBye", "Minutes\nAction: Bob calls.\nBye"),
        ("Final Answer: one\nAnswer: two", "one\nAnswer: two"),
        ("Final Answer: one\n\n\n  two \n", "one\n\n\n  two "),
    ],
)  # fmt: skip
def test_answers(text: str, answer: str) -> None:
    turn = turn_of(text)
    assert (turn.text, turn.reasoning, turn.finish_reason) == (answer, "", "stop")


@pytest.mark.parametrize(
    "name",
    ["search_docs", "`search_docs`", '"search_docs"', "[search_docs]", "Search Docs"
        , "search_docs."],
)  # fmt: skip
def test_names_as_models_write_them(name: str) -> None:
    given = '{"query": "x"}'
    assert called(f"Action: {name}\nAction Input: {given}") == ("search_docs", given)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("Action: calculator\nAction Input: 1 + 1", '{"expression": "1 + 1"}'),
        ("Action: calculator\nAction Input:\n1 + 1\n\n", '{"expression": "1 + 1"}'),
        ('Action: calculator\nAction Input: "1 + 1"', '{"expression": "1 + 1"}'),
        ("Action: calculator\nAction Input: `1 + 1`", '{"expression": "1 + 1"}'),
        ("Action: calculator\nAction Input: 'a' or 'b'", "{\"expression\": \"'a' or 'b'\"}"),
        ('Action: calculator\nAction Input: say "a\\b"', '{"expression": "say \\"a\\\\b\\""}'),
        ("Action: calculator\nAction Input: ```\n1 +\n1\n```", '{"expression": "1 +\\n1"}'),
        ("Action: calculator\nAction Input: ```python\n1\n```\n", '{"expression": "1"}'),
        ("Action: calculator\nAction Input: ```1 + 1```", '{"expression": "1 + 1"}'),
        ("Action: calculator Action Input: 1 + 1", '{"expression": "1 + 1"}'),
        ("Action: calculator[1 + 1]", '{"expression": "1 + 1"}'),
        ('Action: calculator("1 + 1")', '{"expression": "1 + 1"}'),
        ('Action: calculator {"expression": "1"}', '{"expression": "1"}'),
        ('Action: calculator\n{"expression": "1"}', '{"expression": "1"}'),
        ("**Action: calculator**\n**Action Input:** 2 ** 3", '{"expression": "2 ** 3"}'),
        ("Action: calculator\nAction Input: 無理 🙂", '{"expression": "無理 🙂"}'),
    ],
)
def test_a_plain_text_is_the_one_argument(text: str, arguments: str) -> None:
    assert called(text) == ("calculator", arguments)


def test_a_plain_text_is_the_one_argument_that_must_be_there() -> None:
    assert called("Action: search_docs\nAction Input: pumps") == (
        "search_docs",
        '{"query": "pumps"}',
    )


@pytest.mark.parametrize(("given", "value"), [("5", "5"), ('"5"', '"5"'), ("five", '"five"')])
def test_an_argument_that_is_no_text_is_taken_as_json(given: str, value: str) -> None:
    assert called(f"Action: count\nAction Input: {given}") == ("count", f'{{"n": {value}}}')


@pytest.mark.parametrize("deep", ["[" * 100_000, "1" * 5000])
def test_what_json_cannot_hold_is_text(deep: str) -> None:
    turn = assemble(read([f"Action: count\nAction Input: {deep}"]))
    assert turn.tool_calls[0].arguments == f'{{"n": "{deep}"}}' or len(deep) > MAX_HELD


@pytest.mark.parametrize(
    "given",
    [
        '{\n  "to": "a",\n  "text": "b }{ \\" c"\n}',
        '{"to": {"a": [1, {"b": "]"}]}, "text": "\\\\"}',
        '{"to": "Thought: x", "text": "Action: y"}',
    ],
)
@pytest.mark.parametrize("around", ["{}", "```json\n{}\n```", "```{}```", "{}\n\nI wait for it."])
def test_an_object_is_taken_as_it_is_written(given: str, around: str) -> None:
    said = around.replace("{}", given)
    assert called(f"Action: send\nAction Input: {said}") == ("send", given)


@pytest.mark.parametrize("given", ['{"to": "a"', "{'to': 'a'}", "to Ann", '["a", "b"]', "{to}"])
def test_what_is_no_object_stays_as_it_is_written(given: str) -> None:
    assert called(f"Action: send\nAction Input: {given}") == ("send", given)


@pytest.mark.parametrize("given", ["", "\nAction Input:", "\nAction Input: None\n", "()"])
def test_no_input_is_empty(given: str) -> None:
    assert called(f"Action: clock{given}") == ("clock", "{}")


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ('calculator(expression="1 * 2")', {"expression": "1 * 2"}),
        ("calculator(expression='say \"x\"')", {"expression": 'say "x"'}),
        ('search_docs(query="pumps, old", limit=3)', {"query": "pumps, old", "limit": 3}),
        ("count\nAction Input: n=5", {"n": 5}),
        ("send\nAction Input: to='ada', text=None", {"to": "ada", "text": None}),
        ("count[n=5]", {"n": 5}),
    ],
)
def test_arguments_with_their_names_are_told_apart(said: str, arguments: object) -> None:
    name, given = called(f"Action: {said}\n")
    assert said.startswith(name)
    assert json.loads(given) == arguments


@pytest.mark.parametrize(
    "text", ['x="1"', 'expression="1" + 1', "expression=one two", "expression=", "expression = 01"]
)
def test_what_only_looks_like_a_name_is_the_text_itself(text: str) -> None:
    assert json.loads(called(f"Action: calculator({text})\n")[1]) == {"expression": text}


def test_an_unknown_tool_is_called_by_its_name() -> None:
    assert called("Action: search the web!\nAction Input: x") == ("search_the_web", "x")
    assert called(f"Action: {'x' * 5000}\nAction Input: y")[0] == "x" * 64


@pytest.mark.parametrize(
    "next_",
    [
        "Observation: 5\nThought: done\nFinal Answer: 5",
        "**Observation:** 5",
        "Thought: It is 5.\nFinal Answer: 5",
        "Action: clock\nAction Input: {}",
        "Final Answer: 5",
        "Action Input: {}",
    ],
)
def test_whatever_follows_an_input_is_not_read(next_: str) -> None:
    assert called(f"Action: calculator\nAction Input: {MULTIPLY}\n{next_}") == (
        "calculator",
        MULTIPLY,
    )


@pytest.mark.parametrize(
    "line", ["Observation: 5", "Thought: hm", "Final Answer: 43", "Action: clock\nAction Input: {}"]
)
def test_whatever_follows_an_answer_is_not_read(line: str) -> None:
    turn = turn_of(f"Final Answer: 42\n{line}\nmore")
    assert (turn.text, turn.reasoning, turn.tool_calls) == ("42", "", ())


def test_at_its_end_the_reader_says_that_it_is_over() -> None:
    reader = ReActReader(TOOLS, "c")
    deltas = reader.feed([TextDelta("Final Answer: 42\nObservation: x"), TextDelta("y")])
    assert deltas == [TextDelta("42"), Finish("stop", "observation")]
    assert reader.feed([TextDelta("z"), Finish("stop")]) == []


def test_an_action_without_input_does_not_become_an_answer() -> None:
    assert called("Action: calculator\nFinal Answer: 56088") == ("calculator", "{}")


def test_an_action_that_is_none_gives_way_to_the_answer() -> None:
    turn = turn_of("Thought: easy\nAction: None\nFinal Answer: 42")
    assert (turn.text, turn.tool_calls, turn.finish_reason) == ("42", (), "stop")


def test_text_without_a_mark_is_the_answer() -> None:
    turn = turn_of("It is Paris.\n\nI am sure: yes.\n")
    assert (turn.text, turn.reasoning) == ("It is Paris.\n\nI am sure: yes.", "")
    assert turn_of("It is Paris.\nObservation: yes").text == "It is Paris."


def test_text_before_the_first_mark_is_a_thought() -> None:
    turn = turn_of("I should multiply.\nThought: yes\nFinal Answer: 42")
    assert (turn.reasoning, turn.text) == ("I should multiply.\nyes", "42")


def test_much_text_without_a_mark_streams_as_an_answer() -> None:
    reader = ReActReader(TOOLS, "c")
    assert reader.feed([TextDelta("x" * MAX_UNMARKED)]) == []
    assert reader.feed([TextDelta("y")]) == [TextDelta("x" * MAX_UNMARKED + "y")]
    assert reader.feed([TextDelta("z")]) == [TextDelta("z")]
    turn = turn_of("x" * 2000 + "\nFinal Answer: y")
    assert turn.text == "x" * 2000 + "\n\ny"


@pytest.mark.parametrize(
    "text",
    [
        "Thought: I should look.",
        "Thought:",
        "Final Answer:",
        "Action:\nAction Input: {}",
        "Action Input: {}",
        "Observation: 5",
        "Thought: x\nFinal Answer:",
        "Thought: x\nObservation: y",
    ],
)
def test_what_cannot_be_read_is_told(text: str) -> None:
    assert called(text) == (UNREADABLE, "{}")


def test_told_once_what_it_thought_is_the_answer() -> None:
    turn = turn_of("Thought: hm\nThought: It is Paris.", told=True)
    assert (turn.text, turn.finish_reason) == ("It is Paris.", "stop")
    assert turn.reasoning == "hm\nIt is Paris."


def test_nothing_at_all_is_an_empty_answer() -> None:
    assert turn_of("") == turn_of(" \n")
    assert (turn_of("").text, turn_of("").finish_reason) == ("", "stop")


def test_a_mark_may_stand_behind_another() -> None:
    turn = turn_of("Thought: Thought: Hm.\n**Thought:** **Final Answer:** 42")
    assert (turn.reasoning, turn.text) == ("Hm.", "42")


def test_native_reasoning_comes_as_thoughts() -> None:
    reader = ReActReader(TOOLS, "c")
    deltas = reader.feed(
        [ReasoningDelta("Hm."), TextDelta("Thought: So.\nFinal Answer: 42"), *STOP]
    )
    turn = assemble(deltas)
    assert (turn.reasoning, turn.text) == ("Hm.\nSo.", "42")


def test_a_native_call_is_kept() -> None:
    deltas: list[Delta] = [ToolCallDelta(0, "n", "clock", "{}"), Finish("tool_calls")]
    assert assemble(read([], end=deltas)).tool_calls == (ToolCall("n", "clock", "{}"),)


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_turn_that_was_cut_says_so(reason: str) -> None:
    end: list[Delta] = [Finish(reason)]  # type: ignore[arg-type]
    for text in ("Thought: I", 'Action: calculator\nAction Input: {"exp', "Action: calc"):
        turn = turn_of(text, end=end)
        assert (turn.text, turn.finish_reason) == ("", reason)
    assert turn_of("Final Answer: 4", end=end).text == "4"
    assert turn_of("It is 4", end=end).text == "It is 4"


def test_usage_passes() -> None:
    assert turn_of("Final Answer: 1", end=[UsageDelta(Usage(3, 4)), *STOP]).usage == Usage(3, 4)


def test_what_was_held_back_comes_when_the_answer_breaks_off() -> None:
    for text, said in [("It is\nAct", "It is\nAct"), ("Final Answer: a\nThou", "a\nThou")]:
        reader = ReActReader(TOOLS, "c")
        deltas = [*reader.feed([TextDelta(text)]), *reader.close()]
        assert assemble(deltas).text == said
        assert reader.feed([TextDelta("more")]) == []
    failure = Failure(ConnectionFailed("gone"))
    assert read(["Thought: a\n"], end=[failure]) == [ReasoningDelta("a"), failure]
    assert read(["It is"], end=[failure]) == [TextDelta("It is"), failure]


def test_what_is_held_back_is_bounded() -> None:
    marks = Marks()
    assert marks.feed("a" + "\n" * MAX_BLANKS) == ["a"]
    assert marks.feed("\n") == ["\n" * (MAX_BLANKS // 2)]
    assert marks.feed("Thought:") == [Mark("thought", "\n" * (MAX_BLANKS // 2 + 1) + "Thought:")]
    reader = ReActReader(TOOLS, "c")
    line = "Action: " + "x" * MAX_NAME
    assert reader.feed([TextDelta(f"Final Answer: a\n{line}")])[-1] == TextDelta(f"\n{line}")
    given = "[" * (MAX_HELD + 1)
    assert called(f"Action: send\nAction Input: {given}") == ("send", given)
    named = f"Action: calculator({'1' * MAX_LINE})"
    assert called(named)[1] == "{}"


WORDS = st.sampled_from(
    [
        *("Thought:", "Action:", "Action Input:", "Observation:", "Final Answer:", "Answer:"),
        *("**Thought:**", "**Action: ", "Action Input :", "`Action Input:", "**Final Answer:"),
        *("Act", "Final", "thought", "Action Inp", " ", "  ", "\n", "\n\n", "\n" * 200, ":"),
        *("calculator", "clock", "Search Docs", "nothing", "[1]", "(", ")", "None", "```", "`"),
        *('{"expression": "1"}', '{"a": "}', "{", "}", '"', "\\", "1 + 1", "word ", "無理🙂"),
        *("```json\n", "**", "x" * 130),
    ]
)
TEXTS = st.lists(st.one_of(WORDS, st.text(max_size=3)), max_size=25).map("".join)
SCAFFOLDING = ("\nThought:", "\nObservation:", "\nFinal Answer:")


@given(text=TEXTS, cuts=st.lists(st.integers(0, 400), max_size=8), told=st.booleans())
def test_the_cuts_never_matter(text: str, cuts: list[int], told: bool) -> None:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [text[a:b] for a, b in pairwise(ends)]
    whole = assemble(read([text], told=told))
    assert assemble(read(pieces, told=told)) == whole
    assert assemble(read(list(text), told=told)) == whole
    if not set(text) & set(
        "*`"
    ):  # what Markdown hides within a word is no mark, and may become one
        assert not any(mark in f"\n{whole.text}" for mark in SCAFFOLDING)
    assert len(whole.tool_calls) <= 1
    assert whole.finish_reason in ("stop", "tool_calls")


@given(text=TEXTS, other=TEXTS)
def test_the_cuts_never_matter_around_reasoning(text: str, other: str) -> None:
    def through(size: int) -> Turn:
        reader, out = ReActReader(TOOLS, "c"), list[Delta]()
        for part in (text, other):
            for i in range(0, len(part), size):
                out += reader.feed([TextDelta(part[i : i + size])])
            out += reader.feed([ReasoningDelta("R")])
        return assemble([*out, *reader.feed(STOP)])

    assert through(1) == through(1000) == through(3)


@given(text=TEXTS, cut=st.integers(0, 400))
def test_a_break_shows_what_the_cuts_show(text: str, cut: int) -> None:
    def broken(pieces: Sequence[str]) -> list[Delta]:
        reader, out = ReActReader(TOOLS, "c"), list[Delta]()
        for piece in pieces:
            out += reader.feed([TextDelta(piece)])
        return [*out, *reader.close()]

    assert assemble(broken(list(text))) == assemble(broken([text[:cut], text[cut:]]))


@given(words=st.lists(st.text("ab .,*\n", min_size=1, max_size=9), min_size=1, max_size=9))
def test_no_word_of_an_answer_is_lost(words: list[str]) -> None:
    said = "".join(words)
    assert turn_of(f"Final Answer: {said}").text.split() == said.split()
    assert turn_of(said).text.split() == said.split()
