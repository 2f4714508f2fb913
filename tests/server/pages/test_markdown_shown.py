"""`markdown.js` in a real browser: what grows is drawn, what is finished is left alone."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from headrace import Agent
from headrace.testing import ScriptedModel
from tests.server.serving import serving
from tests.support.chromium import Browser, Page

BEGIN = """(async () => {
  const { html, render } = await import("/assets/vendor/preact.js");
  const { Markdown } = await import("/assets/markdown/markdown.js");
  const host = document.createElement("div");
  host.id = "host";
  document.body.append(host);
  window.show = (text, live = true) =>
    render(html`<${Markdown} text=${text} live=${live} />`, host);
})()"""


@asynccontextmanager
async def opened(browser: Browser) -> AsyncGenerator[Page]:
    """A page with a place to show Markdown in; in the end it has nothing to complain of."""
    async with serving([Agent(name="a", model=ScriptedModel([]))]) as server:
        context = await browser.context(permissions=["clipboard-read", "clipboard-write"])
        page = await context.page()
        await page.goto(server.url)
        await page.until("document.querySelector('#input') !== null")
        await page.value(BEGIN)
        yield page
        assert await page.complaints() == []
        await context.close()


async def show(page: Page, text: str, live: bool = True) -> None:
    await page.value(f"(show({json.dumps(text)}, {json.dumps(live)}), null)")


async def test_a_finished_block_keeps_its_elements(browser: Browser) -> None:
    async with opened(browser) as page:
        await show(page, "# One\n\ntwo *three*\n\nfo")
        await page.value(
            "(window.kept = [...document.querySelectorAll('#host .block > *')].slice(0, 2), null)"
        )
        await page.value("(getSelection().selectAllChildren(window.kept[1]), null)")
        await show(page, "# One\n\ntwo *three*\n\nfour\n\n```py\nfive\n```\n")
        await show(page, "# One\n\ntwo *three*\n\nfour\n\n```py\nfive\n```\n", live=False)
        assert await page.value("window.kept.every((element) => element.isConnected)")
        assert await page.value("getSelection().toString()") == "two three"
        assert await page.texts("#host .block > :not(button)") == [
            "One",
            "two three",
            "four",
            "five",
        ]


async def test_code_that_grows_is_one_text(browser: Browser) -> None:
    """So that what is selected in it stays selected."""
    async with opened(browser) as page:
        await show(page, "```js\nlet a = 1;\n")
        await page.value("(window.text = document.querySelector('#host code').firstChild, null)")
        await page.value("(getSelection().setBaseAndExtent(text, 0, text, 3), null)")
        for text in (
            "```js\nlet a = 1;\nb",
            "```js\nlet a = 1;\nb\n```",
            "```js\nlet a = 1;\nb\n```\nc",
        ):
            await show(page, text)
            assert await page.value("window.text.isConnected"), text
            assert await page.value("getSelection().toString()") == "let"
        assert await page.value("window.text.data") == "let a = 1;\nb"
        assert await page.value("document.querySelector('#host code').className") == "language-js"
        assert await page.value("document.querySelector('#host .code').dataset.language") == "js"


async def test_code_is_copied_as_it_is(browser: Browser) -> None:
    async with opened(browser) as page:
        await show(
            page, "```\n<b>&amp;\n\n  x\n```\n\n- a\n\n  ```py\n  in *a* list\n  ```\n", live=False
        )
        assert await page.texts("#host .copy-code") == ["Copy", "Copy"]
        for place, text in ((".md > .code", "<b>&amp;\n\n  x"), ("li .code", "in *a* list\n")):
            await page.click(f"#host {place} .copy-code")
            await page.see(f"#host {place} .copy-code", "Copied")
            assert await page.value("navigator.clipboard.readText()") == text


async def test_a_reader_of_the_keyboard_gets_to_what_may_scroll(browser: Browser) -> None:
    async with opened(browser) as page:
        await show(page, "```\na\n```\n\n- b\n\n      c\n\n| d |\n|---|\n", live=False)
        stops = "[...document.querySelectorAll('#host [tabindex=\"0\"]')].map((e) => e.localName)"
        assert await page.value(stops) == ["pre", "pre", "table"]


async def test_what_was_withdrawn_is_gone(browser: Browser) -> None:
    async with opened(browser) as page:
        await show(page, "one\n\n```\ntwo\n```\n\nthree")
        await show(page, "one\n\nfour")
        assert await page.texts("#host .block") == ["one\n", "four\n"]


async def test_a_link_opens_elsewhere_and_tells_nothing(browser: Browser) -> None:
    async with opened(browser) as page:
        await show(page, "[a](https://e.x) b@c.d [e](/v1/runs)", live=False)
        links = (
            """[...document.querySelectorAll("#host a")].map((a) => [a.href, a.target, a.rel])"""
        )
        rel = "noopener noreferrer nofollow"
        assert await page.value(links) == [
            ["https://e.x/", "_blank", rel],
            ["mailto:b@c.d", "_blank", rel],
        ]


async def test_a_list_begins_where_it_says_and_columns_stand_as_they_should(
    browser: Browser,
) -> None:
    async with opened(browser) as page:
        table = "| a | b | c |\n|:--|:-:|--:|\n| 1 | 2 | 3 |\n"
        await show(page, f"3. three\n4. four\n\n{table}", live=False)
        assert await page.value("document.querySelector('#host ol').start") == 3
        aligned = "[...document.querySelectorAll('#host td')].map((e) => e.align)"
        assert await page.value(aligned) == ["left", "center", "right"]


async def test_a_wide_table_scrolls_and_breaks_no_words(browser: Browser) -> None:
    async with opened(browser) as page:
        row = "|" + " considerable |" * 20 + "\n"
        await show(page, f"{row}{'|---' * 20}|\n{row}", live=False)
        await page.value("document.querySelector('#host').style.width = '320px'")
        table = "document.querySelector('#host table')"
        assert await page.value(f"{table}.offsetWidth") <= 320
        assert await page.value(f"{table}.scrollWidth") > 1000
        lines = "document.querySelector('#host td').getClientRects()[0].height"
        assert await page.value(lines) < 50


async def test_each_block_goes_in_the_direction_of_its_words(browser: Browser) -> None:
    async with opened(browser) as page:
        await show(
            page, "English\n\n\u0645\u0631\u062d\n\n- \u0639\u0646\n\n```py\nx\n```\n", live=False
        )
        directions = """[...document.querySelectorAll("#host .block")]
            .map((block) => getComputedStyle(block.firstElementChild).direction)"""
        assert await page.value(directions) == ["ltr", "rtl", "rtl", "ltr"]


async def test_code_names_its_language_wherever_it_stands(browser: Browser) -> None:
    async with opened(browser) as page:
        await show(page, "```py\na\n```\n\n```\nb\n```\n\n- c\n\n  ```js\n  d\n  ```\n", live=False)
        label = """[...document.querySelectorAll("#host .code")]
            .map((code) => getComputedStyle(code, "::before").content)"""
        assert await page.value(label) == ['"py"', '"text"', '"js"']
