// Makes calls with headrace.js, at once: a JSON list from stdin, the list of what came of them out.
// A call is {name: "stream" | "start" | "cancel", args} with, if it is to be left,
//   leaveAfter, throwAfter: after how many events, or after how many its `onEvent` throws;
//   leaveSilent, leaveRetry: while nothing comes, or in the wait before the next try.
// Of each is told, as `open`, how many of its requests are left open in the end.
import { text } from "node:stream/consumers";
import * as headrace from "../../src/headrace/server/pages/headrace.js";

async function made({ name, args, leaveAfter, throwAfter, leaveSilent, leaveRetry }) {
  const signals = [];
  const told = { events: [], opened: [], retries: [], result: null, error: null };
  const leaving = new AbortController();
  const watching = {
    signal: leaving.signal,
    fetch: (url, request) => {
      signals.push(request.signal);
      return fetch(url, request);
    },
    onOpen: (opened) => {
      told.opened.push(opened);
      if (leaveSilent) setTimeout(() => leaving.abort(), 20);
    },
    onRetry: ({ attempt, wait, error }) => {
      told.retries.push({ attempt, wait, code: error.code });
      if (leaveRetry) setTimeout(() => leaving.abort(), 20);
    },
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
  told.open = signals.filter((signal) => !signal.aborted).length;
  return told;
}

const calls = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(await Promise.all(calls.map(made))));
