from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.server.message_rate import BURST, PER_SECOND, REFUSED, MessageRate


def test_a_burst_is_taken_then_messages_are_refused_then_the_socket_is_closed() -> None:
    rate = MessageRate(100.0)
    verdicts = [rate.message(100.0) for _ in range(int(BURST + REFUSED) + 1)]
    assert verdicts == ["take"] * int(BURST) + ["refuse"] * int(REFUSED) + ["close"]


@given(st.integers(1, int(PER_SECOND)), st.integers(1, 500))
def test_who_keeps_to_the_rate_is_never_refused(per_second: int, messages: int) -> None:
    rate = MessageRate(0.0)
    assert all(rate.message(n / per_second) == "take" for n in range(messages))


@given(st.floats(0.0, 1000.0), st.integers(1, int(REFUSED)))
def test_who_waits_after_a_refusal_is_taken_again(silent: float, over: int) -> None:
    rate = MessageRate(0.0)
    for _ in range(int(BURST) + over):
        rate.message(0.0)
    now = (over + 1) / PER_SECOND + 0.001 + silent
    taken = 0
    while rate.message(now) == "take":
        taken += 1
    assert 1 <= taken <= BURST


@given(st.lists(st.floats(0.0, 1 / PER_SECOND / 2), min_size=300, max_size=400))
def test_who_goes_on_at_twice_the_rate_is_closed(gaps: list[float]) -> None:
    rate, now = MessageRate(0.0), 0.0
    verdicts = []
    for gap in gaps:
        now += gap
        verdicts.append(rate.message(now))
    assert "close" in verdicts
