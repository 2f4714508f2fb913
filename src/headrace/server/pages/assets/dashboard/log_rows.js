/**
 * A run's events as rows to read: neighbouring pieces of text are one row. Pure.
 *
 * @typedef {import("../../headrace.js").RunEvent} RunEvent
 *
 * @typedef {object} Row
 * @property {string} type
 * @property {string} agent
 * @property {number} from Seq of the first event in it.
 * @property {number} to Seq of the last one.
 * @property {number} at Unix seconds of the first one.
 * @property {number} until Unix seconds of the last one.
 * @property {number} count Events in it.
 * @property {string} text What is read at a glance; of pieces, all of it.
 * @property {RunEvent | null} event The event; `null` for pieces.
 */

/** Characters of an event's JSON that are shown. */
export const MOST_JSON = 50_000;

/** Rows that are shown at once. */
export const PAGE = 200;

const PIECE = { thought: "content", token: "content", tool_args: "delta" };

/** Takes a run's events, one after the other. */
export class LogRows {
  /** @type {Row[]} */
  rows = [];
  /** @type {Map<string, number>} */
  types = new Map(); // events by type, in order of coming

  /** @param {RunEvent} event The next one. */
  add(event) {
    const { type, agent, seq, at } = event;
    this.types.set(type, (this.types.get(type) ?? 0) + 1);
    const piece = PIECE[type];
    const last = this.rows.at(-1);
    if (piece && last && joins(last, event)) {
      last.text += event[piece];
      Object.assign(last, { to: seq, until: at, count: last.count + 1 });
      return;
    }
    const text = piece ? event[piece] : summary(event);
    const call = type === "tool_args" ? event.call_id : null;
    const own = { text, call, event: piece ? null : event };
    this.rows.push({ type, agent, from: seq, to: seq, at, until: at, count: 1, ...own });
  }

  /** @param {string} type "" for all. @returns {Row[]} */
  of(type) {
    return type ? this.rows.filter((row) => row.type === type) : this.rows;
  }
}

const joins = (row, { type, agent, call_id = null }) =>
  row.type === type && row.agent === agent && row.call === call_id;

/** @type {Record<string, (event: any) => string>} What each type says in a line. */
const SUMMARIES = {
  run_start: (e) => `${e.agent_name} on ${e.model}`,
  step_start: (e) => `step ${e.step}, ${e.model}`,
  step_end: (e) => `step ${e.step}: ${e.finish_reason}, ${usage(e.usage)}`,
  tool_start: (e) => `${e.name}(${json(e.input)})`,
  tool_progress: (e) => e.content,
  tool_end: (e) => `${e.name}: ${e.error ?? e.output}`,
  agent_start: (e) => `${e.name}: ${e.task}`,
  agent_end: (e) => `${e.name}: ${e.error ?? e.output}`,
  partial: (e) => json(e.value),
  approval_needed: (e) => `${e.name}(${json(e.input)})`,
  approval: (e) => [e.approved ? "approved" : "denied", e.by, e.reason].filter(Boolean).join(", "),
  input: (e) => e.content,
  retract: (e) => `from ${e.since} on: ${e.reason}`,
  warning: (e) => `${e.code}: ${e.message}`,
  answer: (e) => e.content,
  complete: (e) => `${e.finish_reason}, ${usage(e.usage)}`,
  error: (e) => `${e.code}: ${e.message}`,
  cancelled: (e) => e.reason,
};

const json = (value) => JSON.stringify(value) ?? "";
const usage = (used) => (used ? `${used.input} in, ${used.output} out` : "no usage told");

/** @param {RunEvent} event */
const summary = (event) => SUMMARIES[event.type]?.(event) ?? json(event);

/** All of a row as text, cut to `MOST_JSON` characters. @param {Row} row @returns {string} */
export function detail({ event, text }) {
  const whole = event ? JSON.stringify(event, null, 2) : text;
  const more = whole.length - MOST_JSON;
  return more > 0 ? `${whole.slice(0, MOST_JSON)}\n… ${more} more characters` : whole;
}

/**
 * The page of rows that is shown, with where it lies.
 * @template T
 * @param {T[]} rows
 * @param {number} page From 0; beyond the last it is the last.
 */
export function pageOf(rows, page) {
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  const at = Math.min(Math.max(0, page), pages - 1);
  return { page: at, pages, rows: rows.slice(at * PAGE, (at + 1) * PAGE) };
}
