/**
 * Where a run's time went: from its events to bars, one for each step, tool call, wait for a person
 * and agent below. Pure; all times are ms from the run's start.
 *
 * @typedef {import("../../headrace.js").RunEvent} RunEvent
 *
 * A stretch of content of one kind within a step.
 * @typedef {{kind: "thought" | "token" | "tool_args", start: number, end: number}} Stretch
 *
 * @typedef {object} Bar
 * @property {"step" | "tool" | "agent" | "approval"} kind
 * @property {number} seq Of the event that began it.
 * @property {string} agent Path of the agent; "" for the root.
 * @property {number} depth How far it is set in.
 * @property {string} label
 * @property {string} detail A model, a finish reason, an error: what is known by now.
 * @property {number} start
 * @property {number | null} end `null` while it goes on.
 * @property {string | null} error
 * @property {boolean} withdrawn A `retract` took it back.
 * @property {number | null} first The first content of a step.
 * @property {number | null} token The first token of its answer.
 * @property {number} pieces Contents of a step.
 * @property {Stretch[]} stretches
 * @property {{start: number, end: number}[]} gaps Silences of a step, from `LONG_GAP` on.
 *
 * @typedef {{at: number, kind: string, text: string}} Mark Something that took no time.
 * @typedef {{kind: string, left: number, width: number}} Part Of a bar, in percent of the run.
 */

/** Ms between two contents of a step from which on the silence is marked. */
export const LONG_GAP = 1000;

/** Bars, marks, and gaps and stretches of one step; more are counted, not kept. */
export const MOST = { bars: 1000, marks: 500, gaps: 200, stretches: 200 };

const CONTENT = new Set(["thought", "token", "tool_args"]);
const TERMINAL = new Set(["complete", "error", "cancelled"]);

/** Takes a run's events, one after the other. */
export class Waterfall {
  /** @type {Bar[]} */
  bars = [];
  /** @type {Mark[]} */
  marks = [];
  began = 0; // Unix seconds
  last = 0; // of the last event
  ended = false;
  joined = 0; // pieces that came joined to others: their own times are not known
  left_out = 0; // bars beyond `MOST.bars`
  #seq = 0;
  #open = new Map();

  /** @param {RunEvent} event The next one. */
  add(event) {
    if (this.#seq === 0) this.began = event.at;
    const at = (event.at - this.began) * 1000;
    const whole = event.seq === this.#seq + 1 || this.#seq === 0;
    if (!whole) this.joined += event.seq - this.#seq - 1;
    this.#seq = event.seq;
    this.last = at;
    if (CONTENT.has(event.type)) this.#content(event, at, whole);
    else if (TERMINAL.has(event.type)) this.#terminal(event, at);
    else this.#structural(event, at);
  }

  #structural(event, at) {
    const { type, agent, name, call_id, step, error } = event;
    const below = ["agent", agent, name];
    const call = ["tool", agent, call_id];
    if (type === "step_start") this.#begin(["step", agent], event, at, `Step ${step}`, event.model);
    else if (type === "step_end") this.#endStep(event, at);
    else if (type === "tool_start") this.#begin(call, event, at, name, "");
    else if (type === "tool_end") this.#close(call, at, error);
    else if (type === "agent_start") this.#begin(below, event, at, name, event.task);
    else if (type === "agent_end") this.#close(below, at, error);
    else if (type === "approval_needed")
      this.#begin(["approval", agent, call_id], event, at, `${name}: waits for a person`, "");
    else if (type === "approval") this.#decided(event, at);
    else if (type === "retract") this.#retract(event, at);
    else if (type === "warning") this.#mark(at, type, `${event.code}: ${event.message}`);
    else if (type === "input") this.#mark(at, type, event.content);
  }

  #begin(key, { seq, agent, name }, start, label, detail) {
    const [kind] = key;
    const bar = {
      ...{ kind, seq, agent, depth: depthOf(kind, agent, name), label, detail: detail ?? "" },
      ...{ start, end: null, error: null, withdrawn: false },
      ...{ first: null, token: null, pieces: 0, stretches: [], gaps: [] },
    };
    this.#open.set(JSON.stringify(key), bar);
    if (this.bars.length < MOST.bars) this.bars.push(bar);
    else this.left_out += 1;
  }

  #close(key, at, error = null) {
    const name = JSON.stringify(key);
    const bar = this.#open.get(name);
    this.#open.delete(name);
    if (bar) Object.assign(bar, { end: at, error });
    return bar;
  }

  #content({ type, agent }, at, whole) {
    const bar = this.#open.get(JSON.stringify(["step", agent]));
    if (!bar) return;
    const before = bar.stretches.at(-1);
    if (before && whole) gap(bar, before.end, at);
    bar.first ??= at;
    if (type === "token") bar.token ??= at;
    bar.pieces += 1;
    if (before && (before.kind === type || bar.stretches.length >= MOST.stretches)) before.end = at;
    else bar.stretches.push({ kind: type, start: before?.end ?? at, end: at });
  }

  #endStep({ agent, finish_reason, usage, model }, at) {
    const bar = this.#close(["step", agent], at, finish_reason === "error" ? "error" : null);
    if (!bar) return;
    if (bar.stretches.length > 0) gap(bar, bar.stretches.at(-1).end, at);
    const tokens = usage ? `${usage.input} → ${usage.output} tokens` : "";
    bar.detail = [model || bar.detail, finish_reason, tokens].filter(Boolean).join(" · ");
  }

  #decided({ agent, call_id, approved, by, reason }, at) {
    const bar = this.#close(["approval", agent, call_id], at);
    const words = [approved ? "approved" : "denied", by && `by ${by}`, reason && `(${reason})`];
    if (bar) bar.detail = words.filter(Boolean).join(" ");
  }

  #retract({ agent, since, reason }, at) {
    for (const bar of this.bars) {
      // `since` follows the step's own start: what it said is withdrawn, and its calls.
      const from = bar.kind === "step" ? bar.seq + 1 : bar.seq;
      if (bar.agent === agent && bar.kind !== "agent" && from >= since) bar.withdrawn = true;
    }
    this.#mark(at, "retract", `Withdrawn: ${reason}`);
  }

  #mark(at, kind, text) {
    if (this.marks.length < MOST.marks) this.marks.push({ at, kind, text });
  }

  #terminal({ type, code, message, reason }, at) {
    this.ended = true;
    for (const bar of this.#open.values()) bar.end = at;
    this.#open.clear();
    if (type === "error") this.#mark(at, type, `${code}: ${message}`);
    if (type === "cancelled") this.#mark(at, type, `Cancelled: ${reason}`);
  }
}

/**
 * Bars as they are read: those of an agent below stand together, where its first one began.
 * @param {Bar[]} bars In order of time, of the agent at `path` and those below it.
 * @returns {Bar[]}
 */
export function nested(bars, path = "") {
  const depth = path === "" ? 0 : path.split("/").length;
  const own = (bar) => bar.agent.split("/").slice(0, depth + 1).join("/");
  const done = new Set([path]);
  return bars.flatMap((bar) => {
    const next = own(bar);
    if (next === path) return [bar];
    if (done.has(next)) return [];
    done.add(next);
    return nested(bars.filter((other) => own(other) === next), next);
  });
}

/** Steps of an agent stand below the agent, its calls below its steps. */
function depthOf(kind, agent, name) {
  const path = agent === "" ? [] : agent.split("/");
  if (kind === "step") return 2 * path.length;
  if (kind !== "agent") return 2 * path.length + 1;
  return path.at(-1) === name ? 2 * path.length - 1 : 2 * path.length + 1;
}

function gap(bar, start, end) {
  if (end - start >= LONG_GAP && bar.gaps.length < MOST.gaps) bar.gaps.push({ start, end });
}

/**
 * What is drawn of a bar, in percent of `whole` ms; what goes on reaches to the end.
 * @param {Bar} bar
 * @param {number} whole
 * @returns {Part[]} The first one is the whole bar; the others lie on it.
 */
export function partsOf(bar, whole) {
  const end = bar.end ?? whole;
  const part = (kind, from, to) => ({
    kind,
    left: percent(from, whole),
    width: Math.max(0, percent(to, whole) - percent(from, whole)),
  });
  const parts = [part(bar.kind === "step" ? "wait" : bar.kind, bar.start, end)];
  bar.stretches.forEach((stretch, i) => {
    const last = i === bar.stretches.length - 1;
    parts.push(part(stretch.kind, stretch.start, last ? end : stretch.end));
  });
  for (const { start, end } of bar.gaps) parts.push(part("gap", start, end));
  return parts;
}

/** @param {number} ms @param {number} whole @returns {number} From 0 to 100. */
export const percent = (ms, whole) =>
  whole > 0 ? Math.min(100, Math.max(0, (ms / whole) * 100)) : 0;

/**
 * Round times for the axis of `whole` ms: at most `most` of them, from 0 on.
 * @param {number} whole
 * @returns {number[]}
 */
export function ticks(whole, most = 6) {
  if (!(whole > 0)) return [0];
  const size = 10 ** Math.floor(Math.log10(whole / most));
  const step = [1, 2, 5, 10].map((n) => n * size).find((step) => whole / step <= most);
  return Array.from({ length: Math.floor(whole / step) + 1 }, (_, i) => i * step);
}
