from __future__ import annotations

import json
import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import HeadraceError, RequestRefused
from headrace.events import encode
from headrace.server import ws_messages as m
from tests.strategies import logs


@given(
    st.text(max_size=300)
    | st.builds(
        json.dumps,
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(["op", "ref", "input", "run_id", "after"]) | st.text(), inner
                )
            ),
        ),
    )
)
def test_whatever_comes_is_a_request_or_refused(text: str) -> None:
    refusal: RequestRefused | None = None
    try:
        asked = m.read(text)
    except RequestRefused as error:
        refusal = error
    if refusal is None:
        assert isinstance(asked, typing.get_args(m.Asked))
        return
    told = json.loads(m.written(m.refused(m.ref_of(text), refusal)))
    assert told["op"] == "error"
    assert told["message"]


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ('{"op":"nothing","ref":"mine"}', "mine"),
        ('{"ref":"mine","deep":' + "[" * 10_000 + "]" * 10_000 + "}", None),
        ('{"ref":7}', None),
        ('{"ref":""}', None),
        ('{"ref":"' + "x" * 65 + '"}', None),
        ('{"ref":"mine"', None),
        ("[]", None),
    ],
)
def test_a_message_that_is_refused_is_answered_by_its_name_where_it_has_one(
    text: str, ref: str | None
) -> None:
    with pytest.raises(RequestRefused):
        m.read(text)
    assert m.ref_of(text) == ref


@given(st.text(min_size=1, max_size=64), logs())
def test_a_message_of_events_is_one_json_object_whatever_the_ref(
    ref: str, batch: list[typing.Any]
) -> None:
    text = m.events_head(ref, "run_1") + m.EVENTS.encode(batch).decode() + "]}"
    told = json.loads(text)
    assert list(told) == ["op", "ref", "run_id", "events"]
    assert (told["op"], told["ref"], told["run_id"]) == ("events", ref, "run_1")
    assert told["events"] == [json.loads(encode(event)) for event in batch]


def test_words_that_utf_8_cannot_carry_are_replaced_and_long_ones_cut() -> None:
    error = HeadraceError("\ud800" + "x" * 10_000, hint="\udfff")
    told = msgspec.json.decode(m.written(m.refused("a", error)))
    assert told["message"].startswith("?x")
    assert len(told["message"]) < 1000
    assert told["hint"] == "?"


def test_what_is_not_said_is_left_out_except_for_the_ref() -> None:
    assert m.written(m.Pong()) == '{"op":"pong"}'
    assert m.written(m.Done("a")) == '{"op":"done","ref":"a"}'
    assert m.written(m.refused(None, HeadraceError("No."))) == (
        '{"op":"error","ref":null,"code":"internal","message":"No.","hint":""}'
    )
