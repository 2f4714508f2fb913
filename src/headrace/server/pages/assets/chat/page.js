/**
 * All that the page shows, and what can be done: who answers, the conversations, the one that is
 * open. The components draw it; nothing here knows of them.
 *
 * @typedef {{session: string, title: string, messages: number, live_run: string | null,
 *     updated_at: number}} Listed
 */
import * as client from "./client.js";
import { stateOf } from "./conversation.js";
import { Talk } from "./talk.js";

export class Page {
  /** @type {any} What `GET v1/about` tells; null until it has. */
  about = null;
  agent = ""; // whom the person has chosen; "" for who answered last, or the first
  /** @type {Listed[] | null} The conversations; null until they are known. */
  sessions = null;
  locked = false; // the server wants a token
  refused = false; // it did not like the one that it got
  #changed;
  #looking = false;
  #stale = false; // something may have changed since it was looked at
  #tabs = new BroadcastChannel("headrace");

  /** @param {() => void} changed Called after each change. */
  constructor(changed) {
    this.#changed = changed;
    this.talk = this.#talkOf("");
    this.#tabs.onmessage = () => this.refresh(); // something is new in another tab
  }

  /** Asks who is here, and shows what the address names. */
  async begin() {
    this.open(sessionOf(location.hash));
    await this.#guarded(() => this.#ask());
  }

  /** Shows a conversation; "" for a new one. */
  open(session) {
    if (session === this.talk.session && !this.talk.problem) return;
    this.talk.leave();
    if (session) this.agent = "";
    this.talk = this.#talkOf(session);
    this.#changed();
    if (session) this.talk.load();
  }

  /** @param {string} question @param {import("./talk.js").Turn} [instead] As `Talk.ask` has it. */
  ask(question, instead) {
    this.talk.agent = this.asked;
    return this.talk.ask(question, instead);
  }

  /** Who answers what is asked now; one that is here no longer does not. */
  get asked() {
    const wanted = this.agent || this.talk.agent;
    const here = !this.about || this.about.agents.some(({ name }) => name === wanted);
    return here ? wanted : "";
  }

  /** What may have changed while no one looked, in another tab or on another machine. */
  async refresh() {
    if (this.locked) return;
    this.#stale = true;
    if (this.#looking) return; // who looks now looks once more
    this.#looking = true;
    while (this.#stale) {
      this.#stale = false;
      await this.#guarded(() => (this.about ? this.#list() : this.#ask()));
    }
    this.#looking = false;
    const listed = this.sessions?.find(({ session }) => session === this.talk.session);
    // Of the conversations the list has the newest: what is not there may be gone, or only old.
    if (listed ? stateOf(listed) !== this.talk.seen : this.talk.seen) await this.talk.load();
  }

  /** Deletes a conversation, with all that was said in it. */
  async forget(session) {
    try {
      await client.forget(session);
    } catch (error) {
      if (error.code === "session_busy") return this.#tell("Not deleted: an answer is coming.");
      if (error.status !== 404) return this.#tell(`Not deleted: ${error.message}`);
    }
    this.sessions = this.sessions?.filter((one) => one.session !== session) ?? null;
    this.#tabs.postMessage("changed");
    if (session === this.talk.session) this.#name("");
    this.#tell("The conversation was deleted.");
  }

  /** @param {string} token What the person has; the page begins again with it. */
  async signIn(token) {
    client.keepToken(token);
    const { session } = this.talk;
    await this.begin();
    if (!this.locked && session) this.talk.load();
  }

  choose(agent) {
    this.agent = agent;
    this.#changed();
  }

  #talkOf(session) {
    const talk = new Talk(session, {
      changed: () => talk === this.talk && this.#changed(),
      locked: () => this.#lock(),
      named: (name) => history.pushState(null, "", `#s=${name}`),
      begun: () => this.#news(),
      ended: (own) => this.#news(talk, own),
    });
    return talk;
  }

  async #ask() {
    const [about] = await Promise.all([client.about(), this.#list()]);
    Object.assign(this, { about, locked: false, refused: false });
  }

  /** Something began or ended here; other tabs look, too, unless who began it tells them. */
  #news(talk, own = true) {
    if (own) this.#tabs.postMessage("changed");
    return this.#guarded(() => this.#list(talk));
  }

  /** @param {Talk} [own] What has just ended here: as the list tells it, it was seen. */
  async #list(own) {
    this.sessions = await client.sessions();
    const listed = this.sessions.find(({ session }) => own && session === own.session);
    if (listed && !listed.live_run) own.seen = stateOf(listed);
    this.#changed();
  }

  async #guarded(action) {
    try {
      await action();
    } catch (error) {
      if (error.status === 401) this.#lock();
      else if (!this.talk.live) this.#tell(error.message); // a run tells of its own connection
    }
    this.#changed();
  }

  #lock() {
    this.locked = true;
    this.refused = client.token() !== "";
    this.#changed();
  }

  #name(session) {
    history.pushState(null, "", session ? `#s=${session}` : location.pathname);
    this.open(session);
  }

  #tell(status) {
    this.talk.status = status;
    this.#changed();
  }
}

/** @param {string} hash Of the page's address. @returns {string} "" where it names none. */
export function sessionOf(hash) {
  const found = /^#s=(.+)$/.exec(hash);
  if (!found) return "";
  try {
    return decodeURIComponent(found[1]);
  } catch {
    return found[1];
  }
}
