// Pages with the `Chat` of @ai-sdk/react, as `useChat` has one, and ai's own transport.
import { Chat } from "@ai-sdk/react";
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithToolCalls } from "ai";
import { led, until } from "./every_led.mjs";

const pages = new Map();

/** Notes what the transport asks for, and the status of each answer. */
function noting(asked) {
  return async (url, init) => {
    const entry = [init.method, new URL(url).pathname, null];
    asked.push(entry);
    const response = await fetch(url, init);
    entry[2] = response.status;
    return response;
  };
}

const last = (page) => page.chat.messages.at(-1);
const text = (message) =>
  (message?.parts ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");

led({
  open({ name, url, id, messages = [], headers = {} }) {
    const page = { asked: [], finishes: [], passing: [], pending: Promise.resolve() };
    const fetch = noting(page.asked);
    page.chat = new Chat({
      id,
      messages,
      transport: new DefaultChatTransport({ api: url, headers, fetch }),
      sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
      onData: (part) => page.passing.push(part),
      onFinish: ({ isAbort, isDisconnect, isError, finishReason = null }) =>
        page.finishes.push({ isAbort, isDisconnect, isError, finishReason }),
    });
    pages.set(name, page);
  },
  /** Begins `sendMessage`, `regenerate` or `resumeStream`, and waits for nothing. */
  begin({ name, method, args = [] }) {
    const page = pages.get(name);
    page.pending = page.chat[method](...args);
    page.pending.catch(() => {}); // `settled` tells of it
  },
  /** Waits until the last message says this. */
  async says({ name, words }) {
    const page = pages.get(name);
    await until(() => last(page)?.role === "assistant" && text(last(page)).includes(words), words);
  },
  stop: ({ name }) => pages.get(name).chat.stop(),
  /** Waits for what was begun; everything that the page has then. */
  async settled({ name }) {
    const { chat, pending, ...rest } = pages.get(name);
    await pending;
    const { messages, status, error } = chat;
    const said = messages.map((message) => [message.role, text(message)]);
    return { ...rest, messages, said, status, error: error?.message ?? null };
  },
});
