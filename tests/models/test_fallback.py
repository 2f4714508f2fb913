"""A fallback's call: who is asked when, what is told of it, and its one end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headrace.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    HeadraceError,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
    StreamingUnsupported,
    StreamTruncated,
    ToolError,
    UsageError,
)
from headrace.messages import Message, Opaque
from headrace.models.assembler import Assembler, Turn
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import (
    CONTENT,
    AnsweredBy,
    Delta,
    Note,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from headrace.models.fallback import Fallback
from headrace.models.fallback_call import falls_over
from headrace.models.model import Model
from headrace.models.request import ModelRequest
from headrace.models.retry import NO_RETRY, RetryPolicy
from headrace.testing.clock import run_with_fake_clock
from headrace.usage import Usage
from tests.support.fake_model import ASK, AT_ONCE, CUT, STOP, FakeModel, Try, text
from tests.support.loop import leftovers, now

BUSY = ProviderUnavailable("fake: busy.", status=503)
WHOLE = "The wheel turns, and the mill grinds.\n\nSlowly."


def fake(
    name: str, *tries: Try | ProviderError, goes_on: bool = False, **options: Any
) -> FakeModel:
    """A model ``fake:NAME`` that is asked once."""
    options.setdefault("retry", NO_RETRY)
    model = FakeModel(*tries, **options)
    model.model, model.continues = name, goes_on
    return model


def says(*pieces: str, usage: Usage | None = None) -> Try:
    told = [] if usage is None else [UsageDelta(usage)]
    return Try(*(text(piece) for piece in pieces), [*told, STOP])


class Seen:
    """What came of one call."""

    def __init__(self) -> None:
        self.deltas: list[Delta] = []
        self.error: HeadraceError | None = None
        self.turn: Turn = Assembler().turn()

    @property
    def notes(self) -> list[str]:
        return [d.message for d in self.deltas if isinstance(d, Note) and d.code == "fallback"]


async def ask(model: Fallback, request: ModelRequest = ASK) -> Seen:
    seen, assembler = Seen(), Assembler()
    try:
        async with model.stream(request) as batches:
            async for batch in batches:
                assert batch
                assembler.add(batch)
                seen.deltas += batch
    except HeadraceError as error:
        seen.error = error
    seen.turn = assembler.turn()
    assert not leftovers()
    return seen


OTHERS_MAY_DO_BETTER = [
    ConnectionFailed("fake: no connection."),
    ProviderUnavailable("fake: 408.", status=408),
    ProviderUnavailable("fake: 503.", status=503),
    ProviderUnavailable("fake: told not to retry.", status=500, retryable=False),
    RateLimited("fake: 429.", status=429),
    RateLimited("fake: the quota is spent.", status=429, retryable=False),
    AuthenticationFailed("fake: the key is wrong.", status=401),
    RequestRejected("fake: no such model.", status=404),
    InvalidResponse("fake: an HTML page."),
    CUT,
    DeadlineExceeded("connect", 10, provider="fake"),
]
THE_REQUEST_IS_AT_FAULT = [
    RequestRejected("fake: the prompt is too long.", status=400),
    RequestRejected("fake: cannot read that.", status=422),
]


@pytest.mark.parametrize("error", OTHERS_MAY_DO_BETTER, ids=lambda e: e.message)
async def test_before_content_the_next_model_is_asked_and_that_is_told(
    error: ProviderError,
) -> None:
    first, second = fake("one", error), fake("two", says("ok"))
    seen = await ask(Fallback([first, second]))
    assert seen.error is None
    assert (seen.turn.text, seen.turn.finish_reason, seen.turn.model) == ("ok", "stop", "fake:two")
    assert seen.notes == [f"fake:one failed: {error.message} Asking fake:two instead."]
    assert second.requests == first.requests == [ASK]


@pytest.mark.parametrize("error", THE_REQUEST_IS_AT_FAULT, ids=lambda e: e.message)
async def test_a_request_at_fault_is_an_error_at_once(error: ProviderError) -> None:
    second = fake("two", says("never"))
    seen = await ask(Fallback([fake("one", error), second]))
    assert seen.error is error
    assert (seen.notes, second.requests) == ([], [])


def test_what_falls_over_besides() -> None:
    assert falls_over(ConfigurationError("No key."))
    assert falls_over(StreamingUnsupported("It answers whole."))
    assert not falls_over(UsageError("No images here."))
    assert not falls_over(ToolError("The disk is full."))


async def test_the_first_model_answers_while_it_can_and_every_call_begins_with_it() -> None:
    first, second = fake("one", says("a"), BUSY, says("c")), fake("two", says("b"))
    both = Fallback([first, second])
    turns = [(await ask(both)).turn for _ in range(3)]
    assert [(t.text, t.model) for t in turns] == [
        ("a", "fake:one"),
        ("b", "fake:two"),
        ("c", "fake:one"),
    ]


async def test_a_models_own_retries_come_first() -> None:
    first = fake("one", BUSY, BUSY, BUSY, retry=AT_ONCE)
    seen = await ask(Fallback([first, fake("two", says("ok"))]))
    codes = [d.code for d in seen.deltas if isinstance(d, Note)]
    assert (codes, len(first.requests)) == (["retry", "retry", "fallback"], 3)
    assert seen.turn.text == "ok"


async def test_when_all_fail_the_last_error_comes_out_and_knows_of_the_others() -> None:
    errors = [BUSY, AuthenticationFailed("fake: who?"), RateLimited("fake: slowly.")]
    models = [fake(str(n), error) for n, error in enumerate(errors)]
    seen = await ask(Fallback(models))
    assert seen.error is errors[-1]
    assert len(seen.notes) == 2
    assert seen.error.__notes__ == ["fake:0 failed: fake: busy.", "fake:1 failed: fake: who?"]
    assert getattr(seen.error, "instead", "none") is None


def test_a_first_content_that_never_comes_and_the_time_that_it_takes() -> None:
    seen, took = run_with_fake_clock(_slow())
    assert (seen.turn.text, took) == ("ok", 30.0)
    assert "no first content came for more than 30 s" in seen.notes[0]


async def _slow() -> tuple[Seen, float]:
    silent = Try(100.0, text("late"))
    first = fake("one", silent, deadlines=Deadlines(first_content=30))
    seen = await ask(Fallback([first, fake("two", says("ok"))]))
    assert silent.closes == 1
    return seen, now()


def test_the_time_of_the_whole_call_holds_over_all_its_models() -> None:
    async def main() -> tuple[Seen, float]:
        waits = Deadlines(first_content=30)
        models = [fake(str(n), Try(1e6), deadlines=waits) for n in range(9)]
        return await ask(Fallback(models, deadlines=Deadlines(run=100))), now()

    seen, took = run_with_fake_clock(main())
    assert isinstance(seen.error, DeadlineExceeded)
    assert (seen.error.wait, seen.error.retryable, took) == ("run", False, 100.0)
    assert len(seen.notes) == 3


@pytest.mark.parametrize(
    ("runs", "whole"), [((30.0, 60.0), 60.0), ((30.0, None), None), ((5.0, 5.0), 5.0)]
)
def test_the_whole_call_may_take_as_long_as_its_slowest_model(
    runs: tuple[float | None, ...], whole: float | None
) -> None:
    models = [fake(str(n), deadlines=Deadlines(run=run)) for n, run in enumerate(runs)]
    assert Fallback(models).deadlines.run == whole
    assert Fallback([models[0], "named"]).deadlines.run == 900.0


async def test_names_are_resolved_when_they_are_asked_and_once() -> None:
    made: list[str] = []

    def resolve(name: str) -> Model:
        made.append(name)
        if name == "keyless":
            raise ConfigurationError("No API key for keyless.")
        return fake(name, *(says("ok") for _ in range(2)))

    both = Fallback(["keyless", "there", "never"], resolve=resolve)
    assert both.name == "keyless, else there, else never"
    for _ in range(2):
        seen = await ask(both)
        assert seen.turn.text == "ok"
        assert "No API key for keyless. Asking" in seen.notes[0]
    assert made == ["keyless", "there", "keyless"]
    assert both.name == "keyless, else fake:there, else never"


async def test_a_configuration_error_of_the_last_model_is_the_calls_error() -> None:
    seen = await ask(Fallback([fake("one", BUSY), "two"]))
    assert isinstance(seen.error, ConfigurationError)
    assert "fake:one failed: fake: busy." in seen.error.__notes__


async def test_what_a_provider_lacks_is_an_error_and_no_reason_to_ask_another() -> None:
    class Blind(FakeModel):
        async def open(self, request: ModelRequest) -> Try:
            raise UsageError("No images here.")

    second = fake("two", says("never"))
    seen = await ask(Fallback([Blind(), second]))
    assert isinstance(seen.error, UsageError)
    assert second.requests == []


def test_mistakes_are_told_at_construction() -> None:
    with pytest.raises(UsageError, match="needs a model"):
        Fallback([])
    with pytest.raises(UsageError, match="'nonsense'"):
        Fallback([fake("one")], midstream="nonsense")  # type: ignore[arg-type]


BROKEN = StreamTruncated("fake: cut.")


@pytest.mark.parametrize("midstream", ["error", "retry", "continue"])
async def test_after_content_no_model_is_asked_that_cannot_go_on(midstream: Any) -> None:
    first, second = fake("one", Try(text("so far"), BROKEN)), fake("two", says("never"))
    seen = await ask(Fallback([first, second], midstream=midstream))
    assert seen.error is BROKEN
    assert (seen.turn.text, seen.turn.model, second.requests) == ("so far", "fake:one", [])
    left = BROKEN.instead
    if midstream == "error":
        assert left is None
    else:
        assert isinstance(left, Fallback)
        assert left.name == "fake:two"


async def test_what_is_left_to_retry_are_the_models_not_asked_yet() -> None:
    models = [fake("1", BUSY), fake("2", Try(text("x"), CUT)), fake("3"), fake("4")]
    seen = await ask(Fallback(models, midstream="retry"))
    assert isinstance(seen.error, ProviderError)
    assert isinstance(seen.error.instead, Fallback)
    assert seen.error.instead.name == "fake:3, else fake:4"
    assert seen.error.instead.midstream == "retry"


async def test_a_request_at_fault_in_mid_stream_is_not_asked_of_others() -> None:
    error = RequestRejected("fake: no.", status=400)
    models = [fake("1", Try(text("x"), error)), fake("2")]
    seen = await ask(Fallback(models, midstream="retry"))
    assert (seen.error, error.instead) == (error, None)


@pytest.mark.parametrize("at", range(1, len(WHOLE) + 1))
@pytest.mark.parametrize("step", [1, 7, 100])
async def test_an_answer_goes_on_without_a_seam_wherever_it_broke(at: int, step: int) -> None:
    class Continues(FakeModel):
        """Goes on with what it is given."""

        continues = True

        async def open(self, request: ModelRequest) -> Try:
            (*_, last) = request.messages
            self.requests.append(request)
            rest = WHOLE[len(last.text) :] if last.role == "assistant" else WHOLE
            return says(*(rest[n : n + step] for n in range(0, len(rest), step)))

    second = Continues()
    pieces = [text(WHOLE[n : min(n + 5, at)]) for n in range(0, at, 5)]
    first = fake("one", Try(*pieces, BROKEN))
    seen = await ask(Fallback([first, second], midstream="continue"))
    assert seen.error is None
    assert seen.turn.text == WHOLE
    assert seen.notes == ["fake:one failed: fake: cut. Asking fake:one to go on with the answer."]
    (*before, last) = second.requests[0].messages
    assert (tuple(before), last) == (ASK.messages, Message.assistant(WHOLE[:at].rstrip()))


async def test_models_that_cannot_go_on_are_passed_over_and_all_breaks_are_survived() -> None:
    one = fake("1", Try(text("One, "), BROKEN))
    other = fake("2")
    three = fake("3", Try(text(" two, "), BROKEN), goes_on=True)
    four = fake("4", says(" three."), goes_on=True)
    seen = await ask(Fallback([one, other, three, four], midstream="continue"))
    assert (seen.turn.text, seen.turn.model) == ("One, two, three.", "fake:4")
    assert [d.model for d in seen.deltas if isinstance(d, AnsweredBy)] == [
        "fake:1",
        "fake:3",
        "fake:4",
    ]
    assert four.requests[0].messages[-1].text == "One, two,"
    assert other.requests == []


async def test_a_model_that_refuses_the_answer_begun_may_be_asked_afresh() -> None:
    refusal = RequestRejected("fake: the last message must be a user's.", status=400)
    one, two = fake("1", Try(text("so far"), BROKEN)), fake("2", refusal, goes_on=True)
    seen = await ask(Fallback([one, two, fake("3")], midstream="continue"))
    assert seen.error is BROKEN
    assert isinstance(BROKEN.instead, Fallback)
    assert BROKEN.instead.name == "fake:2, else fake:3"


async def test_while_going_on_a_busy_model_is_passed_and_a_name_without_key_too() -> None:
    one, two = fake("1", Try(text("so "), BROKEN)), fake("2", BUSY, goes_on=True)
    four = fake("4", says("far"), goes_on=True)
    seen = await ask(Fallback([one, two, "keyless", four], midstream="continue"))
    assert (seen.turn.text, seen.error, len(seen.notes)) == ("so far", None, 2)


@pytest.mark.parametrize(
    "given",
    [
        [ToolCallDelta(0, "a", "look", '{"x"')],
        [TextDelta("so far"), ToolCallDelta(0, "a", "look", '{"x": 1}')],
        [ReasoningDelta("hm")],
        [OpaqueDelta(Opaque("fake", "{}")), TextDelta("so far")],
    ],
)
async def test_where_more_than_text_was_begun_the_answer_is_to_be_asked_afresh(
    given: list[Delta],
) -> None:
    second = fake("two", says("never"), goes_on=True)
    seen = await ask(Fallback([fake("one", Try(given, BROKEN)), second], midstream="continue"))
    assert (seen.error, second.requests) == (BROKEN, [])
    assert isinstance(BROKEN.instead, Fallback)


TOLD, LATER = Usage(10, 1), Usage(20, 5)


async def _usage(*tries: Try | ProviderError, midstream: Any = "continue") -> Usage | None:
    models = [fake(str(n), one, goes_on=True) for n, one in enumerate(tries)]
    return (await ask(Fallback(models, midstream=midstream))).turn.usage


async def test_usage_adds_up_over_tries() -> None:
    assert await _usage(lost(), says("ok", usage=LATER)) == TOLD + LATER
    assert await _usage(lost(), lost(), says("ok", usage=LATER)) == TOLD + TOLD + LATER
    assert await _usage(BUSY, says("ok", usage=LATER)) == LATER
    assert await _usage(BUSY, says("ok")) is None


def lost() -> Try:
    """Tells its usage twice; the last counts."""
    return Try([UsageDelta(Usage(5, 0))], [UsageDelta(TOLD)], BUSY)


async def test_usage_is_inexact_where_a_try_did_not_tell_its_own() -> None:
    inexact = Usage(LATER.input, LATER.output, exact=False)
    assert await _usage(Try(CUT), says("ok", usage=LATER)) == inexact
    broken = Try(text("x" * 40), BROKEN)
    asked = len(ASK.messages[0].text) // 4
    so_far = Usage(asked, 10, exact=False)
    assert await _usage(broken, says("y", usage=LATER)) == so_far + LATER
    broken = Try([UsageDelta(TOLD), *text("x" * 40)], BROKEN)
    assert await _usage(broken, says("y", usage=LATER)) == TOLD + inexact
    broken = Try([UsageDelta(TOLD), *text("x" * 40)], BROKEN)
    going_on = Usage((40 + len(ASK.messages[0].text)) // 4, 2, exact=False)
    assert await _usage(broken, says("y" * 8)) == TOLD + going_on


def test_a_silent_try_makes_usage_inexact_and_a_refused_connection_does_not() -> None:
    async def main(wait: str) -> Usage | None:
        return await _usage(DeadlineExceeded(wait, 1), says("ok", usage=LATER))

    assert run_with_fake_clock(main("connect")) == LATER
    silent = run_with_fake_clock(main("first_content"))
    assert silent is not None
    assert (silent.total, silent.exact) == (LATER.total, False)


@pytest.mark.parametrize("midstream", ["error", "continue"])
async def test_a_cancel_closes_whatever_is_open_at_that_moment(midstream: Any) -> None:
    opening = Try(text("never"), open_takes=100.0)
    waiting = Try(text("a"), 100.0)
    one = Try(BUSY) if midstream == "error" else Try(text("so far"), BROKEN)
    for second in (opening, waiting):
        models = [fake("1", one), fake("2", second, goes_on=True)]
        reading = asyncio.create_task(ask(Fallback(models, midstream=midstream)))
        for _ in range(20):  # more turns of the loop than it takes to get there
            await asyncio.sleep(0)
        assert models[1].requests
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert one.closes == 1
        assert second.closes == second.opened
        assert not leftovers()
        one = Try(BUSY) if midstream == "error" else Try(text("so far"), BROKEN)


async def test_closing_from_another_task_ends_the_iteration_and_asks_nobody_else() -> None:
    second = fake("two", says("never"))

    class ClosesLate(Try):
        reading = asyncio.Event()

        async def read(self) -> list[Delta]:
            self.reading.set()
            await self.closing.wait()
            raise BUSY

    one = ClosesLate()
    batches = Fallback([fake("one", one), second]).stream(ASK)
    reading = asyncio.create_task(_all(batches))
    await one.reading.wait()
    await batches.aclose()
    assert await reading == []
    assert (one.closes, second.requests) == (1, [])
    assert not leftovers()


async def _all(batches: Any) -> list[list[Delta]]:
    return [batch async for batch in batches]


async def test_the_other_ways_to_ask_work_too() -> None:
    both = Fallback([fake("one", *[BUSY] * 3), fake("two", *(says("ok") for _ in range(3)))])
    assert (await both.complete(ASK)).text == "ok"
    pieces: list[str] = []
    turn = await both.stream(ASK, pieces.append)
    assert (pieces, turn.model) == (["ok"], "fake:two")
    chunks = [chunk async for chunk in both.complete_stream("Hi")]
    assert "".join(chunk.content for chunk in chunks) == "ok"
    assert (chunks[-1].metadata or {})["model"] == "fake:two"


async def test_a_fallback_may_stand_within_another() -> None:
    inner = Fallback([fake("1", BUSY), fake("2", BUSY)])
    seen = await ask(Fallback([inner, fake("3", says("ok"))]))
    assert (seen.turn.text, seen.turn.model, len(seen.notes)) == ("ok", "fake:3", 2)
    found = await ask(Fallback([fake("0", BUSY), Fallback([fake("1", says("ok"))])]))
    assert found.turn.model == "fake:1"


async def test_a_model_whose_stream_stops_without_an_end_is_truncated() -> None:
    class Stops(FakeModel):
        def stream(self, request: ModelRequest, on_chunk: Any = None) -> Any:
            batches = super().stream(request)
            batches._ended = True
            return batches

    seen = await ask(Fallback([Stops(), fake("two", says("ok"))]))
    assert seen.turn.text == "ok"
    assert "the stream ended before the answer did" in seen.notes[0]
    assert isinstance((await ask(Fallback([Stops()]))).error, StreamTruncated)


def test_waits_between_retries_are_the_models_own() -> None:
    async def main() -> float:
        told = RateLimited("fake: later.", retry_after=7.0)
        first = fake("one", told, told, told, retry=RetryPolicy(retries=2))
        await ask(Fallback([first, fake("two", says("ok"))]))
        return now()

    assert run_with_fake_clock(main()) == 14.0


async def test_content_is_named_once_and_before_it() -> None:
    seen = await ask(Fallback([fake("one", BUSY), fake("two", says("a", "b"))]))
    kinds = [type(d) for d in seen.deltas]
    assert kinds.count(AnsweredBy) == 1
    assert kinds.index(AnsweredBy) < next(
        n for n, d in enumerate(seen.deltas) if isinstance(d, CONTENT)
    )
