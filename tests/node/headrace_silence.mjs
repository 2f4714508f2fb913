// headrace.js on a clock that stands: when does it take a silent connection for lost?
// Prints the number of connections after each step.
import { mock } from "node:test";
import { setImmediate as settled } from "node:timers/promises";

mock.timers.enable({ apis: ["setTimeout"] });
const { stream } = await import("../../src/headrace/server/pages/headrace.js");

const bodies = [];
const signals = [];
const bytes = (text) => new TextEncoder().encode(text);

/** Answers at once, with a body that the steps below feed; the third call never answers. */
async function connect(url, { signal }) {
  signals.push(signal);
  if (signals.length === 3)
    return new Promise((_, reject) => (signal.onabort = () => reject(signal.reason)));
  const body = new ReadableStream({
    start(controller) {
      bodies.push(controller);
      signal.addEventListener("abort", () => controller.error(signal.reason));
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

const errors = [];
const done = stream("http://127.0.0.1/v1/runs/run_x/events", {
  fetch: connect,
  maxWait: 0,
  onRetry: ({ error }) => errors.push(error.message),
});
const counts = {};
async function step(name, ms, text) {
  if (text) bodies.at(-1).enqueue(bytes(text));
  await settled();
  mock.timers.tick(ms);
  await settled();
  mock.timers.tick(0); // the wait before the next try, of no length
  await settled();
  counts[name] = signals.length;
}

await step("nearly", 44_999);
await step("a comment", 44_999, ": \n\n");
await step("half a line", 44_999, "da");
await step("silence", 1);
await step("silence again", 45_000);
await step("no answer", 45_000);
bodies.at(-1).enqueue(bytes('data: {"type":"complete","seq":1,"finish_reason":"stop"}\n\n'));
const { status } = await done;
const left = signals.map((signal) => signal.aborted);
console.log(JSON.stringify({ counts, status, errors, left }));
