"""A guard's patterns match as `re` does, character by character, in bounded time and memory."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.agents.guards import pattern as patterns
from headrace.agents.guards.pattern import MAX_STEPS, Pattern
from headrace.agents.guards.program import MAX_STATES
from headrace.agents.guards.scanner import Scanner
from headrace.errors import UsageError

PATTERNS = [
    r"sk-[A-Za-z0-9]+",
    r"[\w.+-]+@[\w-]+(\.[\w-]+)+",
    r"\bab+?\b",
    r"\Bb",
    r"a|ab|abc",
    r"(?i)Foo(ba)*",
    r"(?i:a)b|(?-i:C)a",
    r"a.*?b",
    r"(?s)a.b",
    r"(?<!\d)\d{3,5}(?!\d)",
    r"a(?=b)",
    r"(?<=a)b",
    r"^ab|b\Z",
    r"\Aa",
    r"(?m)^a$",
    r"(ab?c?){2,3}",
    r"x*y",
    r"(?:a*)*b",
    r"[^a-c]b",
    r"(a|b)*?c",
    r"(?P<name>a)\.?",
    r"a{2}b{0,2}?c",
    r"(?a)\w+-|\W{2}",
    r"(?x) a  b # comment",
    r"[\s\-\]]b|ä+",
]
TEXTS = st.text(st.sampled_from("abcABC xysk-019@.Foä\n]"), max_size=40)


def matches(pattern: Pattern, pieces: list[str], window: int = 256) -> list[tuple[int, int]]:
    scanner = Scanner(pattern, window)
    found = [match for piece in pieces for match in scanner.feed(piece)]
    return [(match.start, match.end) for match in (*found, *scanner.close())]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(pieces=st.lists(TEXTS, max_size=6))
def test_it_matches_what_re_matches_whatever_the_pieces(pattern: str, pieces: list[str]) -> None:
    text = "".join(pieces)
    compiled = Pattern(pattern)
    expected = [match.span() for match in re.finditer(pattern, text)]
    assert matches(compiled, pieces) == expected
    assert matches(compiled, list(text)) == expected
    assert matches(compiled, [text]) == expected


_ONE = st.sampled_from(["a", "b", ".", r"\w", "[ab]", "[^a]", r"\b", "c"])
_MADE = st.recursive(
    _ONE,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,2}", "*?", "+?", "??"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda ways: f"(?:{'|'.join(ways)})"),
    ),
    max_leaves=6,
)


@given(pattern=_MADE, text=st.text(st.sampled_from("abc "), max_size=12))
def test_so_does_a_pattern_that_nobody_thought_of(pattern: str, text: str) -> None:
    pattern = f"c{pattern}"  # one that matches the empty text is refused
    expected = [match.span() for match in re.finditer(pattern, text)]
    assert matches(Pattern(pattern), list(text)) == expected


def test_a_compiled_expression_keeps_its_flags() -> None:
    assert matches(Pattern(re.compile("ab", re.IGNORECASE)), ["xA", "Bx"]) == [(1, 3)]


def test_a_dollar_is_the_end_of_any_line() -> None:
    """`re` also takes it before a newline that is the text's last: nobody knows which is."""
    assert matches(Pattern("a$"), ["a\n", "a"]) == [(0, 1), (2, 3)]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(a)\1", "backreferences"),
        (r"(a)?(?(1)b|c)", "conditional groups"),
        (r"a(?=bc)", "lookaround"),
        (r"(?<!ab)c", "lookaround"),
        ("a*", "empty text"),
        (r"\b", "empty text"),
        ("(?=a)", "empty text"),
        ("", "empty text"),
        ("(", "no regular expression"),
        (b"a", "bytes"),
        (3, "no regular expression"),
        ("(ab){3000}", f"more than {MAX_STATES}"),
    ],
)
def test_what_no_guard_can_look_for_is_refused(pattern: object, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Pattern(pattern)  # type: ignore[arg-type]


@pytest.mark.parametrize("pattern", ["(?>ab)c", "a++b"])
def test_atomic_groups_are_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"atomic|possessive"):
        Pattern(pattern)


class Counting(Pattern):
    """Counts the characters that its machine is fed."""

    fed = 0

    def step(self, *arguments: object) -> patterns.Step:
        self.fed += 1
        return super().step(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a|aa)+c", "(.*)*x"])
def test_no_pattern_takes_more_than_linear_time(pattern: str) -> None:
    """`re` would not come back from these in a lifetime."""
    counting = Counting(pattern)
    assert matches(counting, ["a" * 5000]) == []
    assert counting.fed <= 5001


def test_a_machine_remembers_so_many_steps_and_no_more() -> None:
    pattern = Pattern("[^y]{2}y|xabcy")
    matches(pattern, ["".join(map(chr, range(0x4E00, 0x4E00 + 3 * MAX_STEPS)))])
    nodes = list(pattern._nodes.values())
    assert sum(len(node.begun) + len(node.going) for node in nodes) <= MAX_STEPS
    assert matches(pattern, ["xabcy"]) == [(0, 5)]
