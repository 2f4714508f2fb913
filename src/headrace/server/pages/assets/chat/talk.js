/**
 * One conversation that is open: its turns, the run that goes on in it, and what can be done.
 *
 * @typedef {import("./conversation.js").Turn} Turn
 *
 * @typedef {object} Around What a conversation tells the page that shows it.
 * @property {() => void} changed After each change; it is drawn once a frame.
 * @property {() => void} locked The server wants a token.
 * @property {(session: string) => void} named A new conversation has got its name.
 * @property {() => void} begun A run was begun here.
 * @property {(own: boolean) => void} ended A run has ended; whether it was begun here.
 */
import { cancel } from "../../headrace.js";
import * as client from "./client.js";
import {
  keepBefore,
  measured,
  newTurn,
  reconciled,
  stateOf,
  turnsOf,
  unstoredTurn,
} from "./conversation.js";
import { follow, randomName } from "./live.js";

const WAITING = "Waiting for the first token …";
const WORDS = {
  waiting: WAITING,
  running: "Answering …",
  asking: "It waits for your approval.",
  complete: "Done",
  cancelled: "Stopped",
};

let made = 0;

export class Talk {
  /** @type {Turn[]} */
  turns = [];
  /** @type {{key: string, runId: string, stopping: boolean} | null} The run that is shown live. */
  live = null;
  loading = false;
  lost = false; // the connection
  editing = ""; // the key of the turn whose question is being edited
  /** @type {{text: string} | null} A question that goes back into the composer. */
  draft = null;
  status = "";
  /** @type {Error | null} Why the conversation could not be read. */
  problem = null;
  agent = ""; // whom to ask: who answered last; "" for the first that there is
  seen = ""; // how the session was when it was last read
  #around;
  #left = new AbortController();
  #reading = null; // the promise of what is being read
  #fresh = null; // the timeline whose newest events the next frame shows
  #count = 0;

  /** @param {string} session "" for one that has not begun. @param {Around} around */
  constructor(session, around) {
    this.id = made += 1;
    this.session = session;
    this.#around = around;
  }

  /** It is shown no longer; its run goes on. */
  leave() {
    this.#left.abort();
  }

  /** Reads it from the server, and follows what goes on in it. */
  async load() {
    if (this.live || this.loading) return;
    await (this.#reading = this.#read());
    const turn = this.turns.at(-1);
    if (this.live || !turn?.runId || turn.answer.state !== "waiting") return;
    this.live = { key: turn.key, runId: turn.runId, stopping: false };
    this.#say(WAITING);
    await this.#follow(turn, { runId: turn.runId });
  }

  async #read() {
    const { session } = this;
    const { signal } = this.#left;
    this.loading = true;
    this.#around.changed();
    try {
      const [stored, last] = await Promise.all([
        client.session(session, signal).catch(none),
        client.lastRun(session, signal),
      ]);
      this.#show(stored, last);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401) this.#around.locked();
      else this.problem = error;
    }
    this.loading = false;
    this.#around.changed();
  }

  /** @param {string} question @param {Turn} [instead] Of this turn and all that follows it. */
  async ask(question, instead) {
    if (this.loading) await this.#reading; // it goes behind what was said before
    const before = this.turns;
    const index = instead ? before.findIndex(({ key }) => key === instead.key) : before.length;
    if (this.live || index < 0) return this.#giveBack(question, "An answer is still coming.");
    const turn = newTurn(question, `asked-${(this.#count += 1)}`);
    this.turns = [...before.slice(0, index), turn];
    this.live = { key: turn.key, runId: "", stopping: false };
    Object.assign(this, { editing: "", draft: null, problem: null });
    this.#say(WAITING);
    if (!this.session) this.#around.named((this.session = `chat-${randomName()}`));
    let keep;
    try {
      if (instead) keep = await this.#keep(before, index);
      if (keep !== undefined) this.#put(turn.key, { at: keep });
    } catch (error) {
      return this.#failed(turn.key, error);
    }
    const body = { input: question, session: this.session, agent: this.agent || undefined, keep };
    await this.#follow(turn, { body });
  }

  /** Says something into the run that goes on; where it has just ended, asks it. */
  async say(text) {
    if (!this.live) return this.ask(text);
    const { runId } = this.live;
    if (!runId) return this.#giveBack(text, "Not sent: the run has not begun yet.");
    try {
      await client.say(runId, text);
    } catch (error) {
      this.#giveBack(text, `Not sent: ${error.message}`);
    }
  }

  /** Ends the run; what was shown stays. */
  async stop() {
    if (!this.live || this.live.stopping) return;
    this.live = { ...this.live, stopping: true };
    this.#say("Stopping …");
    if (this.live.runId) await this.#cancel(this.live.runId);
  }

  /** Approves or denies a call that waits. @returns {Promise<boolean>} Whether it was taken. */
  async decide(runId, part, approved) {
    try {
      await client.decide(runId, part, approved);
      return true;
    } catch (error) {
      this.#say(`Not decided: ${error.message}`);
      return false;
    }
  }

  /** @param {string} key Of the turn whose question is to be edited; "" for none. */
  edit(key) {
    this.editing = this.live ? "" : key;
    this.#around.changed();
  }

  /** Reads the log of a turn that was not watched from here: its times and counts; once. */
  async measure({ key, runId, measured: done }) {
    if (done || !runId || this.live?.runId === runId) return;
    this.#put(key, { measured: true });
    const { signal } = this.#left;
    const timeline = await follow({ runId, signal }).catch(() => null); // it may be kept no longer
    const turn = this.turns.find((one) => one.key === key);
    if (timeline && turn) this.#put(key, { answer: measured(turn.answer, timeline.answer()) });
  }

  /** Takes up what came since the last frame. */
  settle() {
    const fresh = this.#fresh;
    this.#fresh = null;
    if (fresh) this.#put(fresh.key, { answer: fresh.timeline.answer() });
  }

  #show(stored, last) {
    const shown = this.turns.length;
    this.turns = reconciled(this.turns, [...turnsOf(stored), ...unstoredTurn(stored, last)]);
    if (shown && !this.turns.length) this.#say("This conversation is gone.");
    this.seen = stored.updated_at ? stateOf(stored) : ""; // of none there is nothing to see
    this.agent = last?.agent ?? "";
    this.problem = null;
  }

  /** Shows a run as it goes on, to its end. */
  async #follow({ key }, { runId, body }) {
    let told = "waiting";
    const { signal } = this.#left;
    try {
      const timeline = await follow({
        runId,
        body,
        signal,
        onRun: (id) => this.#begun(key, id),
        onLost: (lost) => {
          this.lost = lost;
          this.#say(lost ? "The connection was lost. Trying again …" : WORDS[told]);
        },
        onEvent: (timeline) => {
          this.#fresh = { key, timeline };
          this.#around.changed();
          const now = timeline.asks ? "asking" : timeline.state;
          if (now === told || this.live?.stopping) return;
          told = now;
          if (WORDS[told]) this.#say(WORDS[told]);
        },
      });
      this.settle();
      this.#over(timeline.answer(), body !== undefined);
    } catch (error) {
      if (!signal.aborted) this.#failed(key, error);
    }
  }

  #begun(key, runId) {
    this.live = { ...this.live, runId };
    this.#put(key, { runId, measured: true });
    this.#around.begun();
    if (this.live.stopping) this.#cancel(runId);
  }

  #over({ state, problem }, own) {
    Object.assign(this, { live: null, lost: false });
    this.#say(state === "error" ? `Failed: ${problem.message}` : WORDS[state]);
    this.#around.ended(own);
  }

  /** The server did not take the question, or the run cannot be shown. */
  #failed(key, error) {
    if (this.#left.signal.aborted) return;
    this.settle();
    const { code = "internal", message, hint, status } = error;
    Object.assign(this, { live: null, lost: false });
    const turn = this.turns.find((one) => one.key === key);
    if (status === 401 || code === "session_busy") {
      this.turns = this.turns.filter((one) => one !== turn);
      this.#giveBack(turn.question, status === 401 ? "" : message); // to be sent again
      if (status === 401) this.#around.locked();
      else this.load();
      return;
    }
    const problem = { code, message, hint };
    this.#put(key, { answer: { ...turn.answer, state: "error", problem } });
    this.#say(`Failed: ${message}`);
  }

  async #cancel(runId) {
    try {
      await cancel(".", runId, { token: client.token, reason: "stopped on the page" });
    } catch (error) {
      if (!this.live) return; // it has ended by itself
      this.live = { ...this.live, stopping: false };
      this.#say(`Not stopped: ${error.message}`);
    }
  }

  /** How much of the session stands before a turn; undefined for all of it. */
  async #keep(turns, index) {
    if (!this.seen && !turns.some(({ runId }) => runId)) return undefined; // no run began in it
    const stored = await client.session(this.session, this.#left.signal).catch(none);
    const keep = keepBefore(turns, index, stored);
    return keep < stored.messages.length ? keep : undefined;
  }

  #put(key, changes) {
    this.turns = this.turns.map((turn) => (turn.key === key ? { ...turn, ...changes } : turn));
    this.#around.changed();
  }

  /** A question that was not sent. */
  #giveBack(text, status) {
    this.draft = { text };
    this.#say(status);
  }

  #say(status) {
    this.status = status;
    this.#around.changed();
  }
}

/** A session that no run has begun in is not there; nothing is said in it. */
function none(error) {
  if (error.status !== 404) throw error;
  return { messages: [], runs: [], live_run: null };
}
