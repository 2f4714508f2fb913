/** Follows one run to its end, through lost connections, and tells of each event. */
import { stream } from "../../headrace.js";
import { Timeline } from "./timeline.js";
import { token } from "./client.js";

const WAIT = 5000; // ms, the longest between two tries: someone sits before the page
const PATIENCE = 5; // refusals in a row; a network that is away may stay so for hours
const CAME_BACK = Symbol("the network came back");

/**
 * @param {object} what
 * @param {string} [what.runId] A run that goes on, or
 * @param {object} [what.body] one to start: the fields of `POST v1/runs`.
 * @param {AbortSignal} what.signal To leave.
 * @param {(runId: string) => void} [what.onRun] Once it has begun.
 * @param {(lost: boolean) => void} [what.onLost] Whether the connection is lost, when that changes.
 * @param {(timeline: Timeline) => void} [what.onEvent] After each event.
 * @returns {Promise<Timeline>} Whole.
 */
export async function follow({ runId = "", body, signal, onRun, onLost, onEvent }) {
  const timeline = new Timeline();
  // The same key each time: what was started once is never started again.
  const request = body && { idempotency_key: randomName(), ...body };
  let lost = false;
  const tell = (now) => {
    if (now === lost) return;
    lost = now;
    onLost?.(lost);
  };
  for (;;) {
    const attempt = new AbortController();
    const leave = () => attempt.abort(signal.reason);
    const again = () => lost && attempt.abort(CAME_BACK); // sooner than the wait would end
    signal.addEventListener("abort", leave);
    addEventListener("online", again);
    try {
      signal.throwIfAborted();
      await stream(runId ? `v1/runs/${encodeURIComponent(runId)}/events` : "v1/runs", {
        ...{ token, signal: attempt.signal, maxWait: WAIT, maxRetries: Infinity },
        ...(runId ? { after: timeline.lastSeq } : { body: request }),
        onOpen: (opened) => {
          tell(false);
          if (!opened.runId || opened.runId === runId) return;
          runId = opened.runId;
          onRun?.(runId);
        },
        onRetry: ({ attempt: number, error }) => {
          const { status } = error;
          if (status === 429 || (status && number > PATIENCE)) attempt.abort(error);
          else tell(true);
        },
        onEvent: (event) => {
          timeline.add(event);
          onEvent?.(timeline);
        },
      });
      return timeline;
    } catch (error) {
      if (error !== CAME_BACK) throw error;
    } finally {
      signal.removeEventListener("abort", leave);
      removeEventListener("online", again);
    }
  }
}

/** A name that no one else makes, of characters that an address may hold. */
export function randomName() {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return [...crypto.getRandomValues(new Uint8Array(16))].map((n) => letters[n % 64]).join("");
}
