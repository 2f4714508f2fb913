/**
 * Markdown on a page: `<${Markdown} text=${text} live=${true} />` while it grows.
 *
 * A `div.md` with an element for each block. A finished block is never touched again; what is
 * selected in it stays selected. Code has a button that copies it.
 *
 * @license Apache-2.0
 */
import { Component, html, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { MarkdownBlocks } from "./blocks.js";
import { safeHTML } from "./safe_html.js";

const SHOWN_FOR = 2000; // ms that the button says what came of it

/** @param {{text: string, live?: boolean}} props `live`: more of it may come. */
export function Markdown({ text, live = false }) {
  const blocks = useRef(null);
  blocks.current ??= new MarkdownBlocks();
  const shown = blocks.current.update(text, { ended: !live });
  return html`<div class="md">
    ${shown.map((block) => html`<${Block} key=${block.key} block=${block} />`)}
  </div>`;
}

/** One block: drawn again only when it is another one. */
class Block extends Component {
  shouldComponentUpdate({ block }) {
    return block !== this.props.block;
  }

  render({ block }) {
    return block.code
      ? html`<${Code} ...${block.code} />`
      : html`<${Prose} content=${block.html} />`;
  }
}

function Prose({ content }) {
  const element = useRef(null);
  useLayoutEffect(() => {
    element.current.innerHTML = safeHTML(content);
    for (const pre of element.current.querySelectorAll("pre")) addCopyButton(pre);
  }, [content]);
  return html`<div class="block" dir="auto" ref=${element}></div>`;
}

/** Its text is text, and goes through no HTML. */
function Code({ text, language }) {
  const [said, setSaid] = useState("Copy");
  const element = useRef(null);
  useLayoutEffect(() => grow(element.current, text), [text]);
  return html`<div class="block code" data-language=${language || null}>
    <button type="button" class="copy-code" onClick=${() => copy(text, setSaid)}>${said}</button>
    <pre tabindex="0" dir="ltr"><code
      ref=${element} class=${language ? `language-${language}` : null}></code></pre>
  </div>`;
}

/** What is selected stays selected where text is appended, not where it is set (DOM 4.10). */
function grow(element, text) {
  const node = element.firstChild ?? element.appendChild(new Text());
  if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
  else node.data = text;
}

/** Code within a list or a quote gets its button in the document, where it was put as HTML. */
function addCopyButton(pre) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy-code";
  button.textContent = "Copy";
  button.onclick = () => copy(pre.textContent, (said) => void (button.textContent = said));
  const code = document.createElement("div");
  code.className = "code";
  const language = pre.firstChild.className?.slice("language-".length);
  if (language) code.dataset.language = language;
  pre.replaceWith(code);
  code.append(button, pre);
}

async function copy(text, say) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied");
  } catch {
    say("Not copied"); // no permission, or no clipboard: a page over plain HTTP has none
  }
  setTimeout(say, SHOWN_FOR, "Copy");
}
