/**
 * A session's messages as turns: a question and its answer. Pure.
 *
 * @typedef {{role: string, content: any[]}} Message As `GET v1/sessions/…` has it.
 * @typedef {object} Session
 * @property {Message[]} messages What stands; a run's come with its end.
 * @property {string[]} runs For each message the run that it came from; "" for none.
 * @property {string | null} live_run The run that goes on, and what it was asked:
 * @property {{input: Message[], keep: number} | null} [pending] Behind the first `keep` messages.
 *
 * @typedef {object} Turn
 * @property {string} key Stays the same for as long as the turn is shown.
 * @property {string} question
 * @property {boolean} whole Whether that is all that was asked; else it cannot be asked again.
 * @property {string} runId "" where it is not known.
 * @property {number | null} at Where its messages begin in the session, where that is known.
 * @property {boolean} measured Whether its figures are here, or were asked for.
 * @property {import("./timeline.js").Answer} answer
 */
import { argumentsText } from "./timeline.js";

/** @param {Session} session @returns {Turn[]} What stands, and last the run that goes on. */
export function turnsOf({ messages, runs, live_run: live, pending }) {
  const turns = [];
  messages.slice(0, pending?.keep).forEach((message, at) => place(turns, message, at, runs[at]));
  const asked = pending?.input ?? [];
  asked.slice(0, -1).forEach((message, i) => place(turns, message, pending.keep + i, ""));
  if (live) turns.push(newTurn(asked.length ? textOf(asked.at(-1)) : "", `live-${live}`, live));
  return turns;
}

function place(turns, message, at, runId = "") {
  const last = turns.at(-1);
  // A second question of one run is what a person said into it while it ran.
  const begins = message.role === "user" && !(last && runId && last.runId === runId);
  const whole = begins && message.content.every(({ type }) => type === "text");
  if (begins || !last) turns.push(storedTurn(at, runId, begins ? textOf(message) : "", whole));
  if (begins) return;
  const turn = turns.at(-1);
  turn.runId = runId; // a question that was asked again is still the first run's, its answer is not
  take(turn.answer.parts, message, at);
}

/**
 * The newest run, where it failed and left nothing in the session: its question and why.
 * @param {any} last As `GET v1/runs` lists it.
 * @returns {Turn[]} It, or none.
 */
export function unstoredTurn({ runs, live_run, updated_at = 0 }, last) {
  const over = last && (last.status === "error" || last.status === "cancelled");
  if (live_run || !over || runs.includes(last.run_id) || last.ended_at < updated_at) return [];
  const turn = newTurn(last.title, last.run_id, last.run_id);
  const answer = { ...turn.answer, state: last.status };
  return [{ ...turn, answer, whole: !last.title.endsWith("…") }];
}

/** What changes of a session when something is said in it. */
export const stateOf = ({ updated_at = 0, live_run = null }) => `${updated_at} ${live_run}`;

/** @returns {Turn} One whose answer is still to come. */
export function newTurn(question, key, runId = "") {
  const answer = { state: "waiting", parts: [], model: "" };
  return { key, question, whole: true, runId, at: null, measured: false, answer };
}

function storedTurn(at, runId, question, whole) {
  const turn = newTurn(question, `${at}-${runId}`, runId);
  return { ...turn, at, whole, answer: { ...turn.answer, state: "complete" } };
}

/** A message's text; what is no text is named. */
export function textOf(message) {
  const words = { image: "[image]", file: "[file]" };
  return message.content.map((part) => part.text ?? words[part.type] ?? "").join("");
}

/** Adds a stored message to an answer's parts. */
function take(parts, message, at) {
  if (message.role === "user")
    return void parts.push({ kind: "input", key: `m${at}`, text: textOf(message) });
  message.content.forEach((part, i) => {
    const key = `m${at}.${i}`;
    const { text } = part;
    if (part.type === "text") parts.push({ kind: "text", key, text });
    else if (part.type === "reasoning") parts.push({ kind: "reasoning", key, text, ms: null });
    else if (part.type === "tool_call") parts.push(storedCall(key, part));
    else if (part.type === "tool_result") {
      const call = parts.findLast((p) => p.kind === "tool" && p.callId === part.call_id);
      const state = part.is_error ? "error" : "done";
      if (call) Object.assign(call, { state, output: part.output });
    }
  });
}

function storedCall(key, { id, name, arguments: written }) {
  let args = written;
  try {
    args = argumentsText(JSON.parse(written));
  } catch {
    // shown as the model wrote it
  }
  const rest = { state: "done", written: true, progress: "", output: "", ms: null };
  return { kind: "tool", key, callId: id, name, args, ...rest };
}

/**
 * What is shown already stays as it is: what came live knows more than what is stored.
 * @param {Turn[]} shown
 * @param {Turn[]} fresh As the session has them now.
 * @returns {Turn[]}
 */
export function reconciled(shown, fresh) {
  const byRun = new Map(shown.filter((turn) => turn.runId).map((turn) => [turn.runId, turn]));
  return fresh.map((turn) => {
    const old = byRun.get(turn.runId) ?? shown.find((one) => one.key === turn.key);
    if (!old || old.runId !== turn.runId) return turn;
    return { ...old, at: turn.at, question: old.question || turn.question };
  });
}

/**
 * How many of the session's messages stand before a turn: what a retry or an edit keeps.
 * @param {Turn[]} turns
 * @param {number} index Of the turn.
 * @param {Session} session As it is now.
 */
export function keepBefore(turns, index, { messages, runs }) {
  for (const { runId, at } of turns.slice(index)) {
    let found = runId ? runs.indexOf(runId) : -1;
    while (found > 0 && messages[found].role !== "user") found -= 1; // its question may be older
    if (found < 0) found = at ?? -1;
    if (found >= 0) return Math.min(found, messages.length);
  }
  return messages.length;
}

/**
 * A stored answer as its run's log tells it, which knows times, agents below and how it ended.
 * What was there keeps its key, and so its place on the page.
 * @param {import("./timeline.js").Answer} stored
 * @param {import("./timeline.js").Answer} told
 */
export function measured(stored, told) {
  const left = [...stored.parts];
  const parts = told.parts.map((part) => {
    const at = left.findIndex((old) => alike(old, part));
    return at < 0 ? part : { ...part, key: left.splice(at, 1)[0].key };
  });
  return { ...told, parts };
}

const alike = (a, b) => a.kind === b.kind && (a.callId ?? a.text) === (b.callId ?? b.text);

/** @returns {string} The answer's text, as one copies it. */
export const answerText = (answer) =>
  answer.parts.map((part) => (part.kind === "text" ? part.text : "")).join("");
