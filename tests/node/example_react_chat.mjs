// Pages with examples/react_chat/chat.mjs: what `useChat` does with its options, `Chat` does here.
import { pathToFileURL } from "node:url";
import { Chat } from "@ai-sdk/react";
import { led, until } from "./every_led.mjs";

const pages = new Map();

led({
  /** Loads the page; where its options say so, it asks for an answer that goes on, as `useChat`. */
  async open({ name, example, id, base, saved = [] }) {
    const { headraceChat, stop, textOf } = await import(pathToFileURL(example));
    const { resume, ...options } = headraceChat(id, saved, base);
    const page = { chat: new Chat(options), stop, textOf, base, pending: Promise.resolve() };
    if (resume) page.pending = page.chat.resumeStream();
    pages.set(name, page);
  },
  send({ name, text }) {
    const page = pages.get(name);
    page.pending = page.chat.sendMessage({ text });
  },
  /** Waits until the last message says this. */
  async says({ name, words }) {
    const { chat, textOf } = pages.get(name);
    await until(() => chat.messages.length && textOf(chat.messages.at(-1)).includes(words), words);
  },
  /** Closes the page: its connection ends, and it has what it has. */
  async close({ name }) {
    const { chat, pending } = pages.get(name);
    await chat.stop();
    await pending;
    return chat.messages;
  },
  stop: ({ name }) => pages.get(name).stop(pages.get(name).chat.messages, pages.get(name).base),
  /** Waits until nothing goes on; what the page has then. */
  async settled({ name }) {
    const { chat, pending, textOf } = pages.get(name);
    await pending;
    const { messages, status, error } = chat;
    const said = messages.map((message) => [message.role, textOf(message)]);
    return { messages, said, status, error: error?.message ?? null };
  },
});
