"""What is served lean is what was written: acorn and a browser say so, for ours and for made-up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

import headrace.server
from headrace.server.assets import MINIFIED, assets
from headrace.server.lean import lean_css, lean_js
from tests.server.lean_texts import module, sheet
from tests.support.chromium import Browser
from tests.support.node import run_node

FOLDER = Path(headrace.server.__file__).parent / "pages"
OWN = [path for path in assets() if not MINIFIED.fullmatch(path)]
SCRIPTS = [path for path in OWN if path.endswith(".js")]
STYLES = [path for path in OWN if path.endswith(".css")]
MADE_UP = 1000

RULES = r"""((sheets) => sheets.map((css) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  return Array.from(sheet.cssRules, ({ cssText }) => cssText
    .replace(/("[^"]*"|'[^']*')|(?:\s|\/\*.*?\*\/)+/gs, (blank, string) =>
      string ?? (blank.replace(/\/\*.*?\*\//gs, "") ? " " : "/**/"))
    .replace(/(?: |\/\*\*\/)?([{},;])(?: |\/\*\*\/)?|(:) /g, "$1$2"));
}))"""
"""What a browser has understood of style sheets, rule by rule. Only in custom properties does it
leave comments and white space as they are; of those stays what they mean."""


def written(path: str) -> str:
    return (FOLDER / path).read_text()


def tried(source: str) -> str:
    """It lean; of what is no module, maybe nothing: `compared` sees whether it is one."""
    try:
        return lean_js(source)
    except ValueError:
        return "no module ("


async def compared(pairs: list[tuple[str, str]]) -> list[str]:
    out = await run_node("same_program.mjs", stdin="\n".join(map(json.dumps, pairs)).encode())
    return out.split()


def made_up(text: Callable[[Random], str]) -> list[str]:
    """The same ones every time."""
    return [text(Random(seed)) for seed in range(MADE_UP)]  # noqa: S311 - repeatable, not secret


async def test_every_script_of_ours_is_served_as_the_same_program() -> None:
    told = await compared([(written(path), assets()[path].body.decode()) for path in SCRIPTS])
    assert len(SCRIPTS) > 40
    assert dict(zip(SCRIPTS, told, strict=True)) == dict.fromkeys(SCRIPTS, "same")


async def test_a_made_up_script_stays_the_same_program() -> None:
    sources = made_up(module)
    told = await compared([(source, tried(source)) for source in sources])
    assert [s for s, t in zip(sources, told, strict=True) if t == "other"] == []
    assert Counter(told)["same"] > MADE_UP / 4, Counter(told)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("return_ = a\n++b", "return_ = a ++b"),
        ("a = `x  y`", "a = `x y`"),
        ("a = / /", "a = /  /"),
        ("a = b - -c", "a = b - c"),
        ("a\n\nb", "a\nb"),
        ("a = '//'", "a = '"),
    ],
)
async def test_another_program_is_noticed(source: str, text: str) -> None:
    assert await compared([(source, source), (source, text)]) == ["same", "other"]


async def understood(browser: Browser, texts: list[str]) -> list[list[str]]:
    context = await browser.context()
    page = await context.page()
    rules = await page.value(f"{RULES}({json.dumps(texts)})")
    await context.close()
    return list(rules)


async def test_every_style_sheet_of_ours_is_served_as_the_same_rules(browser: Browser) -> None:
    rules = await understood(browser, [written(path) for path in STYLES])
    served = await understood(browser, [assets()[path].body.decode() for path in STYLES])
    assert all(rules)
    assert served == rules


async def test_a_made_up_style_sheet_keeps_its_rules(browser: Browser) -> None:
    sources = made_up(sheet)
    rules = await understood(browser, sources)
    lean = await understood(browser, [lean_css(source) for source in sources])
    assert [s for s, a, b in zip(sources, rules, lean, strict=True) if a != b] == []
    assert sum(len(found) > 0 for found in rules) > MADE_UP / 2


def test_it_is_done_at_once_and_a_script_keeps_its_lines() -> None:
    for path in SCRIPTS:
        text = lean_js(written(path))
        assert text.count("\n") == written(path).count("\n")
        assert lean_js(text) == text
    for source in [*map(written, STYLES), *made_up(sheet)]:
        assert lean_css(lean_css(source)) == lean_css(source)


def test_a_licence_stays_where_there_is_one() -> None:
    licensed = [path for path in OWN if "@license" in written(path)]
    assert "headrace.js" in licensed
    for path in licensed:
        assert "@license Apache-2.0 */" in assets()[path].body.decode(), path
