/** A run's log in the page: followed to its end, and shown as it grows. */
import { Folder, stream } from "../../headrace.js";
import { useEffect, useReducer, useRef } from "../vendor/preact.js";
import { token } from "../chat/client.js";
import { LogRows } from "./log_rows.js";
import { Replay } from "./replay.js";
import { Waterfall } from "./waterfall.js";

const REDRAW = 100; // ms between two pictures of a log that grows

/** All that the page keeps of one run; a run's log has at most 50 MiB. */
class RunLog {
  waterfall = new Waterfall();
  rows = new LogRows();
  replay = new Replay();
  /** @type {import("../../headrace.js").RunState | Folder} */
  state = new Folder();
  /** @type {"reading" | "lost" | "read" | "failed"} */
  reading = "reading";
  /** @type {Error | null} */
  problem = null;
  heard = performance.now(); // when its last event came

  add(event, state) {
    for (const part of [this.waterfall, this.rows, this.replay]) part.add(event);
    this.state = state;
    this.heard = performance.now();
    this.reading = "reading";
  }

  /** Whether the run goes on, as far as is known. */
  get live() {
    return this.reading !== "read" && this.reading !== "failed" && !this.waterfall.ended;
  }

  /** Ms from its start until its end, or until now. */
  get length() {
    const { last, bars } = this.waterfall;
    return this.live && bars.length ? last + performance.now() - this.heard : last;
  }
}

/**
 * The log of a run, drawn again while it grows.
 * @param {string} id
 * @returns {RunLog}
 */
export function useRunLog(id) {
  const [, draw] = useReducer((n) => n + 1, 0);
  const log = useRef(/** @type {RunLog | null} */ (null));
  log.current ??= new RunLog();
  useEffect(() => {
    const own = (log.current = new RunLog());
    const leaving = new AbortController();
    let timer = 0;
    const show = () => {
      timer ||= setTimeout(() => {
        timer = 0;
        draw();
        if (own.live) show(); // the bars of what goes on grow, whether anything comes or not
      }, REDRAW);
    };
    show();
    stream(`v1/runs/${encodeURIComponent(id)}/events`, {
      token,
      signal: leaving.signal,
      onEvent: (event, state) => own.add(event, state),
      onRetry: () => (own.reading = "lost"),
    })
      .then(() => (own.reading = "read"))
      .catch((error) => Object.assign(own, { reading: "failed", problem: error }))
      .finally(() => leaving.signal.aborted || show());
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, [id]);
  return log.current;
}
