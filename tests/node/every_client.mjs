// Every client of Node on one run, at once: npm ai, @ag-ui/client, eventsource-parser, headrace.js.
import { Chat } from "@ai-sdk/react";
import { DefaultChatTransport } from "ai";
import { HttpAgent } from "@ag-ui/client";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { stream } from "../../src/headrace/server/pages/headrace.js";
import { led, until } from "./every_led.mjs";

let base, id, started;
let waiting = {};

const page = (transport = {}) =>
  new Chat({ id, transport: new DefaultChatTransport({ api: `${base}/api/chat`, ...transport }) });
const events = (run, format) => `${base}/v1/runs/${run}/events?format=${format}`;

/** What a page's last message is in the end. */
function shown({ messages, status, error }) {
  if (status !== "ready") throw error ?? new Error(`The page is ${status}.`);
  return messages.at(-1);
}

/** The page that is loaded while the answer goes on; afterwards it asks for the run itself. */
async function resumed(run, live) {
  const api = events(run, "ai-sdk");
  const chat = page(live ? {} : { prepareReconnectToStreamRequest: () => ({ api }) });
  await chat.resumeStream();
  return shown(chat);
}

/** `HttpAgent` posts in order to start a run; this one reads a run that is there. */
async function agent(run) {
  const fetching = (url, { signal }) => fetch(url, { signal });
  const http = new HttpAgent({ url: events(run, "ag-ui"), fetch: fetching });
  let end = null;
  http.subscribe({ onRunFinishedEvent: ({ event }) => void (end = event) });
  const { result } = await http.runAgent();
  return { messages: http.messages, result, end };
}

/** The frames' data as eventsource-parser has them. */
async function parsed(run, format) {
  const { body } = await fetch(events(run, format));
  const frames = [];
  const parser = new EventSourceParserStream({ onError: "terminate" });
  for await (const { data } of body.pipeThrough(new TextDecoderStream()).pipeThrough(parser))
    frames.push(data);
  return frames;
}

led({
  /** Asks the question on a page; the run's id, once the page has it. */
  async start({ url, chat, question }) {
    base = url;
    id = chat;
    started = page();
    const answered = started.sendMessage({ text: question }).then(() => shown(started));
    const last = () => started.messages.at(-1);
    await until(() => last()?.role === "assistant", "an answer");
    waiting = { "ai: Chat.sendMessage": answered };
    return last().id;
  },
  /** Begins to read the run with all the others. */
  attach({ run, live }) {
    if (!live) waiting = {};
    Object.assign(waiting, {
      "ai: Chat.resumeStream": resumed(run, live),
      "@ag-ui/client: HttpAgent": agent(run),
      "eventsource-parser: native": parsed(run, "native"),
      "eventsource-parser: ai-sdk": parsed(run, "ai-sdk"),
      "headrace.js: stream": stream(events(run, "native")),
    });
    return Object.keys(waiting);
  },
  /** What each has in the end. */
  async seen() {
    const named = Object.entries(waiting).map(async ([name, seen]) => [name, await seen]);
    return Object.fromEntries(await Promise.all(named));
  },
});
