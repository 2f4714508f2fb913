// Follows a stream with the dashboard's `follow` against answers that are made up: one JSON line
// with them in, one with what happened out. An answer is {status, body}, {lost} or {frames, then}.
import { createInterface } from "node:readline";
import { follow } from "../../src/headrace/server/pages/assets/dashboard/feed.js";

function answer({ status = 200, body = "", frames, then = "end", lost }, leaving, signal) {
  if (lost) throw new TypeError("fetch failed");
  if (!frames) return new Response(body, { status });
  const bytes = new TextEncoder();
  return new Response(
    new ReadableStream({
      start(stream) {
        for (const frame of frames) stream.enqueue(bytes.encode(`data: ${JSON.stringify(frame)}\n\n`));
        if (then === "end") stream.close();
        if (then === "leave") setTimeout(() => leaving.abort(), 20);
        signal.addEventListener("abort", () => stream.error(signal.reason));
      },
    }),
  );
}

for await (const line of createInterface({ input: process.stdin })) {
  const { answers, silence = 10_000, token } = JSON.parse(line);
  globalThis.sessionStorage = { getItem: () => token ?? null };
  const leaving = new AbortController();
  const told = { values: [], waits: [], asked: [], error: null };
  try {
    await follow("http://made.up/v1/overview/events", {
      signal: leaving.signal,
      wait: 8,
      silence,
      onValue: (value) => told.values.push(value),
      onLost: (error, wait) => told.waits.push([error.message, wait]),
      fetch: async (url, { headers, signal }) => {
        told.asked.push([url, headers]);
        return answer(answers.shift(), leaving, signal);
      },
    });
  } catch (error) {
    told.error = { code: error.code, status: error.status, hint: error.hint };
  }
  console.log(JSON.stringify({ ...told, left: answers.length }));
}
