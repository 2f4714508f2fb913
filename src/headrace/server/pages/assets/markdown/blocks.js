/**
 * A text in Markdown that grows, as blocks: only the last one is read again. Pure: no document.
 *
 *     const blocks = new MarkdownBlocks();
 *     blocks.update("# A\n\nb");    // [{key: 0, html: "<h3>A</h3>\n", …}, {key: 5, …, open: true}]
 *     blocks.update("# A\n\nb c");  // the first is the same object, the second one is new
 *     blocks.update("# A\n\nb c", { ended: true });
 *
 * A block is finished when a whole line after it begins another one, or ends it for certain. It never
 * changes then, unless the text before its end does (a `retract`). However the text was cut on its way, the blocks of
 * its end are the same.
 *
 * A link's definition (`[label]: address`) counts from the block in which it stands: a reference
 * before it is shown as the text that it is. With a stream there is no other way that keeps what is
 * shown, and a reload must show the same.
 *
 * @license Apache-2.0
 *
 * A block is HTML that is not yet safe (safe_html.js), or code.
 * @typedef {object} Block
 * @property {number} key Where it begins in the text.
 * @property {string} html "" where it is code.
 * @property {{text: string, language: string} | null} code
 * @property {boolean} open Whether it may still change.
 */
import { mended } from "./half_open.js";
import { escaped, languageOf, render, split } from "./render.js";

const READINGS = 128; // characters that may be read for each one that comes: linear work in all
const LINES_THAT_TELL = 2;
const FENCE = /(`{3,}(?=[^`\n]*\n)|~{3,})([^\n]*)\n/y;
const BLANK_LINES = /(?:[ \t]*\n)*/y;
const ODD_SPACE = /[^\S \t\n]/;
const END_TAGS = /(?:<\/[a-z0-9]+>\s*)*$/;

/**
 * With `\n` between lines, and at their ends no space but those that CommonMark knows (2.1): marked
 * takes a line of others for a blank one here and for a paragraph there. At the end of the text too,
 * so that what is made of a longer text goes on from what was made of a shorter one.
 */
function plainLines(text) {
  const lines = text.replace(/\r\n?/g, "\n");
  return lines.replace(/[^\S\n]+/g, (spaces, at) =>
    (lines[at + spaces.length] ?? "\n") === "\n" ? spaces.replace(/[^ \t][^]*/, "") : spaces,
  );
}

export class MarkdownBlocks {
  #split;
  #render;
  #source = "";
  #finished = []; // {end, links, block}: block is null where there is nothing to show
  #open = null; // {read, block}: the open block as it was read last, and up to where
  #ended = null; // {source, blocks}: the last blocks of a text that has ended
  #looked = 0; // up to here no line finishes the open block
  #readings = 0; // characters that may be read, of those that came READINGS times

  /** @param {{split?: typeof split, render?: typeof render}} reading In place of render.js. */
  constructor(reading = {}) {
    this.#split = reading.split ?? split;
    this.#render = reading.render ?? render;
  }

  /**
   * The blocks of the text as it is now.
   * @param {string} text
   * @param {{ended?: boolean}} options Whether it is whole.
   * @returns {Block[]}
   */
  update(text, { ended = false } = {}) {
    const source = ODD_SPACE.test(text) ? plainLines(text) : text;
    if (source.slice(0, this.#source.length) !== this.#source) this.#rewind(source);
    this.#readings += READINGS * (source.length - this.#source.length);
    this.#source = source;
    const last = ended ? this.#end() : this.#advance();
    return [...this.#finished.map(({ block }) => block), ...last].filter(Boolean);
  }

  get #start() {
    return this.#afterBlankLines(this.#finished.at(-1)?.end ?? 0);
  }

  get #links() {
    return this.#finished.at(-1)?.links ?? {};
  }

  /**
   * Goes back to the blocks that end before what has changed, and two lines more: so many may tell
   * where a block ends (a table's head and the row below it).
   */
  #rewind(source) {
    let same = 0;
    while (same < source.length && source[same] === this.#source[same]) same += 1;
    for (let lines = 0; lines <= LINES_THAT_TELL; lines += 1)
      same = same > 0 ? source.lastIndexOf("\n", same - 1) : -1;
    const changed = this.#finished.findIndex(({ end }) => end > same + 1);
    if (changed >= 0) this.#finished.length = changed;
    this.#source = source.slice(0, this.#finished.at(-1)?.end ?? 0);
    this.#begin();
  }

  #begin() {
    this.#open = this.#ended = null;
    this.#looked = 0;
  }

  /** Finishes what is finished; then the open block, if there is one. */
  #advance() {
    while (this.#finishedOne());
    if (this.#start >= this.#source.length) return [];
    const fence = this.#fence();
    return [fence ? this.#openCode(fence) : this.#openText()];
  }

  #finishedOne() {
    const until = this.#source.lastIndexOf("\n") + 1;
    if (until <= Math.max(this.#looked, this.#start)) return false;
    const fence = this.#fence();
    return fence ? this.#finishedCode(fence, until) : this.#finishedText(until);
  }

  /** The fence with which the open block begins; one with blanks before it is read as all else. */
  #fence() {
    FENCE.lastIndex = this.#start;
    const found = FENCE.exec(this.#source);
    return found && { mark: found[1], language: languageOf(found[2]), from: FENCE.lastIndex };
  }

  /** Only what is new is looked at, however long the code is. */
  #finishedCode({ mark, from }, until) {
    const closing = new RegExp(`^ {0,3}${mark}${mark[0]}* *\n`, "gm");
    closing.lastIndex = Math.max(from, this.#looked);
    const found = closing.exec(this.#source);
    if (found) this.#finish(this.#source.slice(this.#start, closing.lastIndex));
    else this.#looked = until;
    return Boolean(found);
  }

  /** A line that is not whole may become anything: only whole ones tell what is finished. */
  #finishedText(until) {
    if (!this.#mayRead(until)) return false;
    const { pieces, closed } = this.#split(this.#source.slice(this.#start, until));
    const finished = closed ? pieces : pieces.slice(0, -1);
    for (const piece of finished) this.#finish(piece);
    if (!finished.length) this.#looked = until;
    return finished.length > 0;
  }

  #finish(piece) {
    const key = this.#start;
    const { block, links } = this.#read(key, piece, this.#links);
    this.#finished.push({ end: key + piece.length, links, block });
    this.#begin();
  }

  #afterBlankLines(at) {
    BLANK_LINES.lastIndex = at;
    BLANK_LINES.exec(this.#source);
    return BLANK_LINES.lastIndex;
  }

  #read(key, piece, known) {
    const { html, code, links } = this.#render(piece, known);
    return { block: html || code ? { key, html, code, open: false } : null, links };
  }

  #mayRead(until) {
    const cost = until - this.#start;
    if (cost > this.#readings) return false;
    this.#readings -= cost;
    return true;
  }

  #openCode({ mark, language, from }) {
    const last = this.#source.lastIndexOf("\n") + 1;
    const closing = new RegExp(`^ {0,3}[${mark[0]}]+ *$`).test(this.#source.slice(last));
    const text = this.#source.slice(from, closing ? Math.max(from, last - 1) : undefined);
    return { key: this.#start, html: "", code: { text, language }, open: true };
  }

  #openText() {
    const [key, read] = [this.#start, this.#source.length];
    if (this.#open && (this.#open.read === read || !this.#mayRead(read))) return this.#patched();
    const { html, code } = this.#render(mended(this.#source.slice(key)), this.#links);
    const block = html || code ? { key, html, code, open: true } : null;
    this.#open = { read, block };
    return block;
  }

  /** What has come since the open block was read, as plain text at its end. */
  #patched() {
    const { read, block } = this.#open;
    const more = this.#source.slice(read);
    if (!more || !block) return block;
    if (block.code) return { ...block, code: { ...block.code, text: block.code.text + more } };
    const at = END_TAGS.exec(block.html).index;
    return { ...block, html: block.html.slice(0, at) + escaped(more) + block.html.slice(at) };
  }

  /** The text is whole: so are its last blocks, which are kept apart, should it go on after all. */
  #end() {
    if (this.#ended?.source !== this.#source) {
      const blocks = [];
      let [key, links] = [this.#start, this.#links];
      for (const piece of this.#split(this.#source.slice(key)).pieces) {
        const read = this.#read(key, piece, links);
        blocks.push(read.block);
        [key, links] = [key + piece.length, read.links];
      }
      this.#ended = { source: this.#source, blocks };
    }
    return this.#ended.blocks;
  }
}
