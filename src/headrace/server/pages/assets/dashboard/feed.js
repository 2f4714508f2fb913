/** The server's figures, as they come: a stream of JSON that is made again when it is lost. */
import { HeadraceError, SSEParser } from "../../headrace.js";
import { token } from "../chat/client.js";

const FIRST_WAIT = 1000; // ms
const LONGEST_WAIT = 15_000; // ms
const SILENCE = 45_000; // ms without a byte after which a stream is taken for lost

/**
 * Follows a stream of JSON values until `signal` is aborted; a lost one is made again.
 * @param {string} path
 * @param {object} options
 * @param {AbortSignal} options.signal
 * @param {(value: any) => void} options.onValue
 * @param {(error: Error, wait: number) => void} [options.onLost] Told before each wait (in ms).
 * @param {typeof fetch} [options.fetch] In place of the global one.
 * @param {number} [options.wait] Ms before the first try anew; it doubles.
 * @param {number} [options.silence]
 * @returns {Promise<void>} Rejected with a `HeadraceError` where the server refuses for good.
 */
export async function follow(path, options) {
  const { signal, onValue, onLost, wait = FIRST_WAIT } = options;
  let failures = 0;
  const take = (value) => {
    failures = 0;
    onValue(value);
  };
  while (!signal.aborted) {
    let lost;
    try {
      lost = await read(path, options, take);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof HeadraceError && !error.retryable) throw error;
      lost = error;
    }
    if (signal.aborted) return;
    const pause = (0.5 + Math.random() / 2) * Math.min(LONGEST_WAIT, wait * 2 ** failures);
    failures += 1;
    onLost?.(lost, pause);
    await sleep(pause, signal);
  }
}

/** Reads one stream to its end. */
async function read(path, { signal, fetch = globalThis.fetch, silence = SILENCE }, take) {
  const cut = new AbortController();
  const leave = () => cut.abort(signal.reason);
  signal.addEventListener("abort", leave);
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => cut.abort(new Error(`Nothing came for ${silence} ms.`)), silence);
  };
  try {
    heard();
    const headers = { accept: "text/event-stream" };
    if (token()) headers.authorization = `Bearer ${token()}`;
    const response = await fetch(path, { headers, cache: "no-store", signal: cut.signal });
    if (!response.ok) throw await refusal(response);
    const parser = new SSEParser();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return new Error("The server has ended the stream.");
      heard();
      for (const frame of parser.feed(value)) take(JSON.parse(frame.data));
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", leave);
    cut.abort();
  }
}

/** The error that an answer of 4xx or 5xx stands for. */
async function refusal(response) {
  const { status } = response;
  const told = await response.json().catch(() => ({})); // of a proxy's page nothing would help
  const { code = `http_${status}`, message = `The server answered ${status}.`, hint } = told;
  const retryable = status === 408 || status === 429 || status >= 500;
  return new HeadraceError(message, { code, hint, status, retryable });
}

function sleep(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
