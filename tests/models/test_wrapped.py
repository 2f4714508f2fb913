"""A model around another: what is asked, what is read, and what is passed on as it is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headrace.errors import ProviderError, StreamTruncated
from headrace.models.assembler import Turn
from headrace.models.deltas import Delta, Failure, Finish, TextDelta
from headrace.models.fallback import Fallback
from headrace.models.request import ModelRequest
from headrace.models.wrapped import WrappedModel, ends
from headrace.testing import ScriptedModel, Step
from tests.support.fake_model import ASK, STOP, FakeModel, Try, text


class Loud:
    """Holds each text back until the next delta comes, and says it loudly."""

    def __init__(self) -> None:
        self._held: list[Delta] = []

    def feed(self, deltas: Sequence[Delta]) -> list[Delta]:
        said: list[Delta] = []
        for delta in deltas:
            said += self.close()
            if isinstance(delta, TextDelta):
                self._held = [TextDelta(delta.content.upper())]
            else:
                said.append(delta)
        return said

    def close(self) -> list[Delta]:
        held, self._held = self._held, []
        return held


class LoudModel(WrappedModel):
    def rewrite(self, request: ModelRequest) -> ModelRequest:
        return ModelRequest.of("louder")

    def reader(self, request: ModelRequest) -> Loud:
        return Loud()


async def test_the_question_and_the_answer_are_rewritten() -> None:
    inner = ScriptedModel([Step(text=["a", "b"])])
    turn: Turn = await LoudModel(inner).complete(ASK)
    assert turn.text == "AB"
    assert inner.requests[0].messages[0].text == "louder"
    assert LoudModel(inner).name == inner.name


async def test_what_was_held_back_comes_before_a_break() -> None:
    inner = ScriptedModel([Step(text=["a", "b"], finish_reason=None)])
    with pytest.raises(StreamTruncated) as caught:
        await LoudModel(inner).complete(ASK)
    turn = caught.value.turn
    assert isinstance(turn, Turn)
    assert turn.text == "AB"


async def test_the_other_ones_retries_hold() -> None:
    refused = ProviderError("busy", retryable=True)
    model = FakeModel(Try(refused), Try(text("a"), [STOP]))
    assert (await LoudModel(model).complete(ASK)).text == "A"


async def test_it_can_be_asked_for_what_the_other_one_can() -> None:
    inner = ScriptedModel()
    inner.features = frozenset({"schema"})
    assert LoudModel(inner).features == {"schema"}


async def test_what_a_fallback_has_left_is_read_in_the_same_way() -> None:
    broken = ScriptedModel([[[TextDelta("a")], [Failure(StreamTruncated("cut"))]]])
    both = Fallback([broken, ScriptedModel([Step(text="b")])], midstream="retry")
    with pytest.raises(StreamTruncated) as caught:
        await LoudModel(both).complete(ASK)
    instead = caught.value.instead
    assert isinstance(instead, LoudModel)
    assert (await instead.complete(ASK)).text == "B"


async def test_leaving_it_closes_the_other_ones_stream() -> None:
    inner = ScriptedModel([Step(text=["a", "b", "c"])])
    async with LoudModel(inner).stream(ASK) as batches:
        await anext(batches)
        assert inner.open_streams == 1
    assert inner.open_streams == 0


def test_what_ends_an_answer() -> None:
    assert ends([TextDelta("a"), Finish("stop")])
    assert ends([Failure(StreamTruncated("cut"))])
    assert not ends([TextDelta("a")])
    assert not ends([])
