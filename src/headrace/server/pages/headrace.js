/**
 * Headrace's client for browsers and Node 20 or later: one file, no dependencies.
 *
 *     const state = await stream("/v1/runs", {
 *       body: { input: "Hello" },
 *       onEvent: (event, state) => show(state.text),
 *     });
 *
 * A run is an ordered log of events on the server; `stream` is a cursor over it. When the
 * connection is lost it goes on after the last event that it saw: none is lost and none comes
 * twice. Leaving a stream never ends the run; `cancel` does.
 *
 * @license Apache-2.0
 *
 * An event of the log (docs/events.md has the fields of each type), and where a run stands: the
 * server's snapshot, without its `messages`.
 * @typedef {{type: string, seq: number, at: number, agent: string, [field: string]: any}} RunEvent
 * @typedef {ReturnType<Folder["state"]>} RunState
 *
 * @typedef {object} CallOptions
 * @property {string | (() => string | Promise<string>)} [token] Sent as a bearer token.
 * @property {AbortSignal} [signal] To leave: the promise is rejected with the signal's reason.
 * @property {HeadersInit} [headers] More headers.
 * @property {RequestCredentials} [credentials] As `fetch` has it.
 * @property {typeof fetch} [fetch] In place of the global one.
 * @property {number} [maxRetries] Tries in a row that may fail before it gives up; 20.
 * @property {number} [maxWait] The longest backoff between two tries, in ms; 30,000.
 * @property {number} [silence] Ms without a byte after which a connection is taken for lost;
 *     45,000, which is three of the server's heartbeats.
 * @property {(retry: {attempt: number, wait: number, error: HeadraceError}) => void} [onRetry]
 *     Called before each wait (in ms).
 *
 * @typedef {object} StreamExtras
 * @property {(event: RunEvent, state: Folder) => unknown} [onEvent] Called in order, and awaited.
 * @property {(opened: {runId: string, resumed: boolean}) => void} [onOpen] Called when a connection
 *     stands; `runId` is "" where the server does not tell it.
 * @property {number} [after] Begin after this seq; the state is then folded from there on.
 * @property {string} [method] GET, or POST where there is a body.
 * @property {any} [body] A plain object is sent as JSON; anything else as it is.
 * @typedef {CallOptions & StreamExtras} StreamOptions
 */

const MAX_LENGTH = 8 * 1024 * 1024; // of one line and of one event, in UTF-16 code units
const LONGEST_WAIT = 60; // seconds that a server may ask for while someone waits
const FIRST_WAIT = 1000; // ms, until the server has sent its own `retry:`
const RETRIED = new Set([408, 429, 500, 502, 503, 504]);
const TERMINAL = new Set(["complete", "error", "cancelled"]);

/** What went wrong: a stable `code` for programs, a message and a hint for people. */
export class HeadraceError extends Error {
  constructor(message, { code, hint, retryable, status, retryAfter, cause } = {}) {
    super(message, { cause });
    this.name = "HeadraceError";
    this.code = code ?? "internal";
    this.hint = hint ?? "";
    this.retryable = retryable ?? false; // whether the same call may succeed a little later
    this.status = status ?? 0; // of HTTP; 0 where there was none
    this.retryAfter = retryAfter ?? null; // seconds that the server asked to wait
  }
}

/** Server-sent events from bytes or text, in any cuts (WHATWG HTML 9.2.5 and 9.2.6). */
export class SSEParser {
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #atStart = true;
  #afterCR = false;
  #line = "";
  #data = [];
  #event = "";
  #id;
  #size = 0;
  #failure = null;

  constructor({ maxLine = MAX_LENGTH, maxEvent = MAX_LENGTH, lastEventId = "" } = {}) {
    this.maxLine = maxLine;
    this.maxEvent = maxEvent;
    this.lastEventId = this.#id = lastEventId; // what a reconnect sends as `Last-Event-ID`
    this.retry = null; // ms before a reconnect, as the server asked
  }

  /**
   * The events that these bytes complete. What is too long throws, after the events before it.
   * @param {Uint8Array | string} chunk
   * @returns {{data: string, event: string, id: string}[]}
   */
  feed(chunk) {
    if (this.#failure) throw this.#failure;
    let text = typeof chunk === "string" ? chunk : this.#decoder.decode(chunk, { stream: true });
    if (text === "") return [];
    if (this.#atStart && text[0] === "\ufeff") text = text.slice(1);
    this.#atStart = false;
    if (this.#afterCR && text[0] === "\n") text = text.slice(1);
    this.#afterCR = text.endsWith("\r");
    if (text.includes("\r")) text = text.replace(/\r\n?/g, "\n");
    const lines = text.split("\n");
    const events = [];
    try {
      for (let i = 0; i < lines.length; i += 1) {
        this.#line += lines[i];
        this.#check(this.#line);
        if (i < lines.length - 1) this.#endLine(events);
      }
    } catch (error) {
      this.#failure = error;
      if (events.length === 0) throw error;
    }
    return events;
  }

  #endLine(events) {
    const line = this.#line;
    this.#line = "";
    if (line === "") return this.#dispatch(events);
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    this.#size += line.length + 1;
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) this.retry = Number(value);
  }

  #dispatch(events) {
    this.lastEventId = this.#id;
    const data = this.#data.join("\n");
    if (this.#data.length > 0) events.push({ data, event: this.#event || "message", id: this.#id });
    this.#data = [];
    this.#event = "";
    this.#size = 0;
  }

  /** Refuses a line, finished or not, at the bound that it passes first. */
  #check(line) {
    // The length first: to read a character of a line that grows piece by piece costs its length.
    const room = Math.min(this.maxLine, this.maxEvent - this.#size);
    if (line.length === 0 || line.length <= room) return;
    if (room === this.maxLine || line[0] === ":") {
      if (line.length > this.maxLine) throw tooLong("line_too_long", this.maxLine);
    } else throw tooLong("event_too_large", this.maxEvent);
  }
}

const tooLong = (code, most) =>
  new HeadraceError(`A part of the event stream is over ${most} characters.`, { code });

/** Folds events, one after the other, as the server does; the fields are those of `RunState`. */
export class Folder {
  run_id = "";
  agent_name = "";
  model = "";
  session = null;
  status = "running"; // or complete, error, cancelled
  last_seq = 0;
  text = ""; // the answer: what of the root agent's text still stands
  reasoning = "";
  steps = 0;
  tools = []; // the calls that still stand, in order of their start
  waiting = []; // the calls that wait for a person, oldest first
  usage = { input: 0, output: 0, cached: 0, reasoning: 0, exact: true };
  finish_reason = null;
  output = null;
  answer = null;
  error_code = null;
  error_message = null;
  cancel_reason = null;
  metrics = null;
  receipt = null;
  #pieces = { text: [], reasoning: [] }; // seq and start of each, so that a retract cuts exactly
  #running = new Map();

  /** Everything so far; later events do not change it. */
  state() {
    const waiting = this.waiting.map((call) => ({ ...call }));
    return { ...this, tools: this.tools.map((tool) => ({ ...tool })), waiting };
  }

  /** @param {RunEvent} event The next one. Types that are not known are passed over. */
  add(event) {
    this.last_seq = event.seq;
    if (this.waiting.length) this.waiting = this.waiting.filter((call) => !endsWait(event, call));
    if (event.type === "token") this.#say("text", event);
    else if (event.type === "thought") this.#say("reasoning", event);
    else if (event.type === "step_start") this.#startStep(event);
    else if (event.type === "step_end") this.#endStep(event);
    else if (event.type.startsWith("tool_")) this.#tool(event);
    else if (event.type === "retract") this.#retract(event);
    else if (event.type === "approval_needed") this.#wait(event);
    else if (event.type === "answer") this.answer = event.content;
    else if (event.type === "run_start") {
      const { run_id, agent_name, model, session = null } = event;
      Object.assign(this, { run_id, agent_name, model, session });
    } else if (TERMINAL.has(event.type)) this.#end(event);
  }

  #say(part, { agent, seq, content }) {
    if (agent) return;
    this.#pieces[part].push([seq, this[part].length]);
    this[part] += content;
  }

  #retract({ agent, since }) {
    for (const part of agent ? [] : ["text", "reasoning"]) {
      const pieces = this.#pieces[part];
      let keep = this[part].length;
      while (pieces.at(-1)?.[0] >= since) keep = pieces.pop()[1];
      this[part] = this[part].slice(0, keep);
    }
    this.tools = this.tools.filter((tool) => tool.agent !== agent || tool.seq < since);
  }

  #startStep({ agent, step }) {
    if (!agent) this.steps = Math.max(this.steps, step);
  }

  #endStep({ agent, model, usage }) {
    const sum = { exact: this.usage.exact && usage.exact };
    for (const part of ["input", "output", "cached", "reasoning"])
      sum[part] = this.usage[part] + usage[part];
    this.usage = sum;
    if (!agent && model) this.model = model;
  }

  #tool({ type, seq, agent, call_id, name, input, content, output, error = null, duration_ms }) {
    const key = JSON.stringify([agent, call_id]);
    if (type === "tool_start") {
      const not_yet = { output: null, error: null, duration_ms: null, progress: null };
      this.#running.set(key, { call_id, name, input, seq, agent, ...not_yet });
      this.tools.push(this.#running.get(key));
    }
    const tool = this.#running.get(key) ?? {}; // it may have begun before `after`
    if (type === "tool_progress") tool.progress = content;
    if (type === "tool_end") Object.assign(tool, { output, error, duration_ms });
  }

  #wait({ agent, call_id, name, input, seq }) {
    const same = (call) => call.agent === agent && call.call_id === call_id;
    const at = this.waiting.findIndex(same);
    this.waiting[at < 0 ? this.waiting.length : at] = { call_id, name, input, seq, agent };
  }

  #end({ type, usage = this.usage, metrics, ...more }) {
    const { finish_reason = type, output = null, code, message, reason, receipt } = more;
    Object.assign(this, { status: type, finish_reason, usage, metrics });
    if (type === "complete") this.output = output;
    if (type === "error") Object.assign(this, { error_code: code, error_message: message });
    if (type === "cancelled") Object.assign(this, { cancel_reason: reason, receipt });
  }
}

/** Whether a call waits no more: decided, or its agent, or the whole run, has gone on or ended. */
function endsWait({ type, agent, call_id }, call) {
  if (type === "approval") return agent === call.agent && call_id === call.call_id;
  if (type === "agent_end") return agent && `${call.agent}/`.startsWith(`${agent}/`);
  return TERMINAL.has(type) || (type === "step_start" && agent === call.agent);
}

/** @param {Iterable<RunEvent>} events A log, from its first event on. @returns {RunState} */
export function fold(events) {
  const folder = new Folder();
  for (const event of events) folder.add(event);
  return folder.state();
}

/** @param {Iterable<RunEvent>} events @returns {string} The answer's text that stands. */
export const foldText = (events) => fold(events).text;

/**
 * Follows a run to its end. `url` is its events, `/v1/runs/ID/events`, or `/v1/runs` with a `body`,
 * which starts it. What was started is never started again: it is resumed by its id.
 * @param {string | URL} url Relative to the page, where there is one.
 * @param {StreamOptions} [options]
 * @returns {Promise<RunState>} How it ended, which may be an `error`. Rejected with a
 *     `HeadraceError` where the server refuses, breaks the stream off or stays away; with the
 *     signal's reason when you leave; with what `onEvent` throws.
 */
export async function stream(url, options = {}) {
  const call = callTo(url, options);
  const folder = new Folder();
  return persist(call, async () => {
    const response = await ask(call, "text/event-stream");
    if (response.status === 204) return folder.state(); // it is over, and all of it was seen
    if (!/^text\/event-stream\b/i.test(response.headers.get("content-type") ?? ""))
      throw invalid("The answer is no event stream.");
    const runId = response.headers.get("x-headrace-run") ?? call.runId;
    resumeBy(call, runId);
    options.onOpen?.({ runId, resumed: folder.last_seq > 0 });
    await read(response, call, folder);
    return folder.state();
  });
}

/**
 * Starts a run and does not watch it.
 * @param {string} server Its address; "" or "." where the page came from it.
 * @param {{input: any, agent?: string, session?: string, model?: string, idempotency_key?: string}}
 *     request
 * @param {CallOptions} [options]
 * @returns {Promise<{run_id: string, created: boolean, events: string}>}
 */
export const start = (server, request, options) => post(`${server}/v1/runs`, request, options);

/**
 * Ends a run; what it has generated is kept.
 * @param {string} server As for `start`.
 * @param {string} runId
 * @param {CallOptions & {reason?: string}} [options]
 * @returns {Promise<RunEvent>} The run's terminal event.
 */
export const cancel = (server, runId, { reason, ...options } = {}) =>
  post(`${server}/v1/runs/${encodeURIComponent(runId)}/cancel`, { reason }, options, true);

function post(url, body, options, repeatable) {
  const call = callTo(url, { ...options, body, method: "POST" }, repeatable);
  return persist(call, async () => {
    const response = await ask(call, "application/json");
    return json(await watch(call, () => response.text()));
  });
}

/** One request, however often it must be made: what to send, and how far it has come. */
function callTo(url, options, repeatable = false) {
  const at = new URL(url, globalThis.document?.baseURI);
  const headers = new Headers(options.headers);
  let { body } = options;
  const { method = body === undefined ? "GET" : "POST", after = 0 } = options;
  if (body && [Object.prototype, null].includes(Object.getPrototypeOf(body))) {
    const starts = method === "POST" && at.pathname.endsWith("/v1/runs");
    if (starts) body = { idempotency_key: randomKey(), ...body };
    repeatable ||= starts;
    body = JSON.stringify(body);
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
  }
  repeatable ||= method === "GET";
  const progress = { cursor: after, runId: "", failures: 0, base: FIRST_WAIT };
  return { options, at, method, headers, body, repeatable, ...progress };
}

/** A key that no one else makes; `randomUUID` is there only where the page came over HTTPS. */
const randomKey = () =>
  crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(4)).join("-");

/** From here on the call is a cursor over the run that it has started. */
function resumeBy(call, runId) {
  if (!runId || call.method === "GET") return;
  const runs = call.at.pathname.endsWith("/v1/runs") ? call.at.pathname : "/v1/runs";
  call.at.pathname = `${runs}/${encodeURIComponent(runId)}/events`;
  call.headers.delete("content-type");
  Object.assign(call, { runId, method: "GET", body: undefined, repeatable: true });
}

/** Wraps an error after which another try makes sense. */
class Again {
  constructor(error, refused = false) {
    this.error = error;
    this.refused = refused; // the server says that it did nothing: even a POST may be repeated
  }
}

const lost = (cause) =>
  new HeadraceError(`The connection to the server was lost: ${cause?.message ?? cause}`, {
    code: "connection_lost",
    retryable: true,
    cause,
  });

const invalid = (message) =>
  new HeadraceError(message, { code: "invalid_response", hint: "Is this a Headrace server?" });

function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid("The server sent what is no JSON.");
  }
}

async function ask(call, accept) {
  const { token, credentials, fetch = globalThis.fetch } = call.options;
  const { at, method, body, cursor } = call;
  const headers = new Headers(call.headers);
  headers.set("accept", accept);
  const bearer = typeof token === "function" ? await token() : token;
  if (bearer) headers.set("authorization", `Bearer ${bearer}`);
  if (cursor && method === "GET") headers.set("last-event-id", String(cursor));
  const request = { method, headers, body, credentials, cache: "no-store" };
  const response = await watch(call, (signal) => fetch(at.href, { ...request, signal }));
  if (response.ok) return response;
  throw refusal(response, await watch(call, () => response.text()));
}

/** The error that a status of 4xx or 5xx stands for. */
function refusal({ status, headers }, body) {
  let told = null;
  try {
    told = JSON.parse(body);
  } catch {
    // a proxy's page: nothing that would help
  }
  const { code = `http_${status}`, message = `The server answered ${status}.` } = told ?? {};
  const retryAfter = secondsOf(headers.get("retry-after"));
  const retryable = told?.retryable ?? RETRIED.has(status);
  const rest = { code, hint: told?.hint, retryable, status, retryAfter };
  const error = new HeadraceError(message, rest);
  return RETRIED.has(status) ? new Again(error, status === 429 || status === 503) : error;
}

/** `Retry-After` in seconds: a number, or a date (RFC 9110, 10.2.3); `null` for anything else. */
function secondsOf(value) {
  const date = (Date.parse(value) - Date.now()) / 1000;
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.max(0, date);
  return Number.isFinite(seconds) ? seconds : null;
}

/** Reads a body to the run's terminal event, or throws. */
async function read(response, call, folder) {
  const { onEvent, signal } = call.options;
  const parser = new SSEParser();
  const reader = response.body.getReader();
  const kinds = new Set();
  for (;;) {
    const { done, value } = await watch(call, () => reader.read());
    if (done && kinds.size > 0 && !kinds.has("message")) throw invalid("The format is not native.");
    if (done) throw new Again(lost("it ended before the run did."));
    const frames = parser.feed(value);
    call.base = parser.retry ?? call.base;
    for (const frame of frames) {
      kinds.add(frame.event);
      const event = eventOf(frame);
      if (!event || event.seq <= call.cursor) continue;
      call.cursor = event.seq;
      call.failures = 0;
      if (event.type === "run_start") resumeBy(call, event.run_id);
      folder.add(event);
      await onEvent?.(event, folder);
      signal?.throwIfAborted();
      if (TERMINAL.has(event.type)) return;
    }
  }
}

/** The event in a frame; `null` for a kind of frame that a later server may add. */
function eventOf({ event: kind, data }) {
  if (kind !== "message" && kind !== "failure") return null;
  const event = json(data);
  if (kind === "failure") throw new HeadraceError(event.message, event);
  if (typeof event?.type !== "string" || typeof event.seq !== "number")
    throw invalid("The stream holds what is no event: is its format native?");
  return event;
}

/** What the step gives; what it throws is a lost connection, unless we have left it. */
async function watch(call, step) {
  const { signal, silence = 45_000 } = call.options;
  const silent = () => call.cut.abort(new Error(`nothing came for ${silence} ms.`));
  const timer = setTimeout(silent, silence);
  try {
    return await step(call.cut.signal);
  } catch (cause) {
    signal?.throwIfAborted();
    throw new Again(lost(cause));
  } finally {
    clearTimeout(timer);
  }
}

/** Makes a call until it succeeds, fails for good, or has failed too often in a row. */
async function persist(call, attempt) {
  const { signal } = call.options;
  for (;;) {
    signal?.throwIfAborted();
    call.cut = new AbortController();
    const leave = () => call.cut.abort(signal.reason);
    signal?.addEventListener("abort", leave);
    let wait;
    try {
      return await attempt();
    } catch (failed) {
      if (!(failed instanceof Again)) throw failed;
      wait = waitAfter(failed, call);
    } finally {
      signal?.removeEventListener("abort", leave);
      call.cut.abort();
    }
    await sleep(wait, signal);
  }
}

/** Ms until the next try: exponential, with full jitter, on top of what the server asks for. */
function waitAfter({ error, refused }, call) {
  const { maxRetries = 20, maxWait = 30_000, onRetry } = call.options;
  const told = error.retryAfter ?? 0;
  if (!call.repeatable && !refused) throw error;
  if (call.failures >= maxRetries || told > LONGEST_WAIT) throw error;
  const wait = told * 1000 + Math.random() * Math.min(maxWait, call.base * 2 ** call.failures);
  call.failures += 1;
  onRetry?.({ attempt: call.failures, wait, error });
  return wait;
}

function sleep(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(wake, ms);
    signal?.addEventListener("abort", wake);
    if (signal?.aborted) wake();
    function wake() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", wake);
      resolve();
    }
  });
}
