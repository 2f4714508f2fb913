/**
 * A run's events in the order in which a reader meets them: reasoning, text, tool calls, agents
 * below, approvals. Pure. What is withdrawn goes; the root's texts joined are the fold's text.
 *
 * @typedef {{kind: "text", key: string, text: string}} TextPart
 * @typedef {{kind: "reasoning", key: string, text: string, ms: number | null}} ReasoningPart
 *     `ms` is how long it took, once it is over.
 * @typedef {{kind: "tool", key: string, callId: string, name: string, args: string,
 *     state: "running" | "done" | "error", written: boolean, progress: string, output: string,
 *     ms: number | null}} ToolPart `written` says that its arguments are whole.
 * @typedef {{kind: "agent", key: string, name: string, task: string,
 *     state: "running" | "done" | "error", output: string, ms: number | null, parts: Part[]}}
 *     AgentPart
 * @typedef {{kind: "approval", key: string, agent: string, callId: string, name: string,
 *     input: any, state: "waiting" | "approved" | "denied" | "over", by: string, reason: string}} ApprovalPart
 * @typedef {{kind: "input", key: string, text: string}} InputPart
 * @typedef {{kind: "warning", key: string, code: string, message: string}} WarningPart
 * @typedef {TextPart | ReasoningPart | ToolPart | AgentPart | ApprovalPart | InputPart
 *     | WarningPart} Part
 *
 * @typedef {object} Answer
 * @property {"waiting" | "running" | "complete" | "error" | "cancelled"} state
 * @property {Part[]} parts
 * @property {string} model
 * @property {string} [finishReason]
 * @property {any} [metrics] As on the terminal event.
 * @property {any} [usage]
 * @property {{code: string, message: string, hint?: string, retryable?: boolean}} [problem]
 */

const TERMINAL = new Set(["complete", "error", "cancelled"]);
const CONTENT = new Set(["token", "thought", "tool_args", "tool_start", "agent_start"]);

/** Follows one run. What did not change is the same object from one `answer()` to the next. */
export class Timeline {
  lastSeq = 0;
  runId = "";
  #boxes = new Map([["", new Box()]]); // the newest of each agent's path
  #calls = new Map(); // the newest card of each call
  #approvals = new Map();
  #answer = { state: "waiting", model: "" };

  /** @param {import("../../headrace.js").RunEvent} event The next one. */
  add(event) {
    this.lastSeq = event.seq;
    const { type, agent } = event;
    if (type === "token") this.#boxOf(agent).say("text", event);
    else if (type === "thought") this.#boxOf(agent).say("reasoning", event);
    else if (type.startsWith("tool_")) this.#tool(event);
    else if (type.startsWith("agent_")) this.#agent(event);
    else if (type.startsWith("approval")) this.#approval(event);
    else if (type === "retract") this.#boxOf(agent).retract(event.since);
    else if (type === "step_start" || type === "step_end") this.#step(event);
    else if (type === "input") this.#boxOf(agent).ask(event);
    else if (type === "warning")
      this.#boxOf(agent).put({ kind: "warning", code: event.code, message: event.message }, event);
    else if (type === "run_start") {
      this.runId = event.run_id;
      this.#answer.model = event.model;
    } else if (TERMINAL.has(type)) this.#end(event);
    if (this.#answer.state === "waiting" && CONTENT.has(type)) this.#answer.state = "running";
  }

  /** @returns {Answer["state"]} */
  get state() {
    return this.#answer.state;
  }

  /** Whether a person has to decide about a call. */
  get asks() {
    const asked = [...this.#approvals.values()];
    return asked.some(({ part, gone }) => part.state === "waiting" && !gone);
  }

  /** @returns {Answer} Everything so far; later events do not change it. */
  answer() {
    return { ...this.#answer, parts: this.#boxOf("").views() };
  }

  /** The box of an agent; one whose start was not seen gets one, too. */
  #boxOf(path) {
    const found = this.#boxes.get(path);
    return found ?? this.#openBox(path, { name: path.split("/").at(-1), task: "" }, { seq: path });
  }

  #openBox(path, { name, task }, { seq }) {
    const above = path.split("/").slice(0, -1).join("/");
    const outer = this.#boxOf(above);
    const part = { kind: "agent", name, task, state: "running", output: "", ms: null };
    const box = new Box(outer, outer.put({ ...part, parts: [] }, { seq }));
    this.#boxes.set(path, box);
    return box;
  }

  #agent(event) {
    const { type, agent, name, task, output, error, duration_ms } = event;
    if (!agent) return; // the conversation was handed over: the answer goes on
    if (type === "agent_start") {
      // A second start at a path that is at work is a hand-off below the root: its box goes on.
      if (!this.#boxes.get(agent)?.speakers) this.#openBox(agent, { name, task }, event);
      this.#boxOf(agent).speakers += 1;
      return;
    }
    const box = this.#boxOf(agent);
    box.speakers -= 1;
    if (box.speakers > 0) return;
    const state = error ? "error" : "done";
    box.close({ state, output: error ?? output, ms: duration_ms }, event.at);
  }

  #step({ type, agent, at, model }) {
    const box = this.#boxOf(agent);
    box.pause(at);
    if (type === "step_start") box.takeUp();
    if (type === "step_end" && !agent && model) this.#answer.model = model;
  }

  #tool(event) {
    const box = this.#boxOf(event.agent);
    const key = JSON.stringify([event.agent, event.call_id]);
    const begins = event.type === "tool_args" || event.type === "tool_start";
    let card = this.#calls.get(key);
    // A provider may use an id again in a later step.
    if (begins && (!card || card.gone || card.part.written)) {
      const { call_id: callId, name } = event;
      const rest = { state: "running", written: false, progress: "", output: "", ms: null };
      card = box.put({ kind: "tool", callId, name, args: "", ...rest }, event);
      this.#calls.set(key, card);
    }
    if (!card) return; // it began before the first event that was asked for
    box.change(card, changesBy(event, card.part));
    if (event.type === "tool_start") card.seq = event.seq; // by which it is withdrawn
  }

  #approval({ type, agent, seq, at, call_id, ...more }) {
    const box = this.#boxOf(agent);
    const key = JSON.stringify([agent, call_id]);
    if (type === "approval_needed") {
      const { name, input } = more;
      const part = { kind: "approval", agent, callId: call_id, name, input, by: "", reason: "" };
      this.#approvals.set(key, box.put({ ...part, state: "waiting" }, { seq, at }));
      return;
    }
    const card = this.#approvals.get(key);
    if (!card) return;
    const state = more.approved ? "approved" : "denied";
    box.change(card, { state, by: more.by ?? "", reason: more.reason ?? "" });
  }

  #end({ type, at, usage, metrics, finish_reason, code, message, retryable }) {
    for (const box of this.#boxes.values()) box.settle(at);
    const problem = type === "error" ? { code, message, retryable } : undefined;
    Object.assign(this.#answer, { state: type, usage, metrics, problem });
    this.#answer.finishReason = finish_reason ?? type;
  }
}

/** What an event changes on its call's card. */
function changesBy({ type, delta, input, content, output, error, duration_ms }, part) {
  if (type === "tool_args") return { args: part.args + delta };
  if (type === "tool_start") return { args: argumentsText(input), written: true };
  if (type === "tool_progress") return { progress: content };
  const failed = error !== undefined && error !== null;
  return { state: failed ? "error" : "done", output: failed ? error : output, ms: duration_ms };
}

/** Arguments as a person reads them: an object's JSON in one line, or text as it was written. */
export function argumentsText(input) {
  if (typeof input === "string") return input;
  if (input === null || typeof input !== "object" || Array.isArray(input))
    return JSON.stringify(input);
  const fields = Object.entries(input).map((field) => field.map((it) => JSON.stringify(it)));
  return `{${fields.map((field) => field.join(": ")).join(", ")}}`;
}

/** The parts of one agent, in order. */
class Box {
  /** @type {{part: any, view: any, seq: any, gone: boolean, pieces?: [number, number][]}[]} */
  parts = [];
  speakers = 0; // agents at work here: two, once the conversation was handed over
  #asked = []; // what people said and the next step will take up: until then it stands last
  #outer;
  #own; // the entry that shows this box in the outer one

  constructor(outer = null, own = null) {
    this.#outer = outer;
    this.#own = own;
    if (own) own.box = this;
  }

  put(part, event) {
    this.pause(event.at); // what was last is over
    const entry = entryOf(part, event);
    this.parts.push(entry);
    this.#touch();
    return entry;
  }

  /** Someone says something while a step still speaks: it does not tear the step's words. */
  ask(event) {
    this.#asked.push(entryOf({ kind: "input", text: event.content }, event));
    this.#touch();
  }

  takeUp() {
    this.parts.push(...this.#asked);
    this.#asked = [];
  }

  change(entry, changes) {
    Object.assign(entry.part, changes);
    entry.view = null;
    this.#touch();
  }

  /** A delta of text or reasoning. */
  say(kind, event) {
    let last = this.parts.at(-1);
    if (last?.part.kind !== kind) {
      last = this.put(kind === "text" ? { kind, text: "" } : { kind, text: "", ms: null }, event);
      last.pieces = [];
    }
    last.pieces.push([event.seq, last.part.text.length]);
    const changes = { text: last.part.text + event.content };
    if (kind === "reasoning") changes.ms = null;
    this.change(last, changes);
  }

  /** Reasoning that goes on until now is over. */
  pause(at) {
    const last = this.parts.at(-1);
    if (last?.part.kind !== "reasoning" || last.part.ms !== null || at === undefined) return;
    this.change(last, { ms: Math.max(0, (at - last.since) * 1000) });
  }

  /** Text, reasoning and calls from `since` on are withdrawn. */
  retract(since) {
    for (const entry of this.parts) {
      const { kind, text } = entry.part;
      if (entry.pieces) {
        let keep = text.length;
        while (entry.pieces.at(-1)?.[0] >= since) keep = entry.pieces.pop()[1];
        if (keep < text.length) this.change(entry, { text: text.slice(0, keep) });
        entry.gone = entry.pieces.length === 0;
      } else if (kind === "tool" || kind === "approval") entry.gone = entry.seq >= since;
    }
    this.parts = this.parts.filter((entry) => !entry.gone);
    this.#touch();
  }

  /** The box's own agent has ended. */
  close(changes, at) {
    this.settle(at);
    this.#outer.change(this.#own, changes);
  }

  /** Nothing more will come: what still waits never will. */
  settle(at) {
    this.pause(at);
    for (const entry of this.parts) {
      const { kind, state, written } = entry.part;
      if (state === "waiting") this.change(entry, { state: "over" });
      if (state !== "running") continue;
      const output = written ? "It did not end." : "It did not run.";
      // An agent whose start was seen has had its end; of another one no more is known.
      this.change(entry, kind === "tool" ? { state: "error", output } : { state: "done" });
    }
  }

  views() {
    return [...this.parts, ...this.#asked].map((entry) => {
      if (entry.view === null) {
        const inner = entry.box ? { parts: entry.box.views() } : {};
        entry.view = { ...entry.part, ...inner };
      }
      return entry.view;
    });
  }

  /** What shows this box has changed with it. */
  #touch() {
    if (!this.#own) return;
    this.#own.view = null;
    this.#outer.#touch();
  }
}

function entryOf(part, { seq, at }) {
  return { part: { key: `${seq}`, ...part }, view: null, seq, gone: false, since: at };
}
