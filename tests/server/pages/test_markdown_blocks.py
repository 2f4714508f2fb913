"""The chat page's Markdown while it grows, under Node: `blocks.js`, `render.js`, `half_open.js`."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.node import run_node

LINES = [
    *(
        "word word\n",
        "a *b* **c** `d` ~~e~~\n",
        "\n",
        "\n\n",
        "# h\n",
        "### h *i*\n",
        "---\n",
        "***\n",
    ),
    *(
        "- x\n",
        "* y\n",
        "+ z\n",
        "  - in\n",
        "1. one\n",
        "2. two\n",
        "1) one\n",
        "- [ ] t\n",
        "  in\n",
    ),
    *("> q\n", "> > q\n", "> - q\n", "    code\n", "```\n", "```py\n", "~~~\n", "````\n", "===\n"),
    *("| a | b |\n", "|---|:-:|\n", "| 1 | 2 |\n", "a | b\n", "--|--\n", "<div>\n", "</div>\n"),
    *("<!--\n", "-->\n", "<br>\n", "\\\n", "\r\n", "x\r\n", "\u3000\n", "- \xa0\n", "😀 無\n"),
]
BITS = [
    *(
        "word",
        " ",
        "*",
        "**",
        "_",
        "`",
        "``",
        "~~",
        "[",
        "](",
        ")",
        "[a](http://e.x)",
        "![i](http://e.x)",
    ),
    *(
        "http://a.b",
        "www.c.d",
        "<b>",
        "</b>",
        "<br>",
        "H<sub>2</sub>",
        "&amp;",
        "&",
        "<",
        "\\*",
        "|",
    ),
    *(
        "- ",
        "1. ",
        "> ",
        "# ",
        "```",
        "  ",
        "\t",
        "\xa0",
        "😀",
        "javascript:x",
        "<a href='",
        '"',
        "\r",
    ),
]
DEFINITIONS = ["[x]: http://e.x\n", '[x]: http://e.x "t"\n', '"t"\n', "[x]", "[x]:\n", '"t\n']

lines = st.lists(st.sampled_from(LINES + BITS), max_size=14).map("".join)
defining = st.lists(st.sampled_from(LINES + BITS + DEFINITIONS), max_size=14).map("".join)


@st.composite
def growing(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> list[str]:
    """A text as it grows, in any cuts or character by character."""
    text = draw(texts)
    if draw(st.booleans()):
        return [text[:i] for i in range(len(text) + 1)]
    cuts = draw(st.lists(st.integers(0, len(text)), max_size=8))
    return [*(text[:i] for i in sorted(cuts)), text]


@st.composite
def withdrawn(draw: st.DrawFn) -> list[str]:
    """A text of which the end, or all, is replaced now and then."""
    text, seen = draw(defining), list[str]()
    for _ in range(draw(st.integers(1, 4))):
        seen += [text, kept := text[: draw(st.integers(0, len(text)))]]
        seen.append(text := kept + draw(defining))
    return seen


def collected(strategy: st.SearchStrategy[list[str]], count: int) -> list[list[str]]:
    """Inputs that Hypothesis makes up: one process then takes them all."""
    found = list[list[str]]()

    @settings(max_examples=count, derandomize=True, database=None)
    @given(strategy)
    def collect(texts: list[str]) -> None:
        found.append(texts)

    collect()
    return found


async def told(inputs: list[list[str]]) -> list[dict[str, Any]]:
    stdin = "\n".join(json.dumps({"texts": texts}) for texts in inputs).encode()
    out = await run_node("markdown_blocks.mjs", stdin=stdin)
    results = [json.loads(line) for line in out.split("\n")[:-1]]
    assert len(results) == len(inputs)
    return results


def html_of(block: dict[str, Any]) -> str:
    """A block as HTML, the code among it as `render.js` would have it within something else."""
    if not (code := block["code"]):
        return str(block["html"])
    name = f' class="language-{code["language"]}"' if code["language"] else ""
    text = html.escape(code["text"]).replace("&#x27;", "&#39;")
    return f"<pre><code{name}>{text}\n</code></pre>\n"


async def test_the_end_is_the_same_however_the_text_came() -> None:
    inputs = [*collected(growing(lines), 400), *collected(growing(defining), 400)]
    for texts, result in zip(inputs, await told(inputs), strict=True):
        assert result["blocks"] == result["once"], texts[-1]
        assert not any(block["open"] for block in result["blocks"])
        keys = [block["key"] for block in result["blocks"]]
        assert keys == sorted(set(keys))


async def test_a_finished_block_never_changes_while_the_text_grows() -> None:
    inputs = [*collected(growing(lines), 400), *collected(growing(defining), 400)]
    results = await told(inputs)
    assert [
        texts[-1] for texts, result in zip(inputs, results, strict=True) if result["changed"]
    ] == []
    assert sum(len(result["blocks"]) > 3 for result in results) > 50


async def test_what_was_withdrawn_leaves_no_trace() -> None:
    inputs = collected(withdrawn(), 500)
    for texts, result in zip(inputs, await told(inputs), strict=True):
        assert result["blocks"] == result["once"], texts


async def test_the_blocks_together_are_the_text_read_as_a_whole() -> None:
    """Where no reference is to a definition: that counts from where it stands."""
    usual = st.lists(
        st.sampled_from([x for x in LINES if x.isascii() and "\r" not in x]), max_size=14
    )
    inputs = collected(growing(usual.map("".join)), 400)
    for texts, result in zip(inputs, await told(inputs), strict=True):
        whole = html_of(result["whole"])
        joined = "".join(map(html_of, result["blocks"]))
        assert re.sub(r"\s+", "", joined) == re.sub(r"\s+", "", whole), texts[-1]


async def test_a_definition_counts_from_where_it_stands() -> None:
    text = "see [x]\n\n[x]: http://e.x\n\nsee [x]\n\n[x]: http://other.x\n\n- see [X]\n"
    (result,) = await told([[text[:i] for i in range(len(text) + 1)]])
    assert [block["html"] for block in result["blocks"]] == [
        "<p>see [x]</p>\n",
        '<p>see <a href="http://e.x">x</a></p>\n',
        '<ul>\n<li>see <a href="http://e.x">X</a></li>\n</ul>\n',
    ]


async def test_it_may_go_on_after_it_has_ended() -> None:
    """Blocks of an end are no finished ones: a list is one list, whenever its text came."""
    (result,) = await told([["- a\n", "- a\n\n- b", "- a\n\n- b\n\nc"]])
    assert [html_of(block) for block in result["blocks"]] == [
        "<ul>\n<li><p>a</p>\n</li>\n<li><p>b</p>\n</li>\n</ul>\n",
        "<p>c</p>\n",
    ]


OPEN = {
    # the text so far: what is shown of its last block
    "a **bold wo": "<p>a <strong>bold wo</strong></p>\n",
    "a **bold wo*": "<p>a <strong>bold wo</strong></p>\n",
    "a *b **c": "<p>a <em>b <strong>c</strong></em></p>\n",
    "***both": "<p><em><strong>both</strong></em></p>\n",
    "~~gone": "<p><del>gone</del></p>\n",
    "a `code": "<p>a <code>code</code></p>\n",
    "a ``co`de`": "<p>a <code>co`de</code></p>\n",
    "a `": "<p>a </p>\n",
    "a **": "<p>a </p>\n",
    "2 * 3 *": "<p>2 * 3 </p>\n",
    "snake_case_name": "<p>snake_case_name</p>\n",
    r"\*no *yes": "<p>*no <em>yes</em></p>\n",
    "see [the page](http://ex": "<p>see the page</p>\n",
    "see ![the pic](http://ex": "<p>see the pic</p>\n",
    "see [the": "<p>see [the</p>\n",
    "go to http://exam": "<p>go to http://exam</p>\n",
    "go to www.exam": "<p>go to www.exam</p>\n",
    "go to http://e.x now": '<p>go to <a href="http://e.x">http://e.x</a> now</p>\n',
    "Here:\n-": "<p>Here:</p>\n",
    "Here:\n--": "<p>Here:</p>\n",
    "Here:\n1": "<p>Here:</p>\n",
    "Here:\n1.": "<p>Here:</p>\n",
    "Here:\n##": "<p>Here:</p>\n",
    "Here:\n=": "<p>Here:</p>\n",
    "- a *b\n- **c": "<ul>\n<li>a *b</li>\n<li><strong>c</strong></li>\n</ul>\n",
    "- [ ] a **b": "<ul>\n<li>☐ a <strong>b</strong></li>\n</ul>\n",
    "> a **b": "<blockquote>\n<p>a <strong>b</strong></p>\n</blockquote>\n",
    "- ```\n  a **b": "<ul>\n<li><pre><code>a **b\n</code></pre>\n</li>\n</ul>\n",
}


async def test_a_half_open_tail_is_shown_as_it_will_most_likely_be() -> None:
    shown = json.loads(await run_node("markdown_shown.mjs", stdin=json.dumps([*OPEN]).encode()))
    assert {text: blocks[-1]["html"] for text, (blocks, _) in zip(OPEN, shown, strict=True)} == OPEN
    assert all(blocks[-1]["open"] for blocks, _ in shown)


async def test_a_table_is_one_from_its_head_on() -> None:
    texts = ["| a | b", "| a | b |", "| a | b |\n", "| a | b |\n|-", "| a | b |\n|---|:-"]
    shown = json.loads(await run_node("markdown_shown.mjs", stdin=json.dumps(texts).encode()))
    for text, ((block,), _) in zip(texts, shown, strict=True):
        assert re.findall(r"<th>(.*?)</th>", block["html"]) == ["a", "b"], text
        assert "<p>" not in block["html"]


async def test_an_open_fence_is_code_at_once() -> None:
    cases = {
        "```": ("", ""),
        "```py": ("", "py"),
        "```py\n": ("", "py"),
        "```py\nprint()": ("print()", "py"),
        "```py\nprint()\n": ("print()\n", "py"),
        "```py\nprint()\n``": ("print()", "py"),
        "```py title=x\n<b>&amp;": ("<b>&amp;", "py"),
        "~~~~\n```\n~~~": ("```", ""),
        "```a'b\nx": ("x", ""),
    }
    shown = json.loads(await run_node("markdown_shown.mjs", stdin=json.dumps([*cases]).encode()))
    for text, ((block,), _) in zip(cases, shown, strict=True):
        code = block["code"]
        assert (code["text"], code["language"]) == cases[text], text


AS_TEXT = {
    # the whole text: its HTML
    "<script>alert(1)</script>": '<pre><code class="language-html">&lt;script&gt;alert(1)'
    "&lt;/script&gt;\n</code></pre>\n",
    "a <img src=x onerror=y> b": "<p>a &lt;img src=x onerror=y&gt; b</p>\n",
    "<b>a": "<p>&lt;b&gt;a</p>\n",
    "a<br>b H<sub>2</sub> <KBD>x</KBD>": "<p>a<br>b H<sub>2</sub> <KBD>x</KBD></p>\n",
    "a<br onload=x>b": "<p>a&lt;br onload=x&gt;b</p>\n",
    "![alt *x*](http://e.x/p.png)": '<p><a href="http://e.x/p.png">alt x</a></p>\n',
    "[![alt](http://e.x/p.png)](http://e.x)": '<p><a href="http://e.x">alt</a></p>\n',
    "![](data:image/png,x)": "<p>picture</p>\n",
    "[a](javascript:x) [b](/v1/runs) [c](#d) [e](data:,x)": "<p>a b c e</p>\n",
    "[a](mailto:a@b.c)": '<p><a href="mailto:a@b.c">a</a></p>\n',
    '[a](http://e.x "<t>")': '<p><a href="http://e.x" title="&lt;t&gt;">a</a></p>\n',
    "# a\n": "<h3>a</h3>\n",
    "##### a\n": "<h6>a</h6>\n",
    "<a href=x>*b*</a> http://e.x y": "<p>&lt;a href=x&gt;<em>b</em>&lt;/a&gt; "
    '<a href="http://e.x">http://e.x</a> y</p>\n',
    "<pre>&lt;b&gt; <i>": '<pre><code class="language-html">&lt;pre&gt;&amp;lt;b&amp;gt; &lt;i&gt;'
    "\n</code></pre>\n",
    "x <code><b>": "<p>x &lt;code&gt;&lt;b&gt;</p>\n",
    "&lt;b&gt; &amp; & &#60;i>": "<p>&lt;b&gt; &amp; &amp; &lt;i&gt;</p>\n",
}


async def test_only_a_few_delimiters_are_closed() -> None:
    text = "*a **a " * 300
    (((block,), _),) = json.loads(
        await run_node("markdown_shown.mjs", stdin=json.dumps([text]).encode())
    )
    assert 0 < len(re.findall(r"<(?:em|strong)>", block["html"])) <= 4


async def test_raw_html_is_text_and_nothing_is_loaded() -> None:
    shown = json.loads(await run_node("markdown_shown.mjs", stdin=json.dumps([*AS_TEXT]).encode()))
    assert {text: html_of(end[0]) for text, (_, end) in zip(AS_TEXT, shown, strict=True)} == AS_TEXT


async def test_what_is_nested_too_deep_is_still_to_be_read() -> None:
    texts = [">" * 3000 + "a", "> - " * 1000 + "a", "* * " * 3000 + "a", "[" * 10_000]
    texts += ["*a **a " * 2000, "- " * 3000 + "a"]
    shown = json.loads(await run_node("markdown_shown.mjs", stdin=json.dumps(texts).encode()))
    for text, (now, end) in zip(texts, shown, strict=True):
        for blocks in (now, end):
            assert blocks, text[:8]
            assert max(block["html"].count("<blockquote>") for block in blocks) <= 16


PART = (
    "## Part\n\nSome **bold** words, a [link](http://e.x/a) and `code`, then more of them.\n\n"
    "- one *two*\n- three\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nprint(1)\n```\n\n"
)
MIXED = PART * 80
"""More than 12 KB, as the answers are that the page is measured with."""

READ = {
    # a text, how many pieces: how many times its length may be read
    "mixed": (MIXED[:12_000], 2_000, 14),
    "code": ("```py\n" + "print('a line of code')\n" * 500, 2_000, 4),
    "a long list": ("- an item with *words* in it\n" * 800, 4_000, 130),
    "a long paragraph": ("words and **words** " * 1200, 4_000, 130),
}


async def test_the_work_is_linear_in_the_text() -> None:
    inputs = [{"source": text, "pieces": pieces} for text, pieces, _ in READ.values()]
    twice = [{"source": text * 2, "pieces": pieces * 2} for text, pieces, _ in READ.values()]
    out = json.loads(await run_node("markdown_work.mjs", stdin=json.dumps(inputs + twice).encode()))
    for (name, (text, _, most)), one, two in zip(
        READ.items(), out[: len(inputs)], out[len(inputs) :], strict=True
    ):
        assert one["read"] <= most * len(text), (name, one["read"] / len(text))
        assert two["read"] <= 2.1 * one["read"] + 2 * len(text), name
        assert two["ended"] <= 4 * len(text), name
