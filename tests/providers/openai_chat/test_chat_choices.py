"""Which choice makes the turn, and failures that are told within one."""

from __future__ import annotations

import pytest

from tests.providers.chat_bodies import DONE, STOP, chunk, event, finish
from tests.providers.openai_chat.chat_decoding import error_of, said, turn_of


def choice(index: object, **more: object) -> dict[str, object]:
    return {"index": index, "finish_reason": None, "delta": {"content": "a"}, **more}


@pytest.mark.parametrize("zero", [0, 0.0, "0", None])
def test_choice_0_makes_the_turn_however_its_index_is_written(zero: object) -> None:
    other = choice("1", delta={"content": "other"})
    assert said(event({"choices": [choice(zero), other]}) + STOP) == ("a", "stop")


def test_an_error_within_the_choice_ends_the_turn_with_the_providers_words() -> None:
    failed = choice(0, delta={"content": ""}, error={"code": 502, "message": "upstream died"})
    body = chunk("so far") + event({"choices": [failed]}) + chunk("lost") + STOP
    assert "upstream died" in error_of(body).message
    assert turn_of(body).text == "so far"
    odd = choice(0, delta={"content": [5]}, error="upstream died")
    assert "upstream died" in error_of(event({"choices": odd}) + DONE).message


def test_an_error_within_another_choice_is_not_of_this_turn() -> None:
    failed = choice(1, delta={}, error={"message": "upstream died"})
    assert said(chunk("a") + event({"choices": [failed]}) + STOP) == ("a", "stop")


@pytest.mark.parametrize("word", ["error", "MALFORMED_FUNCTION_CALL"])
def test_no_later_reason_makes_a_failure_good(word: str) -> None:
    body = chunk("a") + finish(word) + finish() + DONE
    assert word in error_of(body).message
    assert turn_of(body).text == "a"


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"message": "no such model"}]},
        {"detail": [{"loc": ["body", "model"], "msg": "no such model"}]},
    ],
)
def test_an_error_may_be_a_list_of_faults(body: object) -> None:
    assert "no such model" in error_of(chunk("a") + event(body) + STOP).message


@pytest.mark.parametrize("more", [{"errors": []}, {"detail": []}, {"errors": None}])
def test_an_empty_list_of_faults_is_no_error(more: object) -> None:
    assert said(event(more) + chunk("a") + STOP) == ("a", "stop")
