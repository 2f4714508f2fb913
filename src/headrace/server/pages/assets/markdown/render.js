/**
 * Markdown to HTML, as this house has it: marked with a few rules of its own. Pure: no document.
 *
 * - Raw HTML is shown as the text that it is, except `<br>`, `<sub>`, `<sup>` and `<kbd>`.
 * - Nothing is loaded: a picture becomes a link with its alternative text.
 * - Links lead to http, https and mailto; another one is its text.
 * - Headings begin at `<h3>`, below the page's and the turn's.
 *
 * What comes out still goes through safe_html.js: this is for sense, that is for safety.
 *
 * @license Apache-2.0
 *
 * The definitions of links (`[label]: address`) by label, as marked has them.
 * @typedef {{[label: string]: {href: string, title: string}}} Links
 * @typedef {{html: string, code: {text: string, language: string} | null, links: Links}} Rendered
 */
import { Lexer, Parser, Renderer, Tokenizer, getDefaults } from "../vendor/marked.js";

const DEEPEST = 16; // quotes and lists within each other; marked recurses for each
const SHIFT = 2; // of headings: `#` is an <h3>
const ADDRESS = /^(?:https?:\/\/|mailto:)/i;
const SMALL_TAG = /^<(br|\/?(?:sub|sup|kbd)) *\/?>$/i;
const CLOSED = new Set(["heading", "hr"]);
const CLOSED_BY_BLANK = new Set(["paragraph", "table"]);
const BLANK = /\n *\n$/;
const LABEL = /^ {0,3}\[[^\n]+\]:/;
const DEFINITION_LINES = [3, 2, 1].map((most) => new RegExp(`^(?:.*\\n?){${most}}`));
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text as HTML. */
export const escaped = (text) => text.replace(/[&<>"']/g, (character) => ENTITIES[character]);

/**
 * The blocks of a text of whole lines: `pieces` of it, which together are the text, and whether the
 * last of them is `closed`: whatever comes, it begins another block.
 * @param {string} source With `\n` alone at the ends of its lines.
 * @returns {{pieces: string[], closed: boolean}}
 */
export function split(source) {
  const starts = []; // of the blocks; blank lines belong to the one before them
  let [at, last] = [0, ""];
  try {
    for (const { type, raw } of new Lexer(options()).blockTokens(source, [])) {
      if (type !== "space") [last] = [type, starts.push(at)];
      at += raw.length;
    }
  } catch {
    return { pieces: [source], closed: false };
  }
  starts[0] = 0;
  const pieces = starts.map((start, i) => source.slice(start, starts[i + 1]));
  return { pieces, closed: CLOSED.has(last) || (CLOSED_BY_BLANK.has(last) && BLANK.test(source)) };
}

/**
 * A piece as HTML, or as code where it is a block of code and nothing else.
 * @param {string} source With `\n` alone at the ends of its lines.
 * @param {Links} links What was defined before it; what it defines is added in the result.
 * @returns {Rendered}
 */
export function render(source, links) {
  try {
    const settings = options();
    const lexer = new Lexer(settings);
    Object.assign(lexer.tokens.links, links);
    const tokens = lexer.lex(source);
    const known = tokens.some(({ type }) => type === "def") ? { ...tokens.links } : links;
    const said = tokens.filter(({ type }) => type !== "space");
    if (said.length === 1 && said[0].type === "code") {
      const code = { text: said[0].text, language: languageOf(said[0].lang) };
      return { html: "", code, links: known };
    }
    return { html: Parser.parse(tokens, settings), code: null, links: known };
  } catch {
    // Too deep for marked; it is still to be read.
    return { html: `<p>${escaped(source)}</p>\n`, code: null, links };
  }
}

/** The first word after a fence, where it can be a class name. */
export function languageOf(info = "") {
  const [word] = info.trim().split(/\s/, 1);
  return /^[\w+#.-]{1,32}$/.test(word) ? word : "";
}

function options() {
  return { ...getDefaults(), tokenizer: new HouseTokenizer(), renderer: new HouseRenderer() };
}

/** Where marked leaves the road of CommonMark in a way that a stream would show. */
class HouseTokenizer extends Tokenizer {
  #depth = 0;

  blockquote(source) {
    return this.#deeper(() => super.blockquote(source));
  }

  list(source) {
    return this.#deeper(() => super.list(source));
  }

  /**
   * A definition's label and title stand on one line each. CommonMark lets both go over several;
   * then its end, which comes whenever it comes, would make text that was shown into a title.
   */
  def(source) {
    if (!LABEL.test(source)) return undefined;
    for (const lines of DEFINITION_LINES) {
      const token = super.def(lines.exec(source)[0]);
      if (token && !token.title?.includes("\n")) return token;
    }
    return undefined;
  }

  /** The text of an underlined heading is one paragraph (CommonMark 0.31.2, 4.3): no list in it. */
  lheading(source) {
    const token = super.lheading(source);
    return token && this.#paragraph(source).length >= token.text.length ? token : undefined;
  }

  /** As text, a line that is only a tag is a line of a paragraph; CommonMark's seventh kind (4.6). */
  html(source) {
    const [line] = /^.*/.exec(source);
    return this.#paragraph(`x\n${line}\n`) === "x" ? super.html(source) : undefined;
  }

  /** Raw HTML is text: what stands after `<a>` or `<pre>` is read like everything else. */
  tag(source) {
    const token = super.tag(source);
    this.lexer.state.inLink = this.lexer.state.inRawBlock = false;
    return token;
  }

  #paragraph(source) {
    return this.rules.block.paragraph.exec(source)?.[0].trimEnd() ?? "";
  }

  #deeper(read) {
    if (this.#depth >= DEEPEST) return undefined;
    this.#depth += 1;
    try {
      return read();
    } finally {
      this.#depth -= 1;
    }
  }
}

class HouseRenderer extends Renderer {
  #inLink = false;

  heading({ tokens, depth }) {
    const level = Math.min(depth + SHIFT, 6);
    return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>\n`;
  }

  code({ text, lang }) {
    const language = languageOf(lang);
    const name = language && ` class="language-${escaped(language)}"`;
    return `<pre><code${name}>${escaped(text)}\n</code></pre>\n`;
  }

  html({ text, block }) {
    if (!block) return text.replace(SMALL_TAG, "") === "" ? text : escaped(text);
    return this.code({ text: text.replace(/\n+$/, ""), lang: "html" });
  }

  checkbox({ checked }) {
    return checked ? "☑ " : "☐ ";
  }

  link(token) {
    const outer = this.#inLink;
    this.#inLink = true;
    try {
      const shown = this.parser.parseInline(token.tokens);
      if (outer || !ADDRESS.test(token.href)) return shown;
      const title = token.title ? ` title="${escaped(token.title)}"` : "";
      return `<a href="${escaped(token.href)}"${title}>${shown}</a>`;
    } finally {
      this.#inLink = outer;
    }
  }

  image({ href, tokens }) {
    const shown = escaped(this.parser.parseInline(tokens, this.parser.textRenderer) || "picture");
    if (this.#inLink || !ADDRESS.test(href)) return shown;
    return `<a href="${escaped(href)}">${shown}</a>`;
  }

  text(token) {
    return super.text({ ...token, escaped: false });
  }
}
