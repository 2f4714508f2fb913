/**
 * A run's log played again at its own pace: a position in it, and the state folded to there. Pure;
 * whoever shows it moves the position on.
 *
 * @typedef {import("../../headrace.js").RunEvent} RunEvent
 */
import { Folder } from "../../headrace.js";

/** What a replay's speed may be; the last one shows the end at once. */
export const SPEEDS = [1, 2, 4, Infinity];

/** A log, from its first event on, and a place in it. */
export class Replay {
  position = 0; // ms from the run's start; what came until then is folded
  folder = new Folder();
  #events = [];
  #next = 0;

  /** @param {RunEvent} event The next one; it is not played by this. */
  add(event) {
    this.#events.push(event);
  }

  /** Ms from the first event to the last. */
  get duration() {
    return this.#events.length ? this.#at(this.#events.length - 1) : 0;
  }

  /** Whether all there is by now has been played. */
  get over() {
    return this.#next === this.#events.length;
  }

  /** Events that have been played. */
  get played() {
    return this.#next;
  }

  /** @param {number} ms Goes there; back, too. `Infinity` is the end. */
  seek(ms) {
    const target = Math.min(Math.max(0, ms), this.duration);
    if (target < this.position) {
      this.folder = new Folder();
      this.#next = 0;
    }
    this.position = target;
    while (this.#next < this.#events.length && this.#at(this.#next) <= target) {
      this.folder.add(this.#events[this.#next]);
      this.#next += 1;
    }
  }

  /** @param {number} elapsed Ms that went by for who watches. @param {number} speed */
  advance(elapsed, speed) {
    this.seek(speed === Infinity ? Infinity : this.position + elapsed * speed);
  }

  #at(index) {
    return (this.#events[index].at - this.#events[0].at) * 1000;
  }
}
