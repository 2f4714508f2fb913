"""Guards read an answer in the same way whatever its cuts, and let nothing through too early."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from msgspec.structs import replace

from headrace.agents.guards import (
    Channel,
    End,
    Finding,
    Guard,
    Replace,
    Said,
    Verdict,
    Watch,
    Withdraw,
    as_guard,
    block,
    judge,
    redact,
)
from headrace.agents.guards.reader import GuardReader
from headrace.messages import Opaque
from headrace.models.deltas import (
    Delta,
    Failure,
    Finish,
    Note,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from headrace.usage import Usage

KEY = r"sk-[a-z0-9]+"
END = Finish("stop")


def read(
    guards: Sequence[Guard], batches: Iterable[Sequence[Delta]], *, json_text: bool = False
) -> list[Delta]:
    reader = GuardReader([as_guard(guard) for guard in guards], json_text=json_text)
    return [delta for batch in batches for delta in reader.feed(batch)]


def joined(deltas: Iterable[Delta]) -> list[object]:
    """Neighbouring pieces of one content made one, without empty text; a failure by its words."""
    made: list[object] = []
    begun: set[int] = set()
    for delta in deltas:
        last = made[-1] if made else None
        if isinstance(delta, ToolCallDelta):
            if delta.index in begun and not delta.arguments:
                continue
            begun.add(delta.index)
        if isinstance(delta, TextDelta | ReasoningDelta) and not delta.content:
            continue
        if isinstance(delta, TextDelta) and isinstance(last, TextDelta):
            made[-1] = TextDelta(last.content + delta.content)
        elif isinstance(delta, ReasoningDelta) and isinstance(last, ReasoningDelta):
            made[-1] = ReasoningDelta(last.content + delta.content)
        elif (
            isinstance(delta, ToolCallDelta)
            and isinstance(last, ToolCallDelta)
            and last.index == delta.index
        ):
            made[-1] = replace(last, arguments=last.arguments + delta.arguments)
        elif isinstance(delta, Failure):
            made.append((delta.error.code, delta.error.message))
        else:
            made.append(delta)
    return made


def content(deltas: Iterable[Delta]) -> list[Delta]:
    return [delta for delta in deltas if not isinstance(delta, UsageDelta | Note)]


def text_of(deltas: Iterable[Delta]) -> str:
    return "".join(delta.content for delta in deltas if isinstance(delta, TextDelta))


def rude(said: Said) -> Verdict | None:
    if "9" in said.text:
        return End("nine")
    return Withdraw("zz", hint="no zz") if "zz" in said.text + said.reasoning else None


def odd(text: str) -> bool:
    return len(text) % 2 == 1


def fussy(text: str) -> bool:
    if text.endswith("1"):
        raise ValueError(text)
    return True


GUARDS: list[list[Guard]] = [
    [redact(KEY)],
    [redact(KEY, "#"), redact("k-a|a b", "?")],
    [redact(KEY, window=4), redact(r"\bbs\b", "B")],
    [block("s b"), redact(KEY)],
    [redact(KEY, only=odd), block(r"1{2}k", where=["text"])],
    [redact(KEY, only=fussy)],
    [judge(rude, every=3), redact(KEY)],
    [rude],
]
SAID = st.text(st.sampled_from('sk-ab19z "\\'), max_size=14)
PLACES: list[str | int] = ["text", "reasoning", 0, 1, "usage", "note"]
SEGMENTS = st.lists(st.tuples(st.sampled_from(PLACES), SAID), max_size=6)


def delta_of(channel: str | int, piece: str) -> Delta:
    match channel:
        case "text":
            return TextDelta(piece)
        case "reasoning":
            return ReasoningDelta(piece)
        case "usage":
            return UsageDelta(Usage(3, 2))
        case "note":
            return Note("retry", "again")
        case _:
            return ToolCallDelta(int(channel), f"call_{channel}", "send", piece)


@st.composite
def cuttings(draw: DrawFn) -> tuple[list[Delta], list[list[Delta]]]:
    """One answer: whole, and cut into pieces and batches somehow."""
    whole: list[Delta] = []
    cut: list[Delta] = []
    for channel, said in draw(SEGMENTS):
        whole.append(delta_of(channel, said))
        if channel in ("usage", "note"):
            cut.append(whole[-1])
            continue
        ends = sorted(draw(st.sets(st.integers(0, len(said)), max_size=4)) | {len(said)})
        for start, end in zip([0, *ends], ends, strict=False):
            cut.append(delta_of(channel, said[start:end]))
    batches: list[list[Delta]] = [[]]
    for delta in [*cut, END]:
        if draw(st.booleans()):
            batches.append([])
        batches[-1].append(delta)
    return [*whole, END], batches


@pytest.mark.parametrize("guards", GUARDS, ids=str)
@given(cuttings())
def test_the_same_deltas_come_for_every_cut(
    guards: list[Guard], answer: tuple[list[Delta], list[list[Delta]]]
) -> None:
    whole, cut = answer
    assert joined(read(guards, cut)) == joined(read(guards, [whole]))
    assert joined(read(guards, cut, json_text=True)) == joined(
        read(guards, [whole], json_text=True)
    )


@given(cuttings())
def test_with_nothing_to_find_everything_comes_as_it_was(
    answer: tuple[list[Delta], list[list[Delta]]],
) -> None:
    whole, cut = answer
    expected = joined(content(whole))
    assert joined(content(read([redact("never seen")], cut))) == expected
    assert joined(content(read([redact("never seen")], [whole]))) == expected


@given(st.lists(SAID, max_size=8))
def test_no_secret_is_ever_shown_however_early_one_looks(pieces: list[str]) -> None:
    reader = GuardReader([as_guard(redact(r"sk-[a-z0-9]"))])
    shown = ""
    batches: list[list[Delta]] = [[TextDelta(piece)] for piece in pieces]
    batches.append([END])
    for batch in batches:
        shown += text_of(reader.feed(batch))
        assert not any(f"sk-{char}" in shown for char in "ab19z")


def test_text_goes_on_at_once_where_nothing_can_match() -> None:
    reader = GuardReader([as_guard(redact(KEY))])
    assert reader.feed([TextDelta("Hello ")]) == [TextDelta("Hello ")]
    assert reader.feed([TextDelta("you s")]) == [TextDelta("you ")]
    assert reader.feed([TextDelta("o")]) == [TextDelta("so")]
    assert reader.feed([TextDelta("k sk-a")]) == [TextDelta("k [redacted]")]
    assert reader.feed([TextDelta("bc")]) == []
    assert reader.feed([TextDelta(".")]) == [TextDelta(".")]


def test_what_was_held_back_comes_at_the_end() -> None:
    assert text_of(read([redact(KEY)], [[TextDelta("ask sk")], [END]])) == "ask sk"


def test_an_answer_that_breaks_off_gives_what_was_held_back() -> None:
    reader = GuardReader([as_guard(redact(KEY))])
    assert reader.feed([TextDelta("a sk-")]) == [TextDelta("a ")]
    assert reader.close() == [TextDelta("sk-")]


def test_other_content_waits_for_what_is_held_back() -> None:
    deltas: list[Delta] = [TextDelta("sk"), ToolCallDelta(0, "c", "f", "{}"), TextDelta("!"), END]
    assert read([redact(KEY)], [deltas]) == [
        TextDelta("sk"),
        ToolCallDelta(0, "c", "f", ""),
        ToolCallDelta(0, "c", "f", "{}"),
        TextDelta("!"),
        END,
    ]


def test_a_secret_that_ends_where_a_call_begins_is_caught() -> None:
    deltas: list[Delta] = [TextDelta("a key"), ToolCallDelta(0, "c", "f", "{}"), END]
    assert text_of(read([redact(r"\bkey\b")], [deltas])) == "a [redacted]"


def test_a_secret_around_other_content_is_cut_short() -> None:
    deltas: list[Delta] = [TextDelta("sk-"), ReasoningDelta("hm"), TextDelta("abc ok"), END]
    assert joined(read([redact(KEY)], [deltas])) == [
        TextDelta("sk-"),
        ReasoningDelta("hm"),
        TextDelta("[redacted] ok"),
        END,
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"a": "sk-ab", "b": 1}', '{"a": "#'),
        (r'{"a": "\u0073k\u002dab"}', '{"a": "#'),
        (r'{"a": "\ud83d\ude00 sk-ab"}', '{"a": "\\ud83d\\ude00 #'),
        ('{"sk-a": 1}', '{"#'),
    ],
)
def test_arguments_end_where_something_is_found(arguments: str, expected: str) -> None:
    for pieces in ([arguments], list(arguments)):
        deltas = [[ToolCallDelta(0, "c", "f", piece)] for piece in pieces]
        given = read([redact(KEY, "#")], [*deltas, [END]])
        assert joined(given) == [
            ToolCallDelta(0, "c", "f", f"{expected} (withheld by a guard: this call does not run)"),
            END,
        ]


def test_arguments_with_escapes_come_as_they_were_written() -> None:
    arguments = r'{"a": "\u00e9\n\ud83d\ude00\"\\", "b": "\ud83d"}'
    for pieces in ([arguments], list(arguments)):
        given = read([redact(KEY)], [[ToolCallDelta(0, "c", "f", p)] for p in pieces] + [[END]])
        assert joined(given) == [ToolCallDelta(0, "c", "f", arguments), END]


def test_an_escape_around_other_content_comes_once() -> None:
    first = ToolCallDelta(0, "c", "f", '"\\')
    deltas: list[Delta] = [first, TextDelta("!"), replace(first, arguments='u0041"'), END]
    given = read([redact("never seen")], [deltas])
    assert "".join(d.arguments for d in given if isinstance(d, ToolCallDelta)) == '"\\u0041"'


@pytest.mark.parametrize("pieces", [["xabbc."], list("xabbc.")])
def test_of_two_that_find_something_at_one_place_the_first_one_speaks(pieces: list[str]) -> None:
    guards = [redact("ab+c", "1"), redact("ab", "2")]
    assert text_of(read(guards, [*([TextDelta(piece)] for piece in pieces), [END]])) == "x1."


@pytest.mark.parametrize("pieces", [["sk-ab. sk-abc."], list("sk-ab. sk-abc.")])
def test_whoever_decides_about_a_match_sees_all_of_it(pieces: list[str]) -> None:
    guard = redact(KEY, "#", only=lambda text: text == "sk-abc")
    given = read([guard], [*([TextDelta(piece)] for piece in pieces), [END]])
    assert text_of(given) == "sk-ab. #."


def test_in_json_text_an_escape_hides_nothing_and_a_replacement_is_escaped() -> None:
    deltas: list[Delta] = [TextDelta(r'{"key": "\u0073k-ab"}'), END]
    assert text_of(read([redact(KEY, '"?"')], [deltas], json_text=True)) == r'{"key": "\"?\""}'
    assert text_of(read([redact(KEY)], [deltas])) == r'{"key": "\u0073k-ab"}'


def test_a_guard_looks_where_it_is_told_to() -> None:
    deltas: list[Delta] = [
        ReasoningDelta("sk-a"),
        TextDelta("sk-b"),
        ToolCallDelta(0, "c", "f", '"sk-c"'),
        END,
    ]
    only_text = redact(KEY, "#", where=["text"])
    assert joined(read([only_text], [deltas])) == [deltas[0], TextDelta("#"), *deltas[2:]]


def test_a_block_ends_the_answer_before_it() -> None:
    batches: list[list[Delta]] = [[TextDelta("so be")], [TextDelta("fore and")], [TextDelta("x")]]
    assert joined(read([block("before", "no looking back")], batches)) == [
        TextDelta("so "),
        Note("guard", "no looking back"),
        Finish("content_filter", "guard: no looking back"),
    ]


def test_a_block_that_could_go_on_for_ever_ends_the_answer_at_once() -> None:
    reader = GuardReader([as_guard(block("secret.*"))])
    assert isinstance(reader.feed([TextDelta("a secret")])[-1], Finish)


def test_what_an_ended_answer_has_used_is_what_was_shown_at_least() -> None:
    batches: list[list[Delta]] = [[UsageDelta(Usage(100, 1))], [TextDelta("x" * 40 + "stop")]]
    told = [
        delta.usage for delta in read([block("stop")], batches) if isinstance(delta, UsageDelta)
    ]
    assert told[-1] == Usage(100, 10, exact=False)


def test_a_provider_s_item_goes_back_whole_or_not_at_all() -> None:
    fine = OpaqueDelta(Opaque("anthropic", '{"thinking": "hm"}'))
    bad = OpaqueDelta(Opaque("anthropic", r'{"thinking": "\u0073k-ab"}'))
    first, second, end = read([redact(KEY)], [[fine, bad, END]])
    assert first is fine
    assert isinstance(second, Note)
    assert end is END


def test_a_judge_is_asked_at_the_same_places_whatever_the_cuts() -> None:
    for pieces in (["abcdefgh"], list("abcdefgh"), ["abcd", "efgh"]):
        asked: list[tuple[str, bool]] = []

        def look(said: Said, to: list[tuple[str, bool]] = asked) -> None:
            to.append((said.text, said.ended))

        watch = judge(look, every=3)
        read([watch], [*[[TextDelta(piece)] for piece in pieces], [END]])
        assert asked == [("abc", False), ("abcdef", False), ("abcdefgh", True)]


def test_a_judge_sees_what_viewers_saw() -> None:
    asked: list[Said] = []
    deltas: list[Delta] = [
        ReasoningDelta("hm"),
        TextDelta("sk-ab"),
        ToolCallDelta(0, "c", "f", '{"a": 1}'),
        END,
    ]
    read([lambda said: asked.append(said), redact(KEY)], [deltas])
    (said,) = asked
    assert (said.text, said.reasoning, said.ended) == ("[redacted]", "hm", True)
    assert [(call.name, call.arguments) for call in said.calls] == [("f", '{"a": 1}')]


def test_a_verdict_of_withdraw_breaks_the_answer() -> None:
    deltas: list[Delta] = [TextDelta("so zz"), END]
    assert joined(read([rude], [deltas])) == [
        TextDelta("so zz"),
        ("guard", "A guard withdrew the answer: zz."),
    ]


class Shouts(Watch):
    """Replaces each run of capitals; holds back the last one."""

    def __init__(self) -> None:
        self._read = 0
        self._since: int | None = None

    @property
    def clear(self) -> int:
        return self._read if self._since is None else self._since

    def feed(self, text: str) -> list[Finding]:
        found: list[Finding] = []
        for char in text:
            if not char.isupper():
                found += self.close()
            elif self._since is None:
                self._since = self._read
            self._read += 1
        return found

    def close(self) -> list[Finding]:
        since, self._since = self._since, None
        return [] if since is None else [Replace(since, self._read, "…")]


class NoShouting:
    def watch(self, channel: Channel) -> Watch | None:
        return Shouts() if channel == "text" else None


@given(st.lists(st.text(st.sampled_from("aB "), max_size=5), max_size=6))
def test_a_guard_of_ones_own(pieces: list[str]) -> None:
    text = "".join(pieces)
    expected = "".join("…" if up else "".join(run) for up, run in groupby(text, str.isupper))
    assert text_of(read([NoShouting()], [*[[TextDelta(p)] for p in pieces], [END]])) == expected


class Broken(Shouts):
    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at

    @property
    def clear(self) -> int:
        if self.at == "clear" and self._read > 4:
            raise ValueError("sk-ab")
        return -9000 if self.at == "greedy" and self._read > 4 else super().clear

    def feed(self, text: str) -> list[Finding]:
        found = super().feed(text)
        if self.at == "feed" and self._read > 4:
            raise ValueError("sk-ab")
        return found

    def close(self) -> list[Finding]:
        if self.at == "close":
            raise ValueError("sk-ab")
        return super().close()


class BrokenGuard:
    def __init__(self, at: str) -> None:
        self.at = at

    def watch(self, channel: Channel) -> Watch | None:
        if self.at == "watch":
            raise ValueError("sk-ab")
        return Broken(self.at)


@pytest.mark.parametrize("at", ["watch", "feed", "clear", "close", "greedy"])
def test_a_guard_that_raises_fails_closed(at: str) -> None:
    reader = GuardReader([BrokenGuard(at)])
    given = [*reader.feed([TextDelta("abc")]), *reader.feed([TextDelta("secret")])]
    given += reader.feed([TextDelta("more"), END])
    assert "more" not in text_of(given) or at == "close"
    assert "secret" not in text_of(given) or at == "close"
    failure = given[-1]
    assert isinstance(failure, Failure)
    assert failure.error.code == "guard_failed"
    assert "sk-ab" not in str(failure.error)
    assert reader.feed([TextDelta("even more")]) == []
    assert reader.close() == []


@pytest.mark.parametrize("every", [0, 2])
def test_a_judge_that_raises_fails_closed(every: int) -> None:
    def broken(said: Said) -> Verdict | None:
        raise RuntimeError("sk-ab")

    given = read([judge(broken, every=every)], [[TextDelta("abcd"), END]])
    assert text_of(given) == ("ab" if every else "abcd")
    assert isinstance(given[-1], Failure)
    assert given[-1].error.code == "guard_failed"


def test_a_judge_that_gives_no_verdict_fails_closed() -> None:
    given = read([lambda said: "bad"], [[TextDelta("a"), END]])  # type: ignore[list-item,return-value]
    assert isinstance(given[-1], Failure)
    assert given[-1].error.code == "guard_failed"
