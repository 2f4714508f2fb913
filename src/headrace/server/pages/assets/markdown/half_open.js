/**
 * The tail of a text that is still being written, as it will most likely look: what is open is
 * closed, and what may still become anything is left out until it is known. Pure.
 *
 *     mended("a **bold wo")         "a **bold wo**"
 *     mended("see [the page](http") "see the page"
 *     mended("Here:\n-")            "Here:"           (a list, or a heading?)
 *     mended("| a | b |\n|-")       "| a | b |\n|---|---|"
 *
 * It is for the eye only: when the text goes on or ends, it is read as it is.
 *
 * @license Apache-2.0
 */

const UNDECIDED = /(^|\n) {0,3}(?:-+|=+|[*+_]{1,3}|\d{1,9}[.)]?|#{1,6}|`{1,2}|~{1,2}) *$/;
const FENCE = /^[ \t>]*(?:[-*+] +|\d+[.)] +)?(`{3,}|~{3,})/gm;
const LONE_ADDRESS = /(https?|ftp)(:\/\/[^\s<]*)$|(www)(\.[^\s<]*)$/i;
const NEW_LINE_OF_ITS_OWN = /^\n[ \t]*(?:[-*+>#|]|\d{1,9}[.)])/; // no emphasis reaches across it
const MOST_OPEN = 4; // delimiters that wait at a time; more are no emphasis that anyone means
const WORD = /[\p{L}\p{N}]/u;
const DELIMITER_ROW = /^ {0,3}[|:\- ]*$/;

/**
 * @param {string} source The open block, to the last character there is.
 * @returns {string}
 */
export function mended(source) {
  if ((source.match(FENCE) ?? []).length % 2) return source; // in a list's or a quote's code
  const decided = source.replace(UNDECIDED, "$1");
  const at = startOfParagraph(decided);
  const before = decided.slice(0, at);
  const last = decided.slice(at);
  return before + (table(last) ?? inline(last));
}

function startOfParagraph(source) {
  const blank = source.lastIndexOf("\n\n");
  return blank < 0 ? 0 : blank + 2;
}

/** A table's head, with the row below it that makes it one; null where this is none. */
function table(paragraph) {
  const lines = paragraph.split("\n");
  const [head, row = ""] = lines;
  if (lines.length > 2 || !/^ {0,3}\|/.test(head) || !DELIMITER_ROW.test(row)) return null;
  const cells = head.trim().replace(/^\||(?<!\\)\|$/g, "").split(/(?<!\\)\|/).length;
  return `${head}\n|${"---|".repeat(cells)}`;
}

/** Emphasis, code and links at the end of a paragraph. */
function inline(text) {
  const open = []; // the delimiters that wait for their other end
  for (let at = 0; at < text.length; ) {
    const run = /^(?:`+|\*+|_+|~+)/.exec(text.slice(at, at + 64))?.[0];
    if (NEW_LINE_OF_ITS_OWN.test(text.slice(at, at + 16))) open.length = 0;
    if (text[at] === "\\") at += 2;
    else if (run?.[0] === "`") {
      const end = endOfCode(text, at, run);
      if (end < 0) return closed(halfCode(text, at, run), open);
      at = end;
    } else if (run) {
      const end = at + run.length;
      if (end >= text.length) return closed(text.slice(0, at), open);
      toggle(open, run, text[at - 1] ?? " ", text[end]);
      at = end;
    } else if (text[at] === "[") {
      const half = halfLink(text, at);
      if (half !== null) return closed(half, open);
      at += 1;
    } else at += 1;
  }
  return closed(text, open);
}

function endOfCode(text, at, run) {
  const end = new RegExp(`(?<!\`)${run}(?!\`)`, "g");
  end.lastIndex = at + run.length;
  return end.exec(text) ? end.lastIndex : -1;
}

function halfCode(text, at, run) {
  const code = text.slice(at + run.length).replace(/`+$/, "");
  return code.trim() ? `${text.slice(0, at)}${run}${code}${run}` : text.slice(0, at);
}

/** The text with a link that has begun at `at` as its label alone; null where it is whole, or none. */
function halfLink(text, at) {
  const found = /^\[((?:[^[\]\\]|\\.)*)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s[^)]*)?$/.exec(text.slice(at));
  return found && text.slice(0, at).replace(/!$/, "") + found[1];
}

/** A run between two characters: it closes what is open, or opens. */
function toggle(open, run, left, right) {
  const inWord = run[0] === "_" && WORD.test(left) && WORD.test(right);
  if (inWord || (run[0] === "~" && run.length > 2)) return;
  const found = open.findLastIndex((other) => other === run);
  if (found >= 0 && /\S/.test(left)) open.splice(found);
  else if (/\S/.test(right) && run.length <= 3 && open.length < MOST_OPEN) open.push(run);
}

function closed(text, open) {
  if (!open.length) return text.replace(LONE_ADDRESS, "$1$3\\$2$4");
  return text.trimEnd() + [...open].reverse().join("");
}
