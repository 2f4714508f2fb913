// Makes calls with headrace.js, at once: a JSON list from stdin, the list of what came of them out.
// A call is {name: "stream" | "start" | "cancel", args, leaveAfter?, throwAfter?}; the two are
// numbers of events after which the stream is left, or its `onEvent` throws.
import { text } from "node:stream/consumers";
import * as headrace from "../../src/headrace/server/pages/headrace.js";

async function made({ name, args, leaveAfter, throwAfter }) {
  const told = { events: [], opened: [], retries: [], result: null, error: null };
  const leaving = new AbortController();
  const watching = {
    signal: leaving.signal,
    onOpen: (opened) => told.opened.push(opened),
    onRetry: ({ attempt, wait, error }) => told.retries.push({ attempt, wait, code: error.code }),
    onEvent: async (event, state) => {
      told.events.push(event);
      told.text = state.text;
      if (told.events.length === leaveAfter) leaving.abort();
      if (told.events.length === throwAfter) throw new Error("thrown by onEvent");
      await null;
    },
  };
  const options = { ...args.pop(), ...watching };
  try {
    told.result = await headrace[name](...args, options);
  } catch (error) {
    const { name: kind, message } = error;
    const { code, hint, retryable, status, retryAfter } = error;
    told.error = { name: kind, message, code, hint, retryable, status, retryAfter };
  }
  return told;
}

const calls = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(await Promise.all(calls.map(made))));
